"""Sentence spans of a text in any script, by rules.

Borders are full stops, questions and exclamation marks of all scripts, ends of
paragraphs, and, in what is longer than `limit`, the softest place at hand. It does not
know the text's language, and cuts nothing off: all that is not white space lies in
exactly one sentence.

Every look around a border has a bounded length, so that time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from rag.language.abbreviations import (
    BEFORE_NUMBER,
    LETTER_NAMES,
    LETTER_NAMES_AND_WORDS,
    MONTHS,
    NEVER_LAST,
    OPENERS,
    RARELY_LAST,
)
from rag.language.characters import IGNORABLE, category_class, is_cased, is_mark
from rag.language.lines import paragraphs
from rag.language.shortening import after_space, at_limit, at_thai_spaces, trimmed

LIMIT = 600
"""The longest sentence, in characters."""

_LOOK = 24  # no abbreviation is longer

# These end a sentence whatever follows: dandas, Urdu, CJK, Armenian, Ethiopic, Myanmar,
# Khmer, Tibetan.
_ALWAYS = "।॥۔؟。！？｡։።፧။។༎"
_ENDS = f".!?…{_ALWAYS}"
_CLOSERS = "\"'”’»)\\]}」』）】›〉》"
_OPENING = "\"'“‘«([{「『（【‹〈《¿¡*_"


def sentences(text: str, *, limit: int = LIMIT) -> list[tuple[int, int]]:
    """Return the spans of the sentences of `text`, in order, without outer white space.

    Spans do not overlap and cover all that is not white space. None is longer than
    `limit` characters.
    """
    spans: list[tuple[int, int]] = []
    for start, end in paragraphs(text):
        for piece in _at_marks(text, start, end):
            for part in at_thai_spaces(text, *piece):
                spans.extend(at_limit(text, *part, limit))
    return spans


# Borders at marks


def _at_marks(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Cut a paragraph after the marks that end a sentence."""
    spans: list[tuple[int, int]] = []
    begin = start
    for match in _marks().finditer(text, start, end):
        if _is_border(text, begin, end, match):
            _add(text, spans, begin, match.end())
            begin = match.end()
    _add(text, spans, begin, end)
    return spans


def _add(text: str, spans: list[tuple[int, int]], start: int, end: int) -> None:
    """Add a sentence; what holds no letter or digit goes to the sentence before it."""
    start, end = trimmed(text, start, end)
    if start >= end:
        return
    if spans and not _wordy().search(text, start, end):
        spans[-1] = (spans[-1][0], end)
    else:
        spans.append((start, end))


def _is_border(text: str, begin: int, end: int, match: re.Match[str]) -> bool:
    marks, closers = match[1], match[2]
    follows = after_space(text, match.end(), end)
    if follows == end or not set(_ALWAYS).isdisjoint(marks):
        return True
    spaced = follows > match.end()
    first = _first_letter(text, follows, end)
    if "!" in marks or "?" in marks:
        if not spaced:
            return _between_uncased(text, match.start(), first) and not closers
        return not (closers and first.islower())
    if not spaced:
        return not closers and marks == "." and _is_unspaced_stop(text, begin, match, first)
    if (first.islower() and not _camel().match(text, follows)) or is_mark(text[follows]):
        return False
    return marks != "." or _is_stop(text, begin, end, match.start(), follows)


def _first_letter(text: str, start: int, end: int) -> str:
    return text[start : min(end, start + 6)].lstrip(_OPENING)[:1] or " "


def _between_uncased(text: str, stop: int, first: str) -> bool:
    """Whether a mark stands between letters of scripts without capitals (Hindi ...)."""
    before = text[stop - 1] if stop else " "
    return first.isalpha() and not before.isascii() and _uncased(before) and not is_mark(first)


def _uncased(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM" and not is_cased(character)


def _is_unspaced_stop(text: str, begin: int, match: re.Match[str], first: str) -> bool:
    """Judge `की.इस`: a stop where the space was forgotten, but not `ए.पी.जे.`."""
    if not _between_uncased(text, match.start(), first):
        return False
    last = _token_before(text, begin, match.start()).rpartition(".")[2]
    return len(last) > 1 and not _is_initial(last) and last not in NEVER_LAST


def _units(token: str) -> int:
    return sum(not is_mark(character) for character in token)


def _is_initial(part: str) -> bool:
    return part in LETTER_NAMES or part in LETTER_NAMES_AND_WORDS


def _is_stop(text: str, begin: int, end: int, stop: int, follows: int) -> bool:
    """Judge a single full stop that is followed by a space and no small letter."""
    token = _token_before(text, begin, stop)
    following = _word_after(text, follows, end)
    if not token:
        return True
    if _is_list_mark(text, begin, stop):
        return False
    if token.isdigit():
        return not (len(token) <= 2 and following in MONTHS)
    last = token.rpartition(".")[2]
    if token in NEVER_LAST or last in NEVER_LAST:
        return False
    if last in BEFORE_NUMBER and (following[:1].isdigit() or following in MONTHS):
        return False
    if token in RARELY_LAST or last in RARELY_LAST or _is_acronym(token):
        return following in OPENERS
    return not _is_initial_name(text, token, begin, stop, following)


def _is_list_mark(text: str, begin: int, stop: int) -> bool:
    mark = text[begin:stop].strip() if stop - begin <= _LOOK else ""
    return (mark.isdigit() and len(mark) <= 3) or len(mark) == 1


def _is_acronym(token: str) -> bool:
    """Whether the token is a single letter or letters with stops between (`u.s`, `j`)."""
    return all(_units(part) == 1 and part.isalpha() for part in token.split("."))


def _is_initial_name(text: str, token: str, begin: int, stop: int, following: str) -> bool:
    """Judge initials written as letter names: `ए.पी.जे.`, `आई. के.`, `एम.`."""
    parts = token.split(".")
    if not all(map(_is_initial, parts)):
        return False
    if len(parts) > 1 or parts[0] in LETTER_NAMES or _is_initial(following):
        return True
    before = text[max(begin, stop - _LOOK) : stop].split()[-2:-1]
    return bool(before) and before[0].endswith(".") and _is_initial(before[0][:-1])


def _token_before(text: str, begin: int, stop: int) -> str:
    """Return the folded letters, digits and inner stops right before a full stop."""
    match = _token().search(text, max(begin, stop - _LOOK), stop)
    return _key(match[0]) if match else ""


def _word_after(text: str, start: int, end: int) -> str:
    match = _next_word().match(text, start, end)
    return _key(match[1]) if match else ""


def _key(token: str) -> str:
    return unicodedata.normalize("NFC", token).casefold()


# The patterns with classes of some hundred ranges are built when first needed.


@cache
def _marks() -> re.Pattern[str]:
    tail = f"[{_CLOSERS}{category_class('M')}{IGNORABLE}]|\\[[0-9]{{1,3}}\\]"
    return re.compile(f"([{_ENDS}]+)((?:{tail})*)")


@cache
def _wordy() -> re.Pattern[str]:
    return re.compile(f"[{category_class('LN')}]")


@cache
def _token() -> re.Pattern[str]:
    return re.compile(rf"[{category_class('LMN')}.-]+\Z")


@cache
def _next_word() -> re.Pattern[str]:
    return re.compile(f"[{re.escape(_OPENING)}]{{0,5}}([{category_class('LMN')}]{{1,{_LOOK}}})")


@cache
def _camel() -> re.Pattern[str]:
    return re.compile("[a-z][A-Z]")
