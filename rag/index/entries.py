"""What is put into an index: a document, its chunks and sentences, what is embedded of them.

Knows neither files nor an embedder: it says which texts are to be embedded, and names each
by a digest, so that the same text is never embedded twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from rag.datatypes import Chunk, Document
from rag.index.vectors import Vectors
from rag.language import visible

Span = tuple[int, int]
Spans = tuple[Span, ...]
KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Part:
    """A document that was read and cut, but not embedded yet.

    `source` is the absolute path it was read from; `sentences[i]` are the sentence spans of
    `chunks[i]`. Raises ValueError where the two do not agree.
    """

    document: Document
    source: str
    chunks: tuple[Chunk, ...]
    sentences: tuple[Spans, ...]

    def __post_init__(self) -> None:
        if len(self.chunks) != len(self.sentences):
            raise ValueError(f"{self.document.path}: chunks and sentences misaligned")

    @property
    def flat(self) -> list[Span]:
        """The sentences of all chunks."""
        return [span for group in self.sentences for span in group]


@dataclass(frozen=True, slots=True)
class Entry:
    """A document that is ready to be indexed.

    `source` is the absolute path it was read from; `sentences[i]` are the sentence spans
    of `chunks[i]`, and `boilerplate` the places of those that are not ranked, counted
    through all chunks. `chunk_vectors` has one row a chunk; `sentence_vectors` one row a
    sentence that is ranked, in the order of the chunks.
    """

    document: Document
    source: str
    chunks: tuple[Chunk, ...]
    sentences: tuple[Spans, ...]
    chunk_vectors: Vectors
    sentence_vectors: Vectors
    boilerplate: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        spans = sum(len(s) for s in self.sentences)
        if len(self.chunks) != len(self.sentences) or len(self.chunks) != len(self.chunk_vectors):
            raise ValueError(f"{self.document.path}: chunks, sentences and vectors misaligned")
        spans -= len(self.boilerplate)
        if spans != len(self.sentence_vectors):
            raise ValueError(f"{self.document.path}: {spans} sentences, other count of vectors")

    @property
    def part(self) -> Part:
        """The document without its vectors."""
        return Part(self.document, self.source, self.chunks, self.sentences)


def whole_text(text: str, context: str, start: int, spans: Spans, kept: Sequence[bool]) -> str:
    """Return what is embedded of a chunk: its context, and of its text what is ranked.

    `start` is the chunk's offset and `kept` says of each of its sentences whether it is
    ranked; where none is, the chunk stays whole.
    """
    if any(kept) and not all(kept):
        ranked = (span for span, keep in zip(spans, kept, strict=True) if keep)
        text = "\n".join(text[first - start : last - start] for first, last in ranked)
    return as_seen(f"{context}\n{text}" if context else text)


def as_seen(text: str) -> str:
    """Return a text for the embedder: what is hidden in it must not be found by it.

    Its tokenizer takes `</s>` in a text for the end of it, hence the other brackets.
    """
    return visible(text).replace("<", "‹").replace(">", "›")


def key_of(text: str) -> bytes:
    """Name a text that is embedded."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def kept_by_chunk(sentences: Iterable[Spans], skipped: Collection[int]) -> Iterator[list[bool]]:
    """Yield for each chunk whether its sentences are ranked; places count through all."""
    places = count()
    for group in sentences:
        yield [next(places) not in skipped for _ in group]
