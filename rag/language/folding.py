"""Words and numbers of a text, folded so that spellings of one word compare equal.

Folded away: case, compatibility forms, NFC against NFD, digits of other scripts, digit
grouping, what is invisible (as in Unicode's NFKC_Casefold), Arabic vowel signs and
tatweel, the Devanagari nukta and the spelling of its nasals. Kept: accents. It knows no
stop words and no stems.

A word is a run of Unicode letters, marks and numbers (L, M, N). Runs of scripts that put
no space between words (Han, kana, Thai, Lao, Khmer, Myanmar) become overlapping bigrams
of characters, as is usual in their retrieval (Kwok, 1997, "Comparing representations in
Chinese information retrieval").
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import chain, pairwise

from rag.language.characters import (
    IGNORABLE,
    SPACELESS,
    TRAILERS,
    category_class,
    is_ignorable,
)

# UAX #15 calls text with at most 30 marks in a row "stream-safe". Longer runs are folded
# in pieces: sorting the marks of one huge cluster takes quadratic time.
_MAX_TRAIL = 30

_NUKTA = "\u093c"
_CHANDRABINDU, _ANUSVARA, _VIRAMA = "\u0901", "\u0902", "\u094d"
_ARABIC_BLOCKS = ((0x0600, 0x06FF), (0x0750, 0x077F), (0x0870, 0x08FF))
_TATWEEL = "\u0640"
_ARABIC_DECIMAL, _ARABIC_THOUSANDS = "\u066b", "\u066c"
# These spaces group digits (15 000); an ordinary space is too often a word space.
_DIGIT_SPACES = frozenset("\u00a0\u2009\u202f")
_NBSP = "\u00a0"
# Put in the place of a grouping separator, so that offsets stay aligned.
_JOIN = "\u2060"

# A nasal with virama before a consonant of its own class is written as anusvara too.
_HOMORGANIC = re.compile(
    f"(?:ङ{_VIRAMA}(?=[क-घ])|ञ{_VIRAMA}(?=[च-झ])|ण{_VIRAMA}(?=[ट-ढ])"
    f"|न{_VIRAMA}(?=[त-ध])|म{_VIRAMA}(?=[प-भ]))"
)

# Possessive, and only from the first digit on: a megabyte of digits is tried once.
_NUMBER_RUN = re.compile(f"(?<![0-9])[0-9]++(?:[,.'’{_ARABIC_THOUSANDS}{_NBSP}][0-9]++)+")
# 1,234,567.8 with any one separator; Indian 12,34,567.8; 1.234.567,8 where the dots can
# only be grouping: two of them, a comma behind them, or a whole thousand (15.000).
_GROUPED = re.compile(
    f"[1-9][0-9]{{0,2}}([,'’{_ARABIC_THOUSANDS}{_NBSP}])[0-9]{{3}}"
    r"(?:\1[0-9]{3})*(?:\.[0-9]+)?"
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?"
)
_DOT_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]{1,2}|(?:\.[0-9]{3}){2,}|\.000)")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
# A number with all that it would be another one without: its sign, its decimals (whatever
# marks them), its groups, the other half of a time or a fraction, a percent sign.
_WHOLE_NUMBER = re.compile(
    r"(?:(?<![^\s(])[-−+.])?"
    r"(?:(?<!\d)\d{1,3}(?: \d{3}(?!\d))+|\d++)"
    rf"(?:[.,'’:/\u066b{_ARABIC_THOUSANDS}\u00a0\u2009\u202f]\d++)*+[%٪‰]?"
)
_SEPARATORS = re.compile(f"[,.'’{_ARABIC_THOUSANDS}{_NBSP}]")


def words(text: str) -> list[str]:
    """Return the folded words of `text`, in order, repeats included."""
    if text.isascii():
        folded = text.lower()
    else:  # without offsets, which take most of the time of `_fold_text`
        folded = "".join(map(_fold, _cluster_pattern().findall(text)))
    folded = _NUMBER_RUN.sub(_mark_separators, folded)
    return list(chain.from_iterable(map(_words_of, _word_pattern().findall(folded))))


def has_words(text: str) -> bool:
    """Whether `words` finds any: told by the first letter or digit, where there is one."""
    return any(c.isalnum() and _fold(c).strip() for c in text) or bool(words(text))


@lru_cache(maxsize=1 << 16)
def _words_of(run: str) -> tuple[str, ...]:
    """Return the words of a folded run of letters; most texts repeat a few thousand runs."""
    return tuple(word for word, _, _ in _cut(run, 0, len(run)))


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """Return `(word, start, end)` with offsets into `text` as given.

    The spans of bigrams overlap; those of other words do so only where one character
    holds several words (½ gives 1 and 2).
    """
    return list(_iterate(text))


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen `[start, end)` so that it cuts no word, no number and no letter from its marks."""
    whole = _wholes(text)
    before = None
    while before != (start, end):  # a number may begin in the middle of a word: Z5%
        before = start, end
        start = min([start, *(left for left, right in whole if left < start < right)])
        end = max([end, *(right for left, right in whole if left < end < right)])
    while 0 < start < len(text) and unicodedata.category(text[start])[0] == "M":
        start -= 1
    while end < len(text) and unicodedata.category(text[end])[0] == "M":
        end += 1
    return start, end


