"""Which sentences of a collection are boilerplate: bylines, buttons, "Latest News".

Found by repetition and position. A line without a stop that stands in at least two
different documents, or a sentence that stands near the edge of at least three, belongs to
the site and not to the article. So does what lies between two such lines in the second
half of a document, and a row of lines without stops that follows one to the end: related
headlines. Copies of one article are not different documents: what an agency sends to many
papers is repeated, but is no boilerplate.

Only the ranking leaves boilerplate out; the text stays whole. Pure functions over texts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from rag.chunking import Span, is_heading
from rag.datatypes import Document
from rag.language import words

LINE_FILES = 2
SENTENCE_FILES = 3
# Sentences so near to the first or the last one may be a footer or a header.
EDGE = 8
# Copies share this part of the running text of the shorter one.
COPY = 0.5
PROSE_WORDS = 6
# Between two lines of boilerplate there may be so many sentences of other articles.
GAP = 6
_LOOKED_AT = 24

_DATELINE = re.compile(r"(?<!\d)(?:(?:19|20)\d\d|\d?\d:\d\d)(?!\d)")

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """What is compared of a document: for each sentence its key and whether it is a line.

    `prose` maps the keys of its running text to their lengths in words.
    """

    keys: tuple[Key, ...]
    lines: tuple[bool, ...]
    prose: Mapping[Key, int]


def outline(document: Document, spans: Sequence[Span]) -> Outline:
    """Prepare a document; lines with a year or a time count as equal but for digits."""
    text = document.text
    keys = tuple(_key(text[start:end]) for start, end in spans)
    lines = tuple(is_heading(text, spans, place) for place in range(len(spans)))
    prose = {
        key: len(key)
        for key, line in zip(keys, lines, strict=True)
        if not line and len(key) >= PROSE_WORDS
    }
    return Outline(keys, lines, prose)


def _key(text: str) -> Key:
    found = words(text)
    if _DATELINE.search(text):  # "Updated: 5 August 2025 10:30 IST"
        return tuple("0" if word.isdigit() else word for word in found)
    return tuple(found)


def boilerplate(outlines: Sequence[Outline]) -> list[frozenset[int]]:
    """Return for each document the places of the sentences that are boilerplate."""
    holders: dict[Key, list[int]] = defaultdict(list)
    for number, document in enumerate(outlines):
        for key in dict.fromkeys(document.keys):
            if key:
                holders[key].append(number)
    repeated = {key: found for key, found in holders.items() if len(found) >= LINE_FILES}
    different = _Different(outlines)
    counts = {key: different.count(found) for key, found in repeated.items()}
    return [_marked(document, counts) for document in outlines]


class _Different:
    """Counts documents that are not copies of each other, as far as is asked."""

    def __init__(self, outlines: Sequence[Outline]) -> None:
        self._outlines = outlines
        self._known: dict[tuple[int, int], bool] = {}

    def count(self, holders: Iterable[int]) -> int:
        """Count up to `SENTENCE_FILES` different documents among the first holders."""
        chosen: list[int] = []
        for number in islice(holders, _LOOKED_AT):
            if not any(self._copies(number, other) for other in chosen):
                chosen.append(number)
            if len(chosen) == SENTENCE_FILES:
                break
        return len(chosen)

    def _copies(self, one: int, other: int) -> bool:
        pair = (min(one, other), max(one, other))
        if pair not in self._known:
            self._known[pair] = _are_copies(*(self._outlines[number].prose for number in pair))
        return self._known[pair]


def _are_copies(one: Mapping[Key, int], other: Mapping[Key, int]) -> bool:
    smaller = min(sum(one.values()), sum(other.values()))
    shared = sum(size for key, size in one.items() if key in other)
    return smaller == 0 or shared >= COPY * smaller


def _marked(document: Outline, counts: Mapping[Key, int]) -> frozenset[int]:
    size = len(document.keys)
    repeated = {
        place
        for place, (key, line) in enumerate(zip(document.keys, document.lines, strict=True))
        if counts.get(key, 0) >= (LINE_FILES if line else SENTENCE_FILES)
        and (line or min(place, size - 1 - place) < EDGE)
    }
    return frozenset(repeated | _between(document, repeated) | _trailing(document, repeated))


def _between(document: Outline, repeated: set[int]) -> set[int]:
    """Return what lies between two repeated lines in the second half."""
    found: set[int] = set()
    places = sorted(p for p in repeated if p >= len(document.keys) // 2)
    for first, last in pairwise(places):
        if 1 < last - first <= GAP + 1:
            found |= set(range(first + 1, last))
    return found


def _trailing(document: Outline, repeated: set[int]) -> set[int]:
    """Return the lines without stops that follow the last repeated one to the end."""
    size = len(document.keys)
    last = max((p for p in repeated if p >= size // 2), default=size)
    rest = range(last + 1, size)
    return set(rest) if all(document.lines[place] for place in rest) else set()
