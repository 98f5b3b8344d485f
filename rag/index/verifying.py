"""Whether the files of a generation are still those that were written.

Hashing gigabytes at every start is slow. So where a generation is large, or the caller
only wants to know whether anything has changed, a file is trusted as long as its size, its
times and its inode are those of the last time that it was hashed; they are kept in a small
file beside. A smaller generation is hashed whenever it is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rag.errors import StoreCorrupt

STAMPS = ".verified"
LARGE = 256_000_000
"""Bytes of a generation from which on stamps are trusted."""

Stamp = list[int | str]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(
    store: Path, folder: Path, files: Mapping[str, str], mend: str, *, trusting: bool
) -> None:
    """Check the files of a generation by name against their digests.

    `trusting` lets stamps do whatever the size. Raises `StoreCorrupt` and OSError.
    """
    # The stamps are taken first: a file that changes while it is read is read again.
    now = {name: _stamp(folder / name, digest) for name, digest in files.items()}
    trusting = trusting or sum(int(stamp[0]) for stamp in now.values()) >= LARGE
    known = _read(store).get(folder.name, {}) if trusting else {}
    for name, digest in files.items():
        if known.get(name) != now[name] and sha256(folder / name) != digest:
            raise StoreCorrupt(f"{folder / name} was changed or damaged", mend)
    if trusting and known != now:
        remember(store, folder, now)


def stamps_of(folder: Path, files: Mapping[str, str]) -> dict[str, Stamp]:
    """Return the stamps of files that have just been hashed; raises OSError."""
    return {name: _stamp(folder / name, digest) for name, digest in files.items()}


def remember(store: Path, folder: Path, stamps: Mapping[str, Stamp]) -> None:
    """Write stamps down; a store that cannot be written costs time, not correctness."""
    with suppress(OSError):
        handle, name = tempfile.mkstemp(prefix=STAMPS, dir=store)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({folder.name: dict(stamps)}, file)
            Path(name).replace(store / STAMPS)
        finally:
            Path(name).unlink(missing_ok=True)


def _stamp(path: Path, digest: str) -> Stamp:
    """Return what changes when the file does, and its digest."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, digest]


def _read(store: Path) -> dict[str, Any]:
    try:
        found = json.loads((store / STAMPS).read_bytes())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, dict)} if type(found) is dict else {}
