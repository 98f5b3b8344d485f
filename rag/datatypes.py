"""The nouns of the program: frozen dataclasses that cross module borders.

Offsets are counted in Unicode code points of `Document.text`, half open
(`start <= i < end`), and `text[start:end]` is always the very string that is shown.
This module knows no file format, no model and no index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Document:
    """A source file, decoded.

    `id` is the SHA-256 of the file's bytes in hexadecimal; `path` is the name that is
    cited (relative to the indexed folder, `/` as separator); `page_starts` holds the
    offset at which each page begins and is empty for formats without pages.
    """

    id: str
    path: str
    title: str
    text: str
    page_starts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a document: `document.text[start:end] == text`."""

    id: str
    document_id: str
    path: str
    start: int
    end: int
    page: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found for a question.

    `score` orders the hits (higher is better). `dense_rank` and `keyword_rank` are the
    1-based ranks in the two legs, `None` where a leg did not find the chunk.
    """

    chunk: Chunk
    score: float
    dense_rank: int | None
    keyword_rank: int | None


@dataclass(frozen=True, slots=True)
class Quote:
    """A verified span of a document: `document.text[start:end] == text`."""

    chunk: Chunk
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that is shown to the generator.

    `number` is its 1-based rank; `score` is the cosine of its embedding
    with the question's, in [-1, 1].
    """

    number: int
    quote: Quote
    score: float


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim's source: the file, the page where there are pages, the sentence."""

    number: int
    path: str
    page: int | None
    quote: Quote


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program says to a question.

    `language` is the ISO 639-1 code of the question. `text` is empty when the program
    refuses: the wording of a refusal belongs to the display. `confidence` is in [0, 1].
    `timings` are seconds by stage name. `tokens` counts prompt and generated tokens.
    """

    question: str
    language: str
    text: str
    citations: tuple[Citation, ...]
    hits: tuple[Hit, ...]
    evidence: tuple[Evidence, ...]
    confidence: float
    timings: Mapping[str, float] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the documents were found not to tell."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index was made with; it refuses any other embedder or chunking.

    `embedder` and `chunking` are identities (name and digest, or parameters);
    `dimension` is the length of a vector; `created` is an ISO 8601 time in UTC;
    `roots` are the absolute paths that were indexed; `files` maps each file of the
    index to the SHA-256 of its bytes.
    """

    format: int
    embedder: str
    dimension: int
    chunking: str
    documents: int
    chunks: int
    sentences: int
    created: str
    roots: tuple[str, ...]
    files: Mapping[str, str]
