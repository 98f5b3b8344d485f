"""What changes when a file does: told from a look, where hashing it would take too long."""

from __future__ import annotations

import os
from pathlib import Path


def stamp(file: Path | int) -> list[int]:
    """Return size, times and inode of a file, or of what a handle has open; raises OSError.

    The time of modification can be set back by whoever changed the file; the other cannot.
    """
    found = os.stat(file)  # noqa: PTH116 (of a handle, too)
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
