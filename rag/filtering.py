"""What a user writes of a filter to a `Filter`; knows no index, and not what would pass."""

from __future__ import annotations

import re

from rag.datatypes import Filter
from rag.errors import UsageError

_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_CODE = re.compile("[a-z]{2,3}")


def filter_of(
    pattern: str | None = None,
    language: str | None = None,
    since: str | None = None,
    until: str | None = None,
    *,
    mark: str = "--",
) -> Filter:
    """Check what was given of a filter; `mark` is what its parts' names begin with.

    Raises `UsageError` for what is no date or no code.
    """
    for name, day in (("since", since), ("until", until)):
        if day and not _DATE.fullmatch(day):
            shown = f"{mark}{name}"
            raise UsageError(f"{shown} {day} is no date", f"Write it like this: {shown} 2025-08-13")
    if language and not _CODE.fullmatch(language.lower()):
        raise UsageError(
            f"{mark}lang takes the code of a language", f"Write it like this: {mark}lang hi"
        )
    return Filter(pattern or "", (language or "").lower(), since or "", until or "")
