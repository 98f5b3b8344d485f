"""Paragraphs of a text: which line breaks are borders, and which only wrap a long line.

A text whose lines were wrapped at some width (letters, Gutenberg books, PDF) is
recognised by its lines being full: the next word would not have fitted. In any other
text each line break is a border. It does not know sentences.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from rag.language.characters import SPACELESS

_LINE = re.compile("[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_SINGLE_BREAKS = frozenset({"\n", "\r", "\r\n"})
# A line that opens something new: a bullet, a number, a heading, a quote, a table row.
_OPENS = re.compile(r"\s*(?:[-*+•‣◦–—·]\s|#{1,6}\s|>|\||\(?[0-9०-९]{1,3}[.)]\s|\[[0-9]+\]\s)")
_HEADING = re.compile(r"\s*#{1,6}\s")
_STOPS = frozenset(".!?।॥؟۔。！？…:;")
_CLOSERS = "\"'”’»)]}」』）】›"
_SPACELESS = re.compile(f"[{SPACELESS}]")

# Widths in columns. Typewriters and mail wrap at 60 to 80; a two-column page at 40.
_NARROWEST, _WIDEST = 36, 110
_FEWEST_LINES = 3
# PDF lines of one paragraph differ by some characters, as letters differ in width.
_NEARLY = 0.85


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    after_blank: bool


def paragraphs(text: str) -> list[tuple[int, int]]:
    """Return the spans of the paragraphs of `text`, in order and without blank ones.

    A span may hold line breaks, where these only wrap.
    """
    lines = _lines(text)
    width = _wrap_width(text, lines)
    spans: list[tuple[int, int]] = []
    before: _Line | None = None
    for line in lines:
        if before is not None and not line.after_blank and _continues(text, before, line, width):
            spans[-1] = (spans[-1][0], line.end)
        else:
            spans.append((line.start, line.end))
        before = line
    return spans


def _lines(text: str) -> list[_Line]:
    found: list[_Line] = []
    for match in _LINE.finditer(text):
        if match[0].isspace():
            continue
        gap = text[found[-1].end : match.start()] if found else ""
        found.append(_Line(*match.span(), after_blank=gap not in _SINGLE_BREAKS))
    return found


def _continues(text: str, before: _Line, line: _Line, width: int) -> bool:
    """Whether `line` goes on with the sentence or paragraph of the line before it."""
    if _OPENS.match(text, line.start, line.end) or _HEADING.match(text, before.start, before.end):
        return False
    columns = _columns(text, before)
    if width:
        return columns + 1 + _first_word(text, line) >= width * _NEARLY
    return (
        _NARROWEST <= columns <= _WIDEST
        and not _ends_in_stop(text, before)
        and _first(text, line).islower()
    )


def _wrap_width(text: str, lines: list[_Line]) -> int:
    """Return the width in columns at which the text is wrapped, 0 if it is not."""
    pairs = [
        (before, line)
        for before, line in pairwise(lines)
        if not line.after_blank and not _OPENS.match(text, line.start, line.end)
    ]
    if len(pairs) < _FEWEST_LINES:
        return 0
    lengths = sorted(_columns(text, before) for before, _ in pairs)
    width = lengths[len(lengths) * 9 // 10]
    if not _NARROWEST <= width <= _WIDEST:
        return 0
    full = sum(
        _columns(text, before) + 1 + _first_word(text, line) >= width * _NEARLY
        for before, line in pairs
    )
    stopped = sum(_ends_in_stop(text, before) for before, _ in pairs)
    goes_on = sum(_may_continue(_first(text, line)) for _, line in pairs)
    share = len(pairs)
    wrapped = full >= 0.7 * share and stopped <= 0.4 * share and goes_on >= 0.3 * share
    return width if wrapped else 0


def _may_continue(first: str) -> bool:
    """Whether a sentence can go on with this character: no capital, no digit, no sign."""
    return first.isalpha() and not first.isupper()


def _first(text: str, line: _Line) -> str:
    return text[line.start : line.start + 200].lstrip(" \t\"'“‘«(")[:1]


def _first_word(text: str, line: _Line) -> int:
    words = text[line.start : min(line.end, line.start + 200)].split(maxsplit=1)
    if not words:
        return 0
    return 2 if _SPACELESS.match(words[0]) else min(len(words[0]), 20)


def _columns(text: str, line: _Line) -> int:
    """Return the width of a line on a terminal; beyond the widest, its length will do."""
    shown = text[line.start : line.end]
    if shown.isascii() or len(shown) > 4 * _WIDEST:
        return len(shown.strip())
    return sum(map(_width, shown.strip()))


def _width(character: str) -> int:
    if unicodedata.category(character) == "Mn":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _ends_in_stop(text: str, line: _Line) -> bool:
    tail = text[max(line.start, line.end - 50) : line.end].rstrip().rstrip(_CLOSERS)
    return tail[-1:] in _STOPS
