"""A quote in its context: the sentences around it in the document as it was indexed.

The file itself is not opened: the index holds the whole text, and a quote's offsets mean
that text. This module prints nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from rag.datatypes import Answer, Citation, Quote
from rag.errors import UsageError
from rag.language import sentences

# So many sentences on either side, looked for in so many characters.
AROUND = 3
WINDOW = 1500


@dataclass(frozen=True, slots=True)
class Passage:
    """A quote with the text before and after it; `cut_...` says that there is more."""

    quote: Quote
    before: str
    after: str
    cut_before: bool
    cut_after: bool


def passage_of(quote: Quote, document: str) -> Passage:
    """Put a quote back where it stands.

    `document` is the indexed text; where it no longer holds the quote (it was indexed anew
    since), the context is what the quote's chunk has.
    """
    start, end = quote.start, quote.end
    if document[start:end] != quote.text:
        document = quote.chunk.text
        start, end = start - quote.chunk.start, end - quote.chunk.start
    low, high = _first(document, start), _last(document, end)
    return Passage(
        quote,
        before=document[low:start],
        after=document[end:high],
        cut_before=bool(document[:low].strip()),
        cut_after=bool(document[high:].strip()),
    )


def _first(text: str, start: int) -> int:
    base = max(0, start - WINDOW)
    spans = sentences(text[base:start])
    if base:
        spans = spans[1:]  # the window may begin within a sentence
    return base + spans[-AROUND:][0][0] if spans else start


def _last(text: str, end: int) -> int:
    top = min(len(text), end + WINDOW)
    spans = sentences(text[end:top])
    if top < len(text):
        spans = spans[:-1]
    return end + spans[:AROUND][-1][1] if spans else end


def numbered(answer: Answer) -> list[Citation]:
    """Return the citations of an answer; of a refusal what came closest, numbered alike."""
    if not answer.refused:
        return list(answer.citations)
    return [
        Citation(e.number, e.quote.chunk.path, e.quote.chunk.page, e.quote, e.also)
        for e in answer.evidence
    ]


def pick(answer: Answer, number: int) -> Citation:
    """Return the citation of that number; raises `UsageError` where there is none."""
    cited = numbered(answer)
    for citation in cited:
        if citation.number == number:
            return citation
    there = ", ".join(str(c.number) for c in cited)
    what = "sentence among those found" if answer.refused else "citation"
    raise UsageError(f"There is no {what} {number}", f"There is {there}." if there else "")
