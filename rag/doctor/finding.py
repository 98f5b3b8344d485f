"""What a check says: a line, how grave it is, and what mends it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rag.reading import printable

Part = Literal["environment", "models", "index", "caches"]
Gravity = Literal["sound", "warning", "broken"]

NAMED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    `broken` is what gives errors or could give wrong answers, `warning` what is merely not as
    it should be. `mend` is the command for it. `fix`, where there is one, mends it at once and
    loses nothing that cannot be made again; it raises `RagError` or `OSError` where it cannot.
    """

    part: Part
    gravity: Gravity
    what: str
    mend: str = ""
    fix: Callable[[], object] | None = field(default=None, compare=False)


def left_over(part: Part, left: Sequence[Path], mend: str, fix: Callable[[], object]) -> Finding:
    """Return the finding for what runs that were broken off left in a store."""
    what = f"Left over from runs that were broken off: {some([str(path) for path in left])}"
    return Finding(part, "warning", what, mend, fix)


def is_there(path: Path) -> bool:
    """Whether something has this name; what lies in a locked folder may well be there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def removal(path: Path) -> str:
    """Return the command that removes a file or folder, safe to paste."""
    if printable(str(path)) != str(path):
        return "Run: rag doctor --fix"  # what is shown of its name is not its name
    return f"Run: rm -r {shlex.quote(str(path))}"


def some(names: Sequence[str]) -> str:
    """Name the first few of many."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
