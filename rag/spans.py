"""Where in a text the answer to a question stands: the `Reader` protocol, and one on E5.

The reader is multilingual-e5-small with low-rank updates and a linear head that were
trained on questions in twelve languages (`training/train_reader.py`). It points at the
first and the last token of an answer, or at the token before the question where the text
holds none (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers",
section 4.3); so what it gives is a slice of the text and can be nothing else. The updates
(Hu et al. 2021, "LoRA") are put on the embedder's own encoder in llama.cpp, whose weights
stay as they are. It knows no index, no generator and no language: what it was trained in
decides what it reads well.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.embedding import Embedder, Encoder, LightEmbedder, Tokenizer, load_embedder
from rag.embedding.tokens import BEGIN, END, LONGEST
from rag.errors import ModelCorrupt
from rag.language import hidden_spans, whole_words, words
from rag.models import Progress, float_arrays, resolve_embedder
from rag.settings import Settings

# The encoder that the updates belong to, and the file of them.
BASE = "multilingual-e5-small"
UPDATES = "span_reader.gguf"
# The head's weight, (2, size), and bias, (2,), in the file's metadata.
WEIGHT, BIAS = "rag.head.weight", "rag.head.bias"
LONGEST_ANSWER = 40  # tokens
LONGEST_QUESTION = 256  # tokens; the text must have room beside it
STARTS = 10  # so many likely first tokens are tried with every end
# What an answer never begins or ends with.
EDGES = " \t\r\n.,;:।॥،؛。，、；：\"'“”‘’«»"
_MARKS = str.maketrans("<>", "‹›")
BRACKETS = {"(": ")", "（": "）", "[": "]"}

Logits = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Span:
    """A slice `[start, end)` of a text that may be the answer.

    `margin` is by how many nats of log-likelihood (start and end together) it beats "the
    text does not tell"; below 0 the reader believes there is no answer.
    """

    start: int
    end: int
    margin: float


class Reader(Protocol):
    """Finds answers in texts.

    `identity` names the weights; `vocabulary` are the pieces of words that it knows, common
    ones first, each that begins a word after a `▁`.
    """

    identity: str

    @property
    def vocabulary(self) -> Iterable[str]:
        """The pieces of words."""
        ...

    def read(self, question: str, texts: Sequence[str]) -> list[list[Span]]:
        """Return for each text its likeliest spans, best first; none for an empty text."""
        ...


@dataclass(frozen=True, slots=True)
class _Input:
    """What goes through the encoder: question and text, and where the text's tokens lie.

    `offsets` are the characters of each of these tokens in the text.
    """

    ids: list[int]
    first: int
    offsets: list[tuple[int, int]]


class SpanReader:
    """A `Reader` on the encoder of multilingual-e5-small, in llama.cpp.

    `head` is the weight, shape (2, size), and the bias, shape (2,), of starts and ends.
    """

    def __init__(
        self, encoder: Encoder, head: tuple[Logits, Logits], tokenizer: Tokenizer, identity: str
    ) -> None:
        self._encoder = encoder
        self._head = head
        self._tokenizer = tokenizer
        self.identity = identity

    @classmethod
    def shipped(cls, embedder: Embedder, settings: Settings, progress: Progress) -> SpanReader:
        """Load the updates that come with the package onto the encoder of e5-small.

        That is the embedder's own where it is this model; else it is fetched and loaded.
        Raises `ModelError`; see `load`.
        """
        if settings.embedder != BASE or not isinstance(embedder, LightEmbedder):
            file = resolve_embedder(BASE, settings, progress)
            embedder = load_embedder(file, offline=settings.offline, threads=settings.threads)
        if not isinstance(embedder, LightEmbedder):
            raise ModelCorrupt(
                f"{BASE} has no encoder for llama.cpp", f"Run: rag models pull {BASE}"
            )
        updates = Path(str(resources.files("rag"))) / UPDATES
        return cls.load(updates, embedder.encoder, embedder.tokenizer)

    @classmethod
    def load(cls, updates: Path, base: Encoder, tokenizer: Tokenizer) -> SpanReader:
        """Put trained updates on an encoder; `base` itself stays as it is.

        Raises `ModelCorrupt` where the file is missing, damaged, or made for another shape.
        """
        try:
            found = float_arrays(updates, (WEIGHT, BIAS))
            bias = np.array(found[BIAS], dtype=np.float32)
            if bias.shape != (2,) or len(found[WEIGHT]) != 2 * base.size:
                raise ValueError(f"its head is none for vectors of {base.size}")
        except (OSError, ValueError) as error:
            raise ModelCorrupt(
                f"The span reader at {updates} cannot be loaded: {error}",
                "Reinstall the package: pip install --force-reinstall rag-ask",
            ) from error
        weight = np.array(found[WEIGHT], dtype=np.float32).reshape(2, -1)
        return cls(base.adapted(updates), (weight, bias), tokenizer, updates.stem)

    @property
    def vocabulary(self) -> Iterable[str]:
        """The pieces of the tokenizer; see `Reader`."""
        return self._tokenizer.vocabulary()

    def read(self, question: str, texts: Sequence[str]) -> list[list[Span]]:
        """Read all texts; see `Reader`."""
        seen = [plain(text) for text in texts]
        asked = self._tokenizer.pieces(f"query: {plain(question)[0]}").ids[:LONGEST_QUESTION]
        inputs = [self._input(asked, text) for text, _ in seen]
        found = []
        for (text, places), one, logits in zip(seen, inputs, self._logits(inputs), strict=True):
            tokens = range(one.first, one.first + len(one.offsets))
            spans = best_spans(text, logits, tokens, [(0, 0)] * one.first + one.offsets)
            found.append([Span(places[s.start], places[s.end - 1] + 1, s.margin) for s in spans])
        return found

    def _input(self, asked: Sequence[int], text: str) -> _Input:
        """Join them as `<s> question </s></s> text </s>`, the text's end cut off if need be."""
        before = [BEGIN, *asked, END, END]
        pieces = self._tokenizer.pieces(text)
        room = LONGEST - len(before) - 1
        ids = [*before, *pieces.ids[:room], END]
        return _Input(ids, len(before), pieces.offsets[:room])

    def _logits(self, inputs: Sequence[_Input]) -> list[Logits]:
        """Return log-probabilities of starts and ends, of each input (tokens, 2)."""
        weight, bias = self._head
        found = []
        for states in self._encoder.states([one.ids for one in inputs]):
            logits = states @ weight.T + bias
            logits -= logits.max(axis=0)
            found.append(logits - np.log(np.exp(logits).sum(axis=0)))
        return found


