"""llama.cpp as this program uses it: a prompt's tokens in, one step a token out.

`Engine` is the seam: tests put a fake in its place. This module knows no chat and no
thinking, only that some control tokens are marks whose text is wanted.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rag.thinking import MARKERS
from rag.updates import load_updates, put_on

if TYPE_CHECKING:
    from llama_cpp import Llama


@dataclass(frozen=True, slots=True)
class Step:
    """One generated token.

    `text` is what has become legible with it, and `partial` says that bytes of a character
    are still awaited; `end` marks the end of the answer. `probability` is that of the
    likeliest token here, and `refusal` that of the refusal's first one, both in [0, 1].
    """

    text: str
    probability: float
    refusal: float
    partial: bool = False
    end: bool = False


class Engine(Protocol):
    """A loaded model.

    `context` is its window in tokens; `bos` and `eos` are the texts of its begin and end
    marks, '' where it has none.
    """

    metadata: Mapping[str, str]
    context: int
    bos: str
    eos: str

    def tokens(self, prompt: str) -> list[int]:
        """Cut a prompt into tokens; marks become their own."""
        ...

    def run(self, tokens: Sequence[int], constant: Sequence[int], refusal: str) -> Iterator[Step]:
        """Continue `tokens`, greedily; `constant` is the part that other prompts share.

        Raises `RuntimeError` or `ValueError`.
        """
        ...


@dataclass(slots=True)
class _Held:
    """What llama.cpp holds by now: the constant tokens read, and the adapter in use.

    `loaded` are all that were; llama.cpp frees them with the model.
    """

    constant: list[int] = field(default_factory=list)
    adapter: Path | None = None
    loaded: dict[Path, Any] = field(default_factory=dict)


class LlamaEngine:
    """An `Engine` on `llama_cpp.Llama`, in this process.

    `adapter` is a GGUF file of low-rank updates that are added to the weights; engines on
    the same `llama` may have different ones.
    """

    def __init__(
        self, llama: Llama, adapter: Path | None = None, held: _Held | None = None
    ) -> None:
        self._llama = llama
        self._adapter = adapter
        self._held = held or _Held()
        self.metadata: Mapping[str, str] = llama.metadata
        self.context = int(llama.n_ctx())
        self.bos = self._mark(llama.token_bos())
        self.eos = self._mark(llama.token_eos())

    def adapted(self, adapter: Path) -> LlamaEngine:
        """Return the same model with updates; the weights are not loaded again."""
        return LlamaEngine(self._llama, adapter, self._held)

    def tokens(self, prompt: str) -> list[int]:
        """Cut a prompt into tokens; the begin mark comes first where the model wants it."""
        wanted = self.metadata.get("tokenizer.ggml.add_bos_token") == "true"
        written = bool(self.bos) and prompt.startswith(self.bos)
        return self._llama.tokenize(prompt.encode(), add_bos=wanted and not written, special=True)

    def run(self, tokens: Sequence[int], constant: Sequence[int], refusal: str) -> Iterator[Step]:
        """Continue `tokens`, greedily; see `Engine`.

        `Llama.generate` is not used: it copies all logits for its samplers, and again for a
        processor that looks at them, where one look at llama.cpp's own is enough.
        """
        first = self._llama.tokenize(refusal.encode(), add_bos=False)[0]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._start_from(list(constant))
        self._read(tokens)
        while True:
            token, likeliest, refused = greedy(self._logits(), first)
            if self._ends(token):
                yield Step("", likeliest, refused, end=True)
                return
            text = decoder.decode(self._bytes(token))
            yield Step(text, likeliest, refused, partial=bool(decoder.getstate()[0]))
            self._llama.eval([token])

    def _read(self, tokens: Sequence[int]) -> None:
        """Read what is not held of a prompt.

        A decode gives the logits: of a prompt that is held whole the last token is read again.
        """
        start = min(self._llama.n_tokens, len(tokens) - 1)
        if not self._forget(start):
            self._llama.reset()  # type: ignore[no-untyped-call]
            start = 0
        self._llama.n_tokens = start
        self._llama.eval(tokens[start:])

    def _forget(self, start: int) -> bool:
        """Drop the state from a token on; recurrent models cannot go back and say so."""
        from llama_cpp import llama_cpp as library

        memory = library.llama_get_memory(self._llama.ctx)
        return bool(library.llama_memory_seq_rm(memory, 0, start, -1))

    def _logits(self) -> Any:
        """Return what llama.cpp gave each token of the vocabulary, in its own memory."""
        from llama_cpp import llama_cpp as library

        found = library.llama_get_logits_ith(self._llama.ctx, -1)
        return np.ctypeslib.as_array(found, shape=(self._llama.n_vocab(),))

    def _start_from(self, constant: list[int]) -> None:
        """Bring llama.cpp to the state after `constant`, whatever was asked before.

        Left to itself it keeps what the last prompt and this one happen to share. How a
        prompt is cut into batches changes the rounding, so the same question could be
        answered otherwise alone than after another one. Cut here always, it cannot; and
        the worked examples are read once, not for each question.
        """
        held = self._held
        if held.adapter != self._adapter:
            held.constant = []
            self._adapt()
            held.adapter = self._adapter
        if constant != held.constant or self._llama.n_tokens < len(constant):
            held.constant = []
            self._llama.reset()  # type: ignore[no-untyped-call]
            self._llama.eval(constant)
            held.constant = constant
        self._llama.n_tokens = len(constant)

    def _adapt(self) -> None:
        """Let llama.cpp use this engine's adapter and no other."""
        path, loaded = self._adapter, self._held.loaded
        if path is not None and path not in loaded:
            loaded[path] = load_updates(self._llama.model, path)
        put_on(self._llama.ctx, [] if path is None else [loaded[path]])

    def _ends(self, token: int) -> bool:
        from llama_cpp import llama_cpp as library

        vocabulary = library.llama_model_get_vocab(self._llama.model)
        return bool(library.llama_vocab_is_eog(vocabulary, token))

    def _bytes(self, token: int) -> bytes:
        plain = self._llama.detokenize([token])
        if plain:
            return plain
        mark = self._llama.detokenize([token], special=True)
        return mark if mark.decode(errors="replace") in MARKERS else b""

    def _mark(self, token: int) -> str:
        if token < 0:
            return ""
        return self._llama.detokenize([token], special=True).decode(errors="replace")


def greedy(logits: Any, other: int) -> tuple[int, float, float]:
    """Return the likeliest token, its probability and that of another one, by the softmax.

    `logits` are float32, one for each token of the vocabulary. In single precision the
    probabilities are right to a millionth, and it takes a hundredth of a token's time.
    """
    token = int(logits.argmax())
    scale = 1.0 / float(np.exp(logits - logits[token]).sum())
    return token, scale, math.exp(float(logits[other]) - float(logits[token])) * scale
