"""The nouns of the program: frozen dataclasses that cross module borders.

Offsets are counted in Unicode code points of `Document.text`, half open
(`start <= i < end`), and `text[start:end]` is always the very string that is shown.
This module knows no file format, no model and no index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field


@dataclass(frozen=True, slots=True)
class Document:
    """A source file, decoded.

    `id` is the SHA-256 of the file's bytes in hexadecimal; `path` is the name that is
    cited (relative to the indexed folder, `/` as separator); `page_starts` holds the
    offset at which each page begins and is empty for formats without pages; `date` is the
    day the document carries, as ISO 8601 (`2025-08-13`), or empty; `language` is its
    ISO 639-1 code.
    """

    id: str
    path: str
    title: str
    text: str
    page_starts: tuple[int, ...] = ()
    date: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a document: `document.text[start:end] == text`.

    `context` is the title and the heading that it stands under, where they lie outside of
    it: embedded with it, never quoted.
    """

    id: str
    document_id: str
    path: str
    start: int
    end: int
    page: int | None
    text: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk found for a question.

    `score` orders the hits (higher is better). `dense_rank` and `keyword_rank` are the
    1-based ranks in the two legs, `None` where a leg did not find the chunk; `dense` is
    the mean of the cosines of the chunk and of its best sentence, in [-1, 1], and
    `keyword` the share of the question's information whose words matched, in [0, 1].
    `matched` are these words, as the question has them. `reranked` is the reranker's
    score, `None` where there was none.
    """

    chunk: Chunk
    score: float
    dense_rank: int | None
    keyword_rank: int | None
    dense: float = 0.0
    keyword: float = 0.0
    matched: tuple[str, ...] = ()
    reranked: float | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A verified span of a document: `document.text[start:end] == text`."""

    chunk: Chunk
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which documents to look in; what is empty lets everything pass.

    `pattern` is a glob for a document's whole name or its last part, `language` an
    ISO 639-1 code; `since` and `until` are ISO 8601 dates, whole months or years, both
    included. A document without a date passes no bound.
    """

    pattern: str = ""
    language: str = ""
    since: str = ""
    until: str = ""

    def __str__(self) -> str:
        flags = zip(("--in", "--lang", "--since", "--until"), astuple(self), strict=True)
        return " ".join(f"{flag} {value}" for flag, value in flags if value)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that is shown to the generator.

    `number` is its 1-based rank; `score` is the cosine of its embedding with the
    question's, in [-1, 1]. The quote begins with the sentence before where it needs it.
    `also` are the same sentence in other files.
    """

    number: int
    quote: Quote
    score: float
    also: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim's source: the file, the page where there are pages, the sentence.

    `also` are the quotes of other files that say the same; `date` is the document's, as
    ISO 8601, or empty.
    """

    number: int
    path: str
    page: int | None
    quote: Quote
    also: tuple[Quote, ...] = ()
    date: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that an answer says, and the number of the citation that proves it.

    `original` are the words of the document where `text` is their translation, and
    `doubtful` says that it may well be a wrong one.
    """

    text: str
    citation: int
    original: str = ""
    doubtful: bool = False

    def __str__(self) -> str:
        original = f" ({self.original})" if self.original else ""
        return f"{self.text}{'?' * self.doubtful}{original} [{self.citation}]"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program says to a question.

    `language` is the ISO 639-1 code of the question. `text` is empty when the program
    refuses: the wording of a refusal belongs to the display. `confidence` is in [0, 1].
    `claims` are the parts of `text`; `disagree` says that two of them give different
    numbers from different files.
    `timings` are seconds by stage name. `tokens` counts prompt and generated tokens.
    `remembered` says that it was given before and is given again.
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
    claims: tuple[Claim, ...] = ()
    disagree: bool = False
    remembered: bool = False

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
    index to the SHA-256 of its bytes. `follow_links` says whether symbolic links were followed.
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
    follow_links: bool = False
