"""Which sentences of a collection are boilerplate: bylines, buttons, notices of the site.

Found by repetition and position: what stands near the beginning or the end of at least
three different documents belongs to the site and not to the article; a line that two
different documents each have more than once does, too. Copies of one article are not
different documents: what an agency sends to many papers is repeated, but no boilerplate.

Careful rather than thorough, because what is left out is not found any more: the first
line of a document is its title and always ranked, what says anything at all (four words)
stays ranked in the first document that has it, and nothing that stands in one document
only is ever left out. The text itself stays whole. Pure functions over texts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rag.chunking import Span, is_heading
from rag.datatypes import Document
from rag.language import words

FILES = 3
REPEATING_FILES = 2
# Sentences so near to the first or the last one may be a footer or a header.
EDGE = 8
# Copies share this part of the running text of the shorter one.
COPY = 0.5
PROSE_WORDS = 6
# Fewer words say nothing by themselves: a byline, a button.
TELLING_WORDS = 4
_LOOKED_AT = 24

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """What is compared of a document: for each sentence its key, and whether it is a line.

    `prose` maps the keys of its running text to their lengths in words, `size` is their
    sum.
    """

    keys: tuple[Key, ...]
    lines: tuple[bool, ...]
    prose: Mapping[Key, int]
    size: int


def outline(document: Document, spans: Sequence[Span]) -> Outline:
    """Prepare a document."""
    text = document.text
    keys = tuple(tuple(words(text[start:end])) for start, end in spans)
    lines = tuple(is_heading(text, spans, place) for place in range(len(spans)))
    prose = {
        key: len(key)
        for key, line in zip(keys, lines, strict=True)
        if not line and len(key) >= PROSE_WORDS
    }
    return Outline(keys, lines, prose, sum(prose.values()))


def boilerplate(outlines: Sequence[Outline]) -> list[frozenset[int]]:
    """Return for each document the places of the sentences that are boilerplate."""
    holders: dict[Key, list[int]] = defaultdict(list)
    repeating: dict[Key, list[int]] = defaultdict(list)
    for number, document in enumerate(outlines):
        counts = Counter(key for key in document.keys if key)
        for key, count in counts.items():
            holders[key].append(number)
            if count > 1:
                repeating[key].append(number)
    different = _Different(outlines)
    shared = {
        key
        for key, found in holders.items()
        if len(found) >= FILES and different.count(found) >= FILES
    }
    twice = {
        key
        for key, found in repeating.items()
        if len(found) >= REPEATING_FILES and different.count(found) >= REPEATING_FILES
    }
    return [
        frozenset(
            place
            for place in range(1, len(document.keys))
            if _is_left_out(document, place, shared, twice)
            and (
                len(document.keys[place]) < TELLING_WORDS or _seen(document, place, number, holders)
            )
        )
        for number, document in enumerate(outlines)
    ]


def _is_left_out(document: Outline, place: int, shared: set[Key], twice: set[Key]) -> bool:
    key = document.keys[place]
    if key in twice and document.lines[place]:
        return True
    return key in shared and min(place, len(document.keys) - 1 - place) < EDGE


def _seen(document: Outline, place: int, number: int, holders: Mapping[Key, Sequence[int]]) -> bool:
    """Whether the same sentence is ranked before: in another document, or above."""
    key = document.keys[place]
    return holders[key][0] != number or document.keys.index(key) < place


class _Different:
    """Counts documents that are not copies of each other, as far as is asked."""

    def __init__(self, outlines: Sequence[Outline]) -> None:
        self._outlines = outlines
        self._known: dict[tuple[int, int], bool] = {}

    def count(self, holders: Iterable[int]) -> int:
        """Count up to `FILES` different documents among the first holders."""
        chosen: list[int] = []
        for number in islice(holders, _LOOKED_AT):
            if not any(self._copies(number, other) for other in chosen):
                chosen.append(number)
            if len(chosen) == FILES:
                break
        return len(chosen)

    def _copies(self, one: int, other: int) -> bool:
        pair = (min(one, other), max(one, other))
        if pair not in self._known:
            self._known[pair] = _are_copies(*(self._outlines[number] for number in pair))
        return self._known[pair]


def _are_copies(one: Outline, other: Outline) -> bool:
    small, large = sorted((one, other), key=lambda document: len(document.prose))
    shared = sum(size for key, size in small.prose.items() if key in large.prose)
    return shared >= COPY * min(one.size, other.size)
