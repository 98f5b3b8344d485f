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
# llama.cpp rounds a window up to a multiple of this.
WINDOW_STEP = 256
# The sequence that everything is read into.
SEQUENCE = 0
# So many tokens of the window are set up at first, and twice as many when they are used up: few
# questions need more, and with the default generator 4,096 take 117 MB.
FIRST_WINDOW = 1024
# Texts of tokens are short; metadata may be long (a chat template).
PIECE_BYTES = 64
VALUE_BYTES = 4096


def rounded_up(window: int) -> int:
    """Return the window that llama.cpp makes where so many tokens are asked for."""
    return -(-window // WINDOW_STEP) * WINDOW_STEP


class Model:
    """A mapped file with a window of at most `context` tokens; `threads` compute.

    Raises ValueError where llama.cpp refuses the file or has no memory for a window.
    """

    def __init__(self, file: Path, *, context: int, threads: int) -> None:
        self._model = load_weights(file)
        from llama_cpp import llama_cpp as library

        self._library = library
        if not self._model:
            raise ValueError("it is missing, damaged or of a kind that it does not know")
        freeing = weakref.finalize(self, library.llama_model_free, self._model)
        self._vocabulary = library.llama_model_get_vocab(self._model)
        self.context = rounded_up(context)
        self.threads = threads
        self._updates: dict[Path, Any] = {}
        self._used_updates: Path | None = None
        try:
            self._open(min(self.context, FIRST_WINDOW))
        except RuntimeError as error:
            freeing()
            raise ValueError(str(error)) from error
        self.metadata: Mapping[str, str] = self._read_metadata()
        self.bos = int(library.llama_vocab_bos(self._vocabulary))
        self.eos = int(library.llama_vocab_eos(self._vocabulary))
        self._words = int(library.llama_vocab_n_tokens(self._vocabulary))

    def _open(self, window: int) -> None:
        """Make a window and use it from now on; raises `RuntimeError`, and the old one stays."""
        library = self._library
        settings = library.llama_context_default_params()
        settings.n_ctx = window
        settings.n_batch = settings.n_ubatch = min(window, BATCH)
        settings.n_threads = settings.n_threads_batch = self.threads
        # Reads a prompt in 5% less time, with the same answers (benchmarks/LOG.md).
        settings.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_ENABLED
        context = library.llama_init_from_model(self._model, settings)
        if not context:
            raise RuntimeError(f"it makes no window of {window} tokens")
        self._context = context
        # Last made, first freed, at the end of the process, too.
        self._free = weakref.finalize(self, library.llama_free, context)
        self._memory = library.llama_get_memory(context)
        self._window = int(library.llama_n_ctx(context))

    def _make_room(self, more: int) -> None:
        """Let the window hold so many more tokens, as far as it may; raises `RuntimeError`."""
        held = self._library.llama_memory_seq_pos_max(self._memory, SEQUENCE) + 1
        if held + more <= self._window or self._window >= self.context:
            return  # where it cannot grow, reading says that it is full
        state = self.state() if held else b""
        free = self._free
        self._open(min(self.context, max(2 * self._window, held + more)))
        free()
        self.use(self._used_updates)
        if state and not self._put(state):
            raise RuntimeError(f"it cannot hold {held} tokens in a larger window")

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
        self._used_updates = updates
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
        self._make_room(len(tokens))
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

    def restore(self, state: bytes, tokens: int) -> bool:
        """Hold what another model of this file held, so many tokens; `False` where it is refused.

        Nothing is held then. `state` must come from `state`, byte for byte.
        """
        self.clear()
        self._make_room(tokens)
        if self._put(state):
            return True
        self.clear()
        return False

    def _put(self, state: bytes) -> bool:
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        size = len(state)
        return bool(self._library.llama_state_seq_set_data(self._context, buffer, size, SEQUENCE))

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
