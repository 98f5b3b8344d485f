"""Cuts in a sentence that is too long: at spaces in Thai, else at the softest place.

It never parts a character from its marks, unless they alone exceed the limit. It does not
know what ends a sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from rag.language.characters import is_ignorable, is_mark

_SPACE = re.compile(r"\s+")
_THAI = re.compile("[\u0e00-\u0eff]")
_THAI_LIMIT = 200  # without sentence marks, a Thai paragraph is cut at its spaces
_SOFT = (
    re.compile(r"[;；؛](?=\s)|；"),
    re.compile(r"[:：](?=\s)|："),
    re.compile(r"[,，、،](?=\s)|[，、]"),
    re.compile(r"\s[–—-](?=\s)"),
    re.compile(r"\s(?=\S)"),
)
_ZWJ = "\u200d"
_LEADING_VOWELS = frozenset("เแโใไເແໂໃໄ")
_TRAILING_VOWELS = frozenset("ำຳ")
_VIRAMA_CLASS = 9


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without its outer white space."""
    piece = text[start:end]
    return end - len(piece.lstrip()), start + len(piece.rstrip())


def after_space(text: str, start: int, end: int) -> int:
    """Return where the next character that is no white space stands, at most `end`."""
    match = _SPACE.match(text, start, end)
    return match.end() if match else start


def at_thai_spaces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a long Thai or Lao sentence at its spaces."""
    if end - start <= _THAI_LIMIT or 2 * len(_THAI.findall(text, start, end)) < end - start:
        yield start, end
        return
    last = None
    for space in _SPACE.finditer(text, start, end):
        if last is not None and space.start() - start > _THAI_LIMIT:
            yield start, last.start()
            start = last.end()
        last = space
    if last is not None and end - start > _THAI_LIMIT:
        yield start, last.start()
        start = last.end()
    yield start, end


def at_limit(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """Cut what is longer than `limit` at the best border of each window of that length."""
    while end - start > limit:
        cut = _soft_cut(text, start, limit) or _hard_cut(text, start, start + limit)
        begin, stop = trimmed(text, start, cut)
        if begin < stop:
            yield begin, stop
        start = after_space(text, cut, end)
    if start < end:
        yield start, end


def _soft_cut(text: str, start: int, limit: int) -> int:
    """Return the last soft border of the window, 0 if there is none in its last two thirds."""
    for pattern in _SOFT:
        cuts = [match.end() for match in pattern.finditer(text, start + limit // 3, start + limit)]
        for cut in reversed(cuts):
            if not _inside_cluster(text, cut):
                return cut
    return 0


def _hard_cut(text: str, start: int, cut: int) -> int:
    """Return the last border of a cluster before `cut`; `cut` if all is one cluster."""
    for place in range(cut, start, -1):
        if not _inside_cluster(text, place):
            return place
    return cut


def _inside_cluster(text: str, place: int) -> bool:
    """Whether a cut at `place` would part a character from its marks or its conjunct."""
    before, after = text[place - 1], text[place]
    return (
        is_mark(after)
        or is_ignorable(after)
        or after in _TRAILING_VOWELS
        or before in _LEADING_VOWELS
        or before == _ZWJ
        or unicodedata.combining(before) == _VIRAMA_CLASS
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\u1160" <= after <= "\u11ff"  # Hangul vowels and finals
        or "\U0001f1e6" <= after <= "\U0001f1ff"  # second half of a flag
    )
