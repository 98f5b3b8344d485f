"""Which sentences of a collection are boilerplate: bylines, buttons, notices of the site.

Found by repetition and position: what stands near the beginning or the end of at least
three different documents belongs to the site and not to the article; a line that two
different documents each have more than once does, too. Copies of one article are not
different documents: what an agency sends to many papers is repeated, but no boilerplate.

Careful rather than thorough, because what is left out is not found any more: the first
line of a document is its title and always ranked, what says anything at all (four words)
stays ranked in the first document that has it, and nothing that stands in one document
only is ever left out. The text itself stays whole.

Sentences are compared by digests of their words, so that the outlines of a gigabyte of
text take some 100 MB, and need not be made again. Pure functions over outlines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

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
# About so many sentences are compared at once.
AT_ONCE = 1_000_000
# A document's running text is compared with that of its neighbours again and again.
_REMEMBERED = 256

_KEY = np.dtype("<u8")
_LENGTH = np.dtype("<u2")
_ROW = np.dtype([("key", _KEY), ("length", _LENGTH), ("line", "?")])
_LONGEST = int(np.iinfo(_LENGTH).max)

Keys = NDArray[np.uint64]
Holders = Mapping[int, Sequence[int]]
"""The numbers of the first documents that have a sentence, by its key, in order."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is compared of a document: a row a sentence, of shape `(sentences,)`.

    `keys` are digests of the folded words, `lengths` their count, and `lines` says what is
    a line of its own.
    """

    keys: Keys
    lengths: NDArray[np.uint16]
    lines: NDArray[np.bool_]

    def packed(self) -> bytes:
        """Return it in eleven bytes a sentence."""
        rows = np.empty(len(self.keys), dtype=_ROW)
        rows["key"], rows["length"], rows["line"] = self.keys, self.lengths, self.lines
        return rows.tobytes()

    @classmethod
    def unpacked(cls, data: bytes) -> Outline:
        """Return what `packed` packed; raises ValueError for other lengths."""
        rows = np.frombuffer(data, dtype=_ROW)
        return cls(*(np.ascontiguousarray(rows[name]) for name in ("key", "length", "line")))

    def prose(self) -> tuple[Keys, NDArray[np.uint16]]:
        """Return the keys of the running text, sorted, each once, and their lengths in words."""
        running = ~self.lines & (self.lengths >= PROSE_WORDS)
        keys, first = np.unique(self.keys[running], return_index=True)
        return keys, self.lengths[running][first]


def outline(document: Document, spans: Sequence[Span]) -> Outline:
    """Prepare a document."""
    text = document.text
    return outline_of(document, spans, [words(text[start:end]) for start, end in spans])


def outline_of(document: Document, spans: Sequence[Span], said: Sequence[Sequence[str]]) -> Outline:
    """Prepare a document whose sentences' words are known."""
    lines = [is_heading(document.text, spans, place) for place in range(len(spans))]
    return Outline(
        np.fromiter(map(_digest, said), dtype=_KEY, count=len(said)),
        np.fromiter((min(len(w), _LONGEST) for w in said), dtype=_LENGTH, count=len(said)),
        np.array(lines, dtype=np.bool_),
    )


def _digest(said: Sequence[str]) -> int:
    """Return a digest of words; a space is in none of them."""
    data = " ".join(said).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def boilerplate(outlines: Sequence[Outline]) -> list[frozenset[int]]:
    """Return for each document the places of the sentences that are boilerplate."""
    holders, repeating = _shared(outlines)
    different = _Different(outlines)

    @cache
    def is_shared(key: int) -> bool:
        return len(holders.get(key, ())) >= FILES and different.count(holders[key]) >= FILES

    @cache
    def is_repeated(key: int) -> bool:
        found = repeating[key]
        return len(found) >= REPEATING_FILES and different.count(found) >= REPEATING_FILES

    repeated = np.fromiter(repeating, dtype=_KEY, count=len(repeating))
    result = []
    for number, document in enumerate(outlines):
        keys = document.keys.tolist()
        lines = np.flatnonzero(document.lines & np.isin(document.keys, repeated)).tolist()
        found = {place for place in lines if is_repeated(keys[place])}
        found.update(place for place in _edges(len(keys)) if is_shared(keys[place]))
        result.append(
            frozenset(p for p in found if p and _says_nothing(document, p, number, holders))
        )
    return result


