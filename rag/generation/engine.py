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
from typing import Any, Protocol

import numpy as np

from rag.generation.model import Model
from rag.generation.states import build
from rag.kept import Kept
from rag.thinking import MARKERS

# A prompt is cut behind its constant part and then every so many tokens; what two prompts
# share is held over in whole blocks.
BLOCK = 64
# Constant parts of fewer tokens are not worth a file; a dozen take .24 s to read.
WORTH_KEEPING = 8


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
    marks, '' where it has none. `read` counts the tokens of the last prompt that had to be
    read: the others were held, or came from a file.
    """

    metadata: Mapping[str, str]
    context: int
    bos: str
    eos: str
    read: int

    def tokens(self, prompt: str) -> list[int]:
        """Cut a prompt into tokens; marks become their own."""
        ...

    def run(self, tokens: Sequence[int], constant: int, refusal: str) -> Iterator[Step]:
        """Continue `tokens`, greedily; the first `constant` of them begin other prompts, too.

        Raises `RuntimeError` or `ValueError`.
        """
        ...


@dataclass(slots=True)
class _Held:
    """What the model holds by now: a prompt's tokens, `head` of them its constant part.

    `updates` are those it was read with. What was generated after it is not counted.
    """

    tokens: list[int] = field(default_factory=list)
    head: int = 0
    updates: Path | None = None


class LlamaEngine:
    """An `Engine` on a `Model`, in this process.

    `identity` tells the weights apart from all others, for `states`: where the constant parts
    of prompts are kept as llama.cpp holds them. `updates` is a GGUF file of low-rank updates
    that are added to the weights; engines on the same `model` may have different ones.

    How a prompt is cut into batches changes the rounding, and so might the answer. It is cut
    by its own tokens alone, after the constant part and then every `BLOCK`, whatever was
    asked before: so the part that two prompts share is held over, and a question is answered
    alike alone and in a session.
    """

    def __init__(
        self,
        model: Model,
        identity: Sequence[object] = (),
        states: Kept | None = None,
        updates: Path | None = None,
        held: _Held | None = None,
    ) -> None:
        self._model = model
        self._identity = identity
        self._states = states
        self._updates = updates
        self._held = held or _Held()
        self.metadata: Mapping[str, str] = model.metadata
        self.context = model.context
        self.bos = self._mark(model.bos)
        self.eos = self._mark(model.eos)
        self.read = 0

    def adapted(self, updates: Path) -> LlamaEngine:
        """Return the same model with updates; the weights are not loaded again."""
        return LlamaEngine(self._model, self._identity, self._states, updates, self._held)

    def tokens(self, prompt: str) -> list[int]:
        """Cut a prompt into tokens; the begin mark comes first where the model wants it."""
        wanted = self.metadata.get("tokenizer.ggml.add_bos_token") == "true"
        written = bool(self.bos) and prompt.startswith(self.bos)
        return self._model.tokenize(prompt.encode(), begin=wanted and not written, marks=True)

    def run(self, tokens: Sequence[int], constant: int, refusal: str) -> Iterator[Step]:
        """Continue `tokens`, greedily; see `Engine`."""
        first = self._model.tokenize(refusal.encode(), begin=False, marks=True)[0]
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.read = 0
        try:
            self._bring_to(list(tokens), min(constant, len(tokens) - 1))
            yield from self._continue(first, decoder)
        except (RuntimeError, ValueError):
            # What the model holds now is not known: the window may be a new, empty one.
            self._held.tokens = []
            raise

    def _continue(self, first: int, decoder: codecs.IncrementalDecoder) -> Iterator[Step]:
        while True:
            token, likeliest, refused = greedy(self._model.logits(), first)
            if self._model.ends(token):
                yield Step("", likeliest, refused, end=True)
                return
            text = decoder.decode(self._bytes(token))
            yield Step(text, likeliest, refused, partial=bool(decoder.getstate()[0]))
            self._model.read([token])

    def _bring_to(self, tokens: list[int], head: int) -> None:
        """Let the model hold a prompt, and read what of it is not held."""
        start = self._go_back(tokens, head)
        if start < head:
            start = self._read_head(tokens[:head])
        held = self._held
        held.tokens, held.head = tokens[:start], head
        for end in [*range(start + BLOCK, len(tokens), BLOCK), len(tokens)]:
            self._read(tokens[start:end])
            held.tokens = tokens[:end]
            start = end

    def _go_back(self, tokens: Sequence[int], head: int) -> int:
        """Go back to the last cut up to which the same was held; return where that is.

        At least one token is left to read: reading it gives the logits.
        """
        held = self._held
        if held.updates != self._updates:
            held.tokens = []
            self._model.use(self._updates)
            held.updates = self._updates
        same = 0
        for one, other in zip(held.tokens, tokens[:-1], strict=False):
            if one != other:
                break
            same += 1
        cut = head + (same - head) // BLOCK * BLOCK if same >= head == held.head else 0
        if cut and self._model.forget(cut):
            return cut
        held.tokens = []
        self._model.clear()
        return 0

    def _read_head(self, head: list[int]) -> int:
        """Hold the constant part of a prompt: as it was kept on disk, or read and kept now."""
        if self._states is None or len(head) < WORTH_KEEPING:
            self._read(head)
            return len(head)
        key = {
            "model": list(self._identity),
            "updates": _stamp(self._updates),
            "way": self._model.way,
            "tokens": head,
            "build": build(),
        }
        state = self._states.find(key)
        if state is None or not self._model.restore(state, len(head)):
            self._read(head)
            self._states.keep(key, self._model.state())
        return len(head)

    def _read(self, tokens: list[int]) -> None:
        self._model.read(tokens)
        self.read += len(tokens)

    def _bytes(self, token: int) -> bytes:
        plain = self._model.piece(token, marks=False)
        if plain:
            return plain
        mark = self._model.piece(token, marks=True)
        return mark if mark.decode(errors="replace") in MARKERS else b""

    def _mark(self, token: int) -> str:
        return "" if token < 0 else self._model.piece(token, marks=True).decode(errors="replace")


def _stamp(file: Path | None) -> list[object]:
    """Tell a file of updates apart from others and from what it was before."""
    if file is None:
        return []
    stat = file.stat()
    return [str(file), stat.st_size, stat.st_mtime_ns]


def greedy(logits: Any, other: int) -> tuple[int, float, float]:
    """Return the likeliest token, its probability and that of another one, by the softmax.

    `logits` are float32, one for each token of the vocabulary. In single precision the
    probabilities are right to a millionth, and it takes a hundredth of a token's time.
    """
    token = int(logits.argmax())
    scale = 1.0 / float(np.exp(logits - logits[token]).sum())
    return token, scale, math.exp(float(logits[other]) - float(logits[token])) * scale
