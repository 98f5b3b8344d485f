"""A document cut into chunks on sentence borders.

A chunk is a slice of the document's text, never a rewrite. Every sentence lies in exactly
one chunk; there is no overlap, because sentences are searched one by one as well. This
module knows neither vectors nor the index.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rag.datatypes import Chunk, Document
from rag.language import sentences
from rag.language.splitting import LIMIT

CHUNKING_VERSION = "sentences-1"
"""Changed whenever the same document would give other chunks or sentences."""

_LONGEST_HEADING = 120
_MOST_HEADINGS = 4  # more short lines in a row are a list, not headings
_STOPPED = re.compile("[.!?।॥؟۔。！？…,;][\"'”’»)\\]}」』）】]*\\Z")
_LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunked:
    """A chunk with the spans of its sentences, as offsets into `document.text`."""

    chunk: Chunk
    sentences: tuple[Span, ...]


def chunking_identity(max_chars: int) -> str:
    """Name what the chunks depend on beside the document, such as `sentences-1/900`."""
    return f"{CHUNKING_VERSION}/{max_chars}"


def chunk_document(document: Document, *, max_chars: int) -> list[Chunked]:
    """Cut a document into chunks of at most `max_chars` characters, in order.

    A chunk never crosses the start of a page, ends at the end of a paragraph where that
    leaves it more than half full, and does not end in a heading.
    """
    return [
        _chunked(document, group, page)
        for page, start, end in _pages(document)
        for group in _packed(
            document.text, _page_sentences(document, start, end, max_chars), max_chars
        )
    ]


def sentence_spans_of(document: Document, *, max_chars: int) -> list[Span]:
    """Return the spans of all sentences, in order: those of `chunk_document`, chained."""
    return [
        span
        for _, start, end in _pages(document)
        for span in _page_sentences(document, start, end, max_chars)
    ]


def _pages(document: Document) -> Iterator[tuple[int | None, int, int]]:
    """Yield the 1-based number (`None` without pages), start and end of each page."""
    length = len(document.text)
    starts = document.page_starts
    if not starts:
        yield None, 0, length
        return
    # Whatever stands before the first start belongs to the first page.
    borders = [0, *starts[1:], length]
    for number, (start, end) in enumerate(pairwise(borders), 1):
        yield number, start, end


def _page_sentences(document: Document, start: int, end: int, max_chars: int) -> list[Span]:
    limit = min(LIMIT, max_chars)
    found = sentences(document.text[start:end], limit=limit)
    return [(start + first, start + last) for first, last in found]


def _packed(text: str, spans: list[Span], max_chars: int) -> Iterator[list[Span]]:
    """Pack consecutive sentences, as many as fit."""
    group: list[Span] = []
    for span in spans:
        while group and span[1] - group[0][0] > max_chars:
            size = _cut(text, [*group, span], max_chars)
            yield group[:size]
            group = group[size:]
        group.append(span)
    if group:
        yield group


def _cut(text: str, group: list[Span], max_chars: int) -> int:
    """Return how many sentences of a group go into its first chunk; never the last one."""
    size = len(group) - 1
    half = group[0][0] + max_chars // 2
    for place in range(size, 0, -1):
        if group[place - 1][1] < half:
            break
        if _breaks_between(text, group[place - 1], group[place]):
            size = place
            break
    return _without_headings(text, group, size)


def _without_headings(text: str, group: list[Span], size: int) -> int:
    """Leave headings at the end of the chunk to the next, with what they head."""
    kept = size
    while kept and size - kept < _MOST_HEADINGS and _is_heading(text, group, kept - 1):
        kept -= 1
    return kept if kept and size - kept < _MOST_HEADINGS else size


def _is_heading(text: str, group: list[Span], place: int) -> bool:
    """Whether a sentence is a short line of its own without a stop."""
    start, end = group[place]
    return (
        end - start <= _LONGEST_HEADING
        and not _STOPPED.search(text, max(start, end - 8), end)
        and _breaks_between(text, group[place], group[place + 1])
        and (place == 0 or _breaks_between(text, group[place - 1], group[place]))
    )


def _breaks_between(text: str, before: Span, after: Span) -> bool:
    return _LINE_BREAK.search(text, before[1], after[0]) is not None


def _chunked(document: Document, spans: list[Span], page: int | None) -> Chunked:
    start, end = spans[0][0], spans[-1][1]
    key = f"{document.path}\0{document.id}\0{start}\0{end}"
    chunk = Chunk(
        # A path may hold bytes that are no text; Python shows them as lone surrogates.
        id=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        document_id=document.id,
        path=document.path,
        start=start,
        end=end,
        page=page,
        text=document.text[start:end],
    )
    return Chunked(chunk=chunk, sentences=tuple(spans))
