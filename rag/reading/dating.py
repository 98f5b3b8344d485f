"""The day that a document carries: in its name, else in a line of its head.

A line of the head is one of the first lines, short, with a day, a month and a year in it,
such as `Aug 13, 2025, 11:03 AM` or `नई दिल्ली, 13 अगस्त 2025`. dateparser knows the months
of some two hundred languages. Days named in running text are not looked at: they are days
the text tells of. Of `12/08/2025` the first number is taken for the day.
"""

from __future__ import annotations

import io
import re
import unicodedata
from datetime import date
from itertools import islice

from rag.language import words

HEAD_LINES = 12
LONGEST_LINE = 80
DATELINE_WORDS = 6
_IN_NAME = re.compile(r"(?<![0-9])((?:19|20)[0-9]{2})([-_.]?)([01][0-9])\2([0-3][0-9])(?![0-9])")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")
_SETTINGS = {
    "STRICT_PARSING": True,
    "PARSERS": ["absolute-time"],  # "3 hours ago" would be counted from today
    "REQUIRE_PARTS": ["day", "month", "year"],
    "DATE_ORDER": "DMY",
    "RETURN_AS_TIMEZONE_AWARE": False,
}


def date_of(name: str, text: str) -> str:
    """Return the date as ISO 8601, or '' where the document carries none."""
    found = _IN_NAME.search(name.rsplit("/", 1)[-1])
    if found:
        try:
            return date(int(found[1]), int(found[3]), int(found[4])).isoformat()
        except ValueError:
            pass  # 2025-13-45 is a number like any other
    lines = (line for line in islice(io.StringIO(text[: 1 << 14]), 100) if line.strip())
    for line in islice(lines, HEAD_LINES):
        day = _in_line(line.strip()) if len(line) <= LONGEST_LINE else ""
        if day:
            return day
    return ""


def is_dateline(line: str) -> bool:
    """Whether a line says little more than a date."""
    return len(line) <= LONGEST_LINE and len(words(line)) <= DATELINE_WORDS and bool(_in_line(line))


def _in_line(line: str) -> str:
    # dateparser is slow to load and to search: only where a year stands.
    digits = "".join(str(unicodedata.digit(c, "")) or c for c in line)
    if not _YEAR.search(digits):
        return ""
    from dateparser.search import search_dates

    try:
        found = search_dates(line, settings=_SETTINGS) or []
    except (ValueError, OverflowError, RecursionError):  # nothing it should stumble over
        return ""
    return str(found[0][1].date().isoformat()) if found else ""
