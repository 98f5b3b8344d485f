"""A document cut into chunks on sentence borders.

A chunk is a slice of the document's text, never a rewrite. Every sentence lies in exactly
one chunk; there is no overlap, because sentences are searched one by one as well. Sizes
are counted in the embedder's own tokens, which are handed in as a function. This module
knows neither vectors nor the index.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.datatypes import Chunk, Document
from rag.language import sentences
from rag.language.shortening import at_limit

CHUNKING_VERSION = "sentences-2"
"""Changed whenever the same document would give other chunks, sentences or contexts."""

_LONGEST_HEADING = 120
_MOST_HEADINGS = 4  # more short lines in a row are a list, not headings
_STOPPED = re.compile("[.!?।॥؟۔。！？…,;][\"'”’»)\\]}」』）】]*\\Z")
_LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_MARKUP = re.compile(r"^[#\s*=_-]+|[#\s*=_-]+$")

Span = tuple[int, int]
Measure = Callable[[Sequence[str]], list[int]]
"""Returns the number of tokens of each text."""


@dataclass(frozen=True, slots=True)
class Chunked:
    """A chunk with the spans of its sentences, as offsets into `document.text`."""

    chunk: Chunk
    sentences: tuple[Span, ...]


def chunking_identity(max_tokens: int) -> str:
    """Name what the chunks depend on beside the document, such as `sentences-2/200`."""
    return f"{CHUNKING_VERSION}/{max_tokens}"


def chunk_document(document: Document, *, max_tokens: int, measure: Measure) -> list[Chunked]:
    """Cut a document into chunks of at most `max_tokens` tokens, in order.

    A chunk never crosses the start of a page, ends at the end of a paragraph where that
    leaves it more than half full, and does not end in a heading. The white space between
    sentences counts for nothing.
    """
    parts: list[Chunked] = []
    heading = ""
    for page, start, end in _pages(document):
        spans, sizes = _sized(document.text, start, end, max_tokens, measure)
        for group in _packed(document.text, spans, sizes, max_tokens):
            parts.append(_chunked(document, group, page, heading))
            heading = _last_heading(document.text, group) or heading
    return parts


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


def _sized(
    text: str, start: int, end: int, max_tokens: int, measure: Measure
) -> tuple[list[Span], list[int]]:
    """Return the sentences of a page and their sizes; none is larger than a chunk."""
    found = [(start + first, start + last) for first, last in sentences(text[start:end])]
    counts = measure([text[first:last] for first, last in found])
    spans: list[Span] = []
    sizes: list[int] = []
    for span, count in zip(found, counts, strict=True):
        if count > max_tokens:
            parts = _fitting(text, span, count, max_tokens, measure)
        else:
            parts = [(span, count)]
        spans += [part for part, _ in parts]
        sizes += [size for _, size in parts]
    return spans, sizes


def _fitting(
    text: str, span: Span, count: int, max_tokens: int, measure: Measure
) -> list[tuple[Span, int]]:
    """Cut a sentence until each part has at most `max_tokens` tokens, or one character."""
    limit = span[1] - span[0]
    while limit > 1:
        limit = max(1, min(limit - 1, limit * max_tokens // count))
        parts = list(at_limit(text, *span, limit))
        counts = measure([text[start:end] for start, end in parts])
        count = max(counts)
        if count <= max_tokens or limit == 1:
            return list(zip(parts, counts, strict=True))
    return [(span, count)]


def _packed(
    text: str, spans: Sequence[Span], sizes: Sequence[int], max_tokens: int
) -> Iterator[list[Span]]:
    """Pack consecutive sentences, as many as fit."""
    first, total = 0, 0
    for place, size in enumerate(sizes):
        while place > first and total + size > max_tokens:
            cut = _cut(text, spans, sizes, first, place, max_tokens)
            yield list(spans[first:cut])
            total -= sum(sizes[first:cut])
            first = cut
        total += size
    if first < len(spans):
        yield list(spans[first:])


def _cut(
    text: str,
    spans: Sequence[Span],
    sizes: Sequence[int],
    first: int,
    end: int,
    max_tokens: int,
) -> int:
    """Return where the chunk that begins with `first` ends: at `end` or before it."""
    cut, kept = end, sum(sizes[first:end])
    for place in range(end, first, -1):
        if kept < max_tokens // 2:
            break
        if _breaks_between(text, spans[place - 1], spans[place]):
            cut = place
            break
        kept -= sizes[place - 1]
    return _without_headings(text, spans, first, cut)


def _without_headings(text: str, spans: Sequence[Span], first: int, cut: int) -> int:
    """Leave headings at the end of the chunk to the next, with what they head."""
    kept = cut
    while kept > first and cut - kept < _MOST_HEADINGS and is_heading(text, spans, kept - 1):
        kept -= 1
    return kept if kept > first and cut - kept < _MOST_HEADINGS else cut


def is_heading(text: str, spans: Sequence[Span], place: int) -> bool:
    """Whether a sentence is a short line of its own without a stop."""
    start, end = spans[place]
    alone = (place + 1 == len(spans) or _breaks_between(text, spans[place], spans[place + 1])) and (
        place == 0 or _breaks_between(text, spans[place - 1], spans[place])
    )
    return (
        alone
        and end - start <= _LONGEST_HEADING
        and not _STOPPED.search(text, max(start, end - 8), end)
    )


def _last_heading(text: str, group: Sequence[Span]) -> str:
    """Return the last heading of a chunk that has text under it: a list is none."""
    for place in range(len(group) - 2, -1, -1):
        if is_heading(text, group, place) and not is_heading(text, group, place + 1):
            return _MARKUP.sub("", " ".join(text[slice(*group[place])].split()))
    return ""


def _breaks_between(text: str, before: Span, after: Span) -> bool:
    return _LINE_BREAK.search(text, before[1], after[0]) is not None


def _chunked(document: Document, spans: list[Span], page: int | None, heading: str) -> Chunked:
    start, end = spans[0][0], spans[-1][1]
    text = document.text[start:end]
    key = f"{document.path}\0{document.id}\0{start}\0{end}"
    above = [line for line in (document.title, heading) if line and line not in text]
    chunk = Chunk(
        # A path may hold bytes that are no text; Python shows them as lone surrogates.
        id=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        document_id=document.id,
        path=document.path,
        start=start,
        end=end,
        page=page,
        text=text,
        context="\n".join(dict.fromkeys(above)) if start else "",
    )
    return Chunked(chunk=chunk, sentences=tuple(spans))
