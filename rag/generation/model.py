"""A GGUF model in llama.cpp: tokens are read one after the other, and give logits.

The library's low-level interface is used and not its class `Llama`, which redirects the
process's output while it loads, compiles every template of the file, cannot say that weights
stay as they lie, and has no way to a state but a pickle. This module knows no prompt, and
which of the tokens are held is known to who reads them.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.llamacpp import load_updates, load_weights, put_on

# Tokens that are read at once; a longer prompt takes several calls.
BATCH = 512
# The sequence that everything is read into.
SEQUENCE = 0
# Texts of tokens are short; metadata may be long (a chat template).
PIECE_BYTES = 64
VALUE_BYTES = 4096


class Model:
    """A mapped file with a window of `context` tokens; `threads` compute.

    Raises ValueError where llama.cpp refuses the file or has no memory for the window.
    """

    def __init__(self, file: Path, *, context: int, threads: int) -> None:
        self._model = load_weights(file)
        from llama_cpp import llama_cpp as library

        self._library = library
        if not self._model:
            raise ValueError("it is missing, damaged or of a kind that it does not know")
        freeing = weakref.finalize(self, library.llama_model_free, self._model)
        self._vocabulary = library.llama_model_get_vocab(self._model)
        settings = library.llama_context_default_params()
        settings.n_ctx = context
        settings.n_batch = settings.n_ubatch = min(context, BATCH)
        settings.n_threads = settings.n_threads_batch = threads
        # Reads a prompt in 5% less time, with the same answers (benchmarks/LOG.md).
        settings.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self._context = library.llama_init_from_model(self._model, settings)
        if not self._context:
            freeing()
            raise ValueError(f"it makes no window of {context} tokens")
        # Last made, first freed, at the end of the process, too.
        weakref.finalize(self, library.llama_free, self._context)
        self._memory = library.llama_get_memory(self._context)
        self.context = int(library.llama_n_ctx(self._context))
        self.threads = threads
        self.metadata: Mapping[str, str] = self._read_metadata()
        self.bos = int(library.llama_vocab_bos(self._vocabulary))
        self.eos = int(library.llama_vocab_eos(self._vocabulary))
        self._updates: dict[Path, Any] = {}
        self._words = int(library.llama_vocab_n_tokens(self._vocabulary))

    @property
    def way(self) -> list[object]:
        """How tokens are read, as far as it may change a number or the layout of a state."""
        return [self.context, self.threads, BATCH, "flash attention"]

    def use(self, updates: Path | None) -> None:
        """Read with these trained updates from now on; raises `ModelCorrupt`, `RuntimeError`.

        What is held was read without them, and is to be forgotten.
        """
        if updates is not None and updates not in self._updates:
            self._updates[updates] = load_updates(self._model, updates)
        put_on(self._context, [] if updates is None else [self._updates[updates]])

    def tokenize(self, text: bytes, *, begin: bool, marks: bool) -> list[int]:
        """Cut a text; `begin` puts the begin mark before it, `marks` become their own tokens."""
        room = len(text) + 8  # a token has a byte at least, but for marks that are added
        found = (self._library.llama_token * room)()
        count = self._library.llama_tokenize(
            self._vocabulary, text, len(text), found, room, begin, marks
        )
        if count < 0:
            raise RuntimeError("llama.cpp cannot cut the prompt into tokens")
        return list(found[:count])

    def piece(self, token: int, *, marks: bool) -> bytes:
        """Return the text of a token; that of a control token where `marks` are wanted."""
        size = PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self._library.llama_token_to_piece(
                self._vocabulary, token, buffer, size, 0, marks
            )
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return bool(self._library.llama_vocab_is_eog(self._vocabulary, token))

    def read(self, tokens: Sequence[int]) -> None:
        """Read tokens behind those that are held; raises `RuntimeError`."""
        for start in range(0, len(tokens), BATCH):
            some = tokens[start : start + BATCH]
            array = (self._library.llama_token * len(some))(*some)
            batch = self._library.llama_batch_get_one(array, len(some))
            if code := self._library.llama_decode(self._context, batch):
                raise RuntimeError(f"it cannot read {len(some)} tokens (code {code})")

    def logits(self) -> NDArray[np.float32]:
        """Return what comes after the last token that was read, in llama.cpp's own memory."""
        found = self._library.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(found, shape=(self._words,))

    def forget(self, start: int) -> bool:
        """Forget what is held from a place on; recurrent models cannot go back and say so."""
        return bool(self._library.llama_memory_seq_rm(self._memory, SEQUENCE, start, -1))

    def clear(self) -> None:
        """Forget everything."""
        self._library.llama_memory_clear(self._memory, True)

    def state(self) -> bytes:
        """Return what is held, for `restore`."""
        size = self._library.llama_state_seq_get_size(self._context, SEQUENCE)
        buffer = (ctypes.c_uint8 * size)()
        written = self._library.llama_state_seq_get_data(self._context, buffer, size, SEQUENCE)
        return bytes(memoryview(buffer)[:written])

    def restore(self, state: bytes) -> bool:
        """Hold what another model of this file held; `False` where llama.cpp refuses it.

        Nothing is held then. `state` must come from `state`, byte for byte.
        """
        self.clear()
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if self._library.llama_state_seq_set_data(self._context, buffer, len(state), SEQUENCE):
            return True
        self.clear()
        return False

    def _read_metadata(self) -> dict[str, str]:
        library, model = self._library, self._model
        found = {}
        for place in range(library.llama_model_meta_count(model)):
            key = _string(library.llama_model_meta_key_by_index, model, place)
            found[key] = _string(library.llama_model_meta_val_str_by_index, model, place)
        return found


def _string(ask: Any, model: Any, place: int) -> str:
    """Ask for a string of unknown length, which is told where the buffer is too small."""
    size = VALUE_BYTES
    while True:
        buffer = ctypes.create_string_buffer(size)
        length = int(ask(model, place, buffer, size))
        if length < size:
            return buffer.value.decode("utf-8", "replace")
        size = length + 1