def plain(text: str) -> tuple[str, list[int]]:
    """Return the text as a reader sees it, and the place of each of its characters.

    What is hidden is left out (`rag.language.hidden`), and no angle bracket is left that
    the tokenizer could take for one of its marks (`</s>`).
    """
    kept: list[int] = []
    done = 0
    for start, end in [*hidden_spans(text), (len(text), len(text))]:
        kept += range(done, start)
        done = end
    return "".join(text[place] for place in kept).translate(_MARKS), kept


def best_spans(
    text: str,
    logits: Logits,
    tokens: Sequence[int],
    offsets: Sequence[Sequence[int]],
    count: int = 3,
) -> list[Span]:
    """Return the likeliest different spans of a text.

    `logits` are log-probabilities of shape (tokens of the input, 2); `tokens` the places of
    the text's tokens in it and `offsets` each token's characters. Spans are widened to
    whole words, so that no number and no name is cut, and lose punctuation at their edges.
    """
    nothing = float(logits[0].sum())
    starts = sorted(tokens, key=lambda t: -logits[t, 0])[:STARTS]
    pairs = (
        (float(logits[a, 0] + logits[b, 1]), offsets[a][0], offsets[b][1])
        for a in starts
        for b in tokens
        if a <= b < a + LONGEST_ANSWER
    )
    found: dict[tuple[int, int], Span] = {}
    for score, start, end in sorted(pairs, reverse=True):
        place = trimmed(text, *whole_words(text, start, end))
        if place not in found and words(text[slice(*place)]):
            found[place] = Span(*place, score - nothing)
            if len(found) == count:
                break
    return list(found.values())


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without what an answer never begins or ends with."""
    while start < end:
        inside = text[start:end]
        opening = inside[0] in EDGES or _alone(inside, inside[0], BRACKETS)
        if opening and _loose(text, start):
            start += 1
        elif inside[-1] in EDGES or _alone(inside, inside[-1], {b: a for a, b in BRACKETS.items()}):
            end -= 1
        else:
            break
    return start, end


def _loose(text: str, place: int) -> bool:
    """Whether no mark hangs on this punctuation, and no decimal (`.5`)."""
    # A joiner between the two changes nothing about what hangs on what.
    rest = (c for c in text[place + 1 :] if unicodedata.category(c) != "Cf")
    following = next(rest, "")
    apart = place == 0 or text[place - 1].isspace()
    decimal = text[place] == "." and apart and following.isdecimal()
    marked = unicodedata.category(following or " ")[0] == "M"
    return not decimal and not marked


def _alone(inside: str, bracket: str, others: Mapping[str, str]) -> bool:
    """Whether this is a bracket whose other one is missing."""
    return bracket in others and others[bracket] not in inside