def _shared(outlines: Sequence[Outline]) -> tuple[Holders, Holders]:
    """Return who has the sentences that several have, and who has them more than once.

    Keys are digests, so those with one remainder are a like share of all: a share is looked at
    after the other, which bounds what is held at once.
    """
    shares = max(1, -(-sum(len(document.keys) for document in outlines) // AT_ONCE))
    holders: dict[int, list[int]] = {}
    repeating: dict[int, list[int]] = {}
    for share in range(shares):
        found = [_of_share(document, share, shares) for document in outlines]
        keys = np.concatenate([np.empty(0, dtype=_KEY), *found])
        counts = [len(each) for each in found]
        numbers = np.repeat(np.arange(len(outlines), dtype=np.int32), counts)
        order = np.argsort(keys, kind="stable")  # stable: documents stay in order
        keys, numbers = keys[order], numbers[order]
        # A document that has a sentence more than once stands in a row there.
        starts = np.ones(len(keys), dtype=np.bool_)
        starts[1:] = (keys[1:] != keys[:-1]) | (numbers[1:] != numbers[:-1])
        first = np.flatnonzero(starts)
        often = np.diff(np.append(first, len(keys))) > 1
        keys, numbers = keys[first], numbers[first]
        holders.update(_grouped(keys, numbers))
        repeating.update(_grouped(keys[often], numbers[often]))
    return holders, repeating


def _of_share(document: Outline, share: int, shares: int) -> Keys:
    """Return the keys of a document's sentences that have words and fall to this share."""
    keys: Keys = document.keys[document.lengths > 0]
    return keys if shares == 1 else keys[keys % np.uint64(shares) == share]


def _grouped(keys: Keys, numbers: NDArray[np.int32]) -> dict[int, list[int]]:
    """Group sorted keys; those that one document alone has are left out.

    More than the first holders are never looked at.
    """
    borders = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    first = np.concatenate([np.zeros(1, dtype=np.int64), borders]) if len(keys) else borders
    counts = np.diff(np.append(first, len(keys)))
    return {
        int(keys[first[place]]): numbers[first[place] :][: min(counts[place], _LOOKED_AT)].tolist()
        for place in np.flatnonzero(counts > 1)
    }


def _edges(size: int) -> Iterable[int]:
    """Return the places near the first or the last sentence."""
    return range(size) if size <= 2 * EDGE else (*range(EDGE), *range(size - EDGE, size))


def _says_nothing(document: Outline, place: int, number: int, holders: Holders) -> bool:
    """Whether nothing is lost: it is no sentence, or ranked in another document or above."""
    if document.lengths[place] < TELLING_WORDS:
        return True
    key = document.keys[place]
    return holders[int(key)][0] != number or bool((document.keys[:place] == key).any())


class _Different:
    """Counts documents that are not copies of each other, as far as is asked."""

    def __init__(self, outlines: Sequence[Outline]) -> None:
        self._prose = lru_cache(maxsize=_REMEMBERED)(lambda number: outlines[number].prose())
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
            self._known[pair] = self._are_copies(*pair)
        return self._known[pair]

    def _are_copies(self, one: int, other: int) -> bool:
        keys, lengths = self._prose(one)
        others, other_lengths = self._prose(other)
        _, places, _ = np.intersect1d(keys, others, assume_unique=True, return_indices=True)
        shared = int(lengths[places].sum(dtype=np.int64))
        sizes = (int(each.sum(dtype=np.int64)) for each in (lengths, other_lengths))
        return shared >= COPY * min(sizes)
