"""Where in a text the answer to a question stands: the `Reader` protocol, and one on E5.

The reader is multilingual-e5-small with low-rank updates and a linear head that were
trained on questions in twelve languages (`training/train_reader.py`). It points at the
first and the last token of an answer, or at the token before the question where the text
holds none (Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers",
section 4.3); so what it gives is a slice of the text and can be nothing else. The updates
(Hu et al. 2021, "LoRA") are added to the weights when it is loaded. It knows no index, no
generator and no language: what it was trained in decides what it reads well.
"""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.embedding import Backbone, Embedder, SentenceTransformerEmbedder, loading
from rag.errors import ModelCorrupt
from rag.language import hidden_spans, whole_words, words
from rag.models import Progress, resolve_embedder
from rag.settings import Settings

# The encoder that the updates belong to; the trained layers of it, and LoRA's alpha/rank.
BASE = "multilingual-e5-small"
LINEAR = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
SCALE = 2.0
LONGEST_ANSWER = 40  # tokens
LONGEST_INPUT = 512  # tokens; the rest of a longer text is not read
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
    def vocabulary(self) -> Sequence[str]:
        """The pieces of words."""
        ...

    def read(self, question: str, texts: Sequence[str]) -> list[list[Span]]:
        """Return for each text its likeliest spans, best first; none for an empty text."""
        ...


class SpanReader:
    """A `Reader` on the encoder of multilingual-e5-small, in float32, on the CPU."""

    def __init__(self, encoder: Any, head: tuple[Any, Any], tokenizer: Any, identity: str) -> None:
        self._encoder = encoder
        self._head = head
        self._tokenizer = tokenizer
        self.identity = identity

    @classmethod
    def shipped(cls, embedder: Embedder, settings: Settings, progress: Progress) -> SpanReader:
        """Load the weights that come with the package onto the encoder of e5-small.

        That is the embedder's own where it is this model; else it is fetched and loaded.
        Raises `ModelError`; see `load`.
        """
        if settings.embedder != BASE or not isinstance(embedder, SentenceTransformerEmbedder):
            file = resolve_embedder(BASE, settings, progress)
            embedder = SentenceTransformerEmbedder.load(file, offline=settings.offline)
        weights = Path(str(resources.files("rag"))) / "span_reader.safetensors"
        return cls.load(weights, embedder.backbone())

    @classmethod
    def load(cls, weights: Path, base: Backbone) -> SpanReader:
        """Add trained updates to a copy of the encoder's layers; embeddings are shared.

        Raises `ModelCorrupt` where the file is missing, damaged, or made for another shape.
        """

        def corrupt(error: Exception) -> ModelCorrupt:
            return ModelCorrupt(
                f"The span reader at {weights} cannot be loaded: {error}",
                "Reinstall the package: pip install --force-reinstall rag-ask",
            )

        with loading(corrupt):
            import torch
            from safetensors.torch import load_file

            tensors = {name: t.float() for name, t in load_file(weights).items()}
            shared = {id(base.encoder.embeddings): base.encoder.embeddings}
            encoder = copy.deepcopy(base.encoder, shared).eval()
            with torch.no_grad():
                for name, module in encoder.named_modules():
                    if name.startswith("encoder.layer.") and name.endswith(LINEAR):
                        update = tensors[f"{name}.up"] @ tensors[f"{name}.down"]
                        module.weight.add_(update, alpha=SCALE)
            head = (tensors["head.weight"], tensors["head.bias"])
            size = base.encoder.config.hidden_size
            if [t.shape for t in head] != [(2, size), (2,)]:
                raise ValueError(f"its head is none for vectors of {size}")
        return cls(encoder, head, base.tokenizer, weights.stem)

    @property
    def vocabulary(self) -> Sequence[str]:
        """The pieces of the tokenizer; see `Reader`."""
        pieces: dict[str, int] = self._tokenizer.get_vocab()
        return sorted(pieces, key=lambda piece: pieces[piece])

    def read(self, question: str, texts: Sequence[str]) -> list[list[Span]]:
        """Read all texts in one batch; see `Reader`."""
        if not texts:
            return []
        seen = [plain(text) for text in texts]
        encoded = self._tokenizer(
            [self._cut(f"query: {plain(question)[0]}")] * len(texts),
            [text for text, _ in seen],
            truncation="only_second",
            max_length=LONGEST_INPUT,
            padding=True,
            return_offsets_mapping=True,
            return_tensors="pt",
        )
        logits = self._logits(encoded)
        found = []
        for row, (text, places) in enumerate(seen):
            sides = encoded.sequence_ids(row)
            tokens = [place for place, side in enumerate(sides) if side == 1]
            offsets = encoded["offset_mapping"][row].tolist()
            spans = best_spans(text, logits[row], tokens, offsets)
            found.append([Span(places[s.start], places[s.end - 1] + 1, s.margin) for s in spans])
        return found

    def _cut(self, question: str) -> str:
        """Return the beginning of a question that leaves room for a text."""
        places = self._tokenizer(
            question, truncation=True, max_length=LONGEST_QUESTION, return_offsets_mapping=True
        )["offset_mapping"]
        return question[: max(end for _, end in places)]

    def _logits(self, encoded: Any) -> Logits:
        """Return log-probabilities of starts and ends, shape (texts, tokens, 2)."""
        import torch

        mask = encoded["attention_mask"]
        with torch.inference_mode():
            states = self._encoder(input_ids=encoded["input_ids"], attention_mask=mask)[0]
            logits = torch.nn.functional.linear(states.float(), *self._head)
            logits = logits.masked_fill(~mask.bool()[..., None], -1e4).log_softmax(dim=1)
        return np.asarray(logits.numpy(), dtype=np.float32)


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
    following = text[place + 1 : place + 2]
    apart = place == 0 or text[place - 1].isspace()
    decimal = text[place] == "." and apart and following.isdecimal()
    marked = unicodedata.category(following or " ")[0] == "M"
    return not decimal and not marked


def _alone(inside: str, bracket: str, others: Mapping[str, str]) -> bool:
    """Whether this is a bracket whose other one is missing."""
    return bracket in others and others[bracket] not in inside
