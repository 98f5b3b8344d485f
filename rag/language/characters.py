r"""Character classes for regular expressions, made from the Unicode categories.

Python's `re` knows no `\p{L}`, and its `\w` leaves out combining marks. It does not know
which class is wanted where; that is its users' matter.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from operator import itemgetter

# Letters, marks and numbers lie below U+33480 and among the variation selectors; above
# there are only private use and unassigned code points.
_ASSIGNED = (range(0x33480), range(0xE0100, 0xE01F0))

# Default_Ignorable_Code_Point of the Unicode Character Database, and the marks of
# interlinear annotations. In order of their planes.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Invisible characters that neither belong to a word nor end it, for use within `[...]`."""


@lru_cache(maxsize=1 << 14)
def is_ignorable(character: str) -> bool:
    """Whether no program draws the character (soft hyphen, joiner, tag ...)."""
    return re.fullmatch(f"[{IGNORABLE}]", character) is not None


# Not marks by category, yet they compose with what comes before: Hangul vowels and
# finals, half-width kana voicing marks, Kirat Rai vowel signs.
TRAILERS = "\u1160-\u11ff\uff9e\uff9f\U00016d63-\U00016d6a"

SPACELESS = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b"  # Han marks and numerals
    "\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3105-\u312f\u31a0-\u31bf"  # Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U0001b000-\U0001b16f\U00020000-\U000323af"  # kana and Han beyond the first plane
)
"""The scripts that put no space between words."""


@cache
def category_class(majors: str) -> str:
    """Return the inside of a `[...]` that matches the given major categories.

    `majors` are first letters of Unicode general categories: `"LMN"` gives letters,
    marks and numbers.
    """
    return "".join(
        f"\\U{start + run.start():08x}-\\U{start + run.end() - 1:08x}"
        for start, categories in _categories()
        for run in re.finditer(f"[{majors}]+", categories)
    )


@cache
def _categories() -> list[tuple[int, str]]:
    """Return for each range its start and the major category of each of its code points.

    Every command needs them, and a loop takes more than twice as long.
    """
    return [
        (codes.start, "".join(map(itemgetter(0), map(unicodedata.category, map(chr, codes)))))
        for codes in _ASSIGNED
    ]


def is_mark(character: str) -> bool:
    """Whether the character is a combining mark (category M)."""
    return unicodedata.category(character)[0] == "M"


def is_cased(character: str) -> bool:
    """Whether the character is a letter of a script with capitals."""
    return character.lower() != character.upper()