@lru_cache(maxsize=16)
def _wholes(text: str) -> tuple[tuple[int, int], ...]:
    """Return what must not be cut; kept, because many spans of one text are widened in a row."""
    apart = [
        (left, right)
        for _, left, right in _iterate(text)
        if not _is_spaceless().search(text[left:right])
    ]
    return (*apart, *(match.span() for match in _WHOLE_NUMBER.finditer(text)))


def numbers(text: str) -> list[str]:
    """Return the numbers of `text` in one spelling: `15000`, `3.5`, `-` and signs dropped.

    Digits inside words count (`80वीं` gives `80`). A dot before digits is a decimal point,
    unless it can only be grouping (`1.234.567`, `15.000`); a comma is only ever grouping.
    """
    return [_canonical(match) for word, _, _ in _iterate(text) for match in _NUMBER.finditer(word)]


def _canonical(match: re.Match[str]) -> str:
    whole = match[1].lstrip("0") or "0"
    fraction = (match[2] or "").rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _iterate(text: str) -> Iterator[tuple[str, int, int]]:
    folded, starts, ends = _fold_text(text)
    for word, start, end in _found(folded):
        yield word, starts[start], ends[end - 1]


def _found(folded: str) -> Iterator[tuple[str, int, int]]:
    """Yield the words of a folded text with their offsets in it."""
    folded = _NUMBER_RUN.sub(_mark_separators, folded)
    for match in _word_pattern().finditer(folded):
        yield from _cut(folded, *match.span())


def _cut(folded: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield the words of a run, with their offsets: itself, or bigrams in a spaceless script."""
    if _is_spaceless().search(folded, start, end):
        spans = _bigrams(folded, start, end)
    else:
        spans = iter([(start, end)])
    for left, right in spans:
        word = _finish(folded[left:right])
        if word:
            yield word, left, right


def _finish(run: str) -> str:
    run = run.replace(_JOIN, "")
    return _HOMORGANIC.sub(_ANUSVARA, run) if _VIRAMA in run else run


def _bigrams(folded: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Split a run at the borders of spaceless scripts, and those parts into bigrams."""
    for part in _script_parts().finditer(folded, start, end):
        if not _is_spaceless().match(part[0]):
            yield part.span()
            continue
        units = [unit.span() for unit in _units().finditer(folded, *part.span())]
        if len(units) == 1:
            yield units[0]
        for (first, _), (_, last) in pairwise(units):
            yield first, last


def _mark_separators(match: re.Match[str]) -> str:
    """Rewrite a run of digits and separators at equal length."""
    run = match[0]
    if _GROUPED.fullmatch(run):
        return _SEPARATORS.sub(lambda sep: "." if sep[0] == "." else _JOIN, run)
    if _DOT_GROUPED.fullmatch(run):
        return run.replace(".", _JOIN).replace(",", ".")
    if _DECIMAL.fullmatch(run):
        return run
    return _SEPARATORS.sub(" ", run)


def _fold_text(text: str) -> tuple[str, array[int], array[int]]:
    """Return the folded text and, for each of its characters, its source's start and end."""
    pieces: list[str] = []
    starts, ends = array("Q"), array("Q")
    for match in _cluster_pattern().finditer(text):
        folded = _fold(match[0])
        pieces.append(folded)
        start, end = match.span()
        for _ in folded:
            starts.append(start)
            ends.append(end)
    return "".join(pieces), starts, ends


@lru_cache(maxsize=1 << 16)
def _fold(cluster: str) -> str:
    """Fold a character with its marks."""
    if cluster[0] in _DIGIT_SPACES:
        return _NBSP
    # Unicode's NFKC_Casefold needs both steps twice (Greek iota subscript).
    folded = cluster
    for _ in range(2):
        folded = unicodedata.normalize("NFKD", folded).casefold()
    folded = "".join(map(_fold_character, unicodedata.normalize("NFKD", folded)))
    folded = folded.replace("i\u0307", "i")  # Turkish capital İ
    folded = unicodedata.normalize("NFC", folded)
    # m², ½ and ① must not grow into the digits beside them.
    return f" {folded} " if unicodedata.category(cluster[0]) == "No" else folded


@lru_cache(maxsize=1 << 14)
def _fold_character(character: str) -> str:
    category = unicodedata.category(character)
    if is_ignorable(character) or character in (_NUKTA, _TATWEEL) or category == "Me":
        return ""
    if category == "Mn" and _is_arabic(character):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if character == _ARABIC_DECIMAL:
        return "."
    return _ANUSVARA if character == _CHANDRABINDU else character


def _is_arabic(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _ARABIC_BLOCKS)


# The patterns hold classes of some hundred ranges; they are built when first needed.


@cache
def _cluster_pattern() -> re.Pattern[str]:
    trail = f"[{category_class('M')}{TRAILERS}{IGNORABLE}]"
    return re.compile(f".{trail}{{0,{_MAX_TRAIL}}}", re.DOTALL)


@cache
def _word_pattern() -> re.Pattern[str]:
    return re.compile(rf"(?:[{category_class('LMN')}{_JOIN}]|(?<=[0-9])\.(?=[0-9]))+")


@cache
def _script_parts() -> re.Pattern[str]:
    marks = category_class("M")
    return re.compile(f"[{SPACELESS}][{SPACELESS}{marks}]*|[^{SPACELESS}]+")


@cache
def _units() -> re.Pattern[str]:
    marks = category_class("M")
    return re.compile(f"[{SPACELESS}][{marks}]*")


@cache
def _is_spaceless() -> re.Pattern[str]:
    return re.compile(f"[{SPACELESS}]")
