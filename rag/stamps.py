"""What changes when a file does: told from a look, where hashing it would take too long."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from importlib import resources
from pathlib import Path


def stamp(file: Path | int) -> list[int]:
    """Return size, times and inode of a file, or of what a handle has open; raises OSError.

    The time of modification can be set back by whoever changed the file; the other cannot.
    """
    found = os.stat(file)  # noqa: PTH116 (of a handle, too)
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


@cache
def program() -> str:
    """Return a digest of the files that this program consists of, prompts among them.

    Of their names, sizes and times: reading them all would take longer than an answer may.
    """
    package = Path(str(resources.files("rag")))
    folders = [package, package.parent / "prompts"]
    files = sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.suffix != ".pyc" and path.is_file()
    )
    found = hashlib.sha256()
    for path in files:
        stat = path.stat()
        found.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "replace"))
    return found.hexdigest()
