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
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from rag.errors import StoreCorrupt
from rag.stamps import stamp

STAMPS = ".verified"
LARGE = 256_000_000
"""Bytes of a generation from which on stamps are trusted."""

Stamp = list[int | str]
Trust = Literal["never", "large", "always", "blindly"]
"""When a stamp is enough: never, in generations of `LARGE` and more, always, or unseen."""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(store: Path, folder: Path, files: Mapping[str, str], mend: str, *, trust: Trust) -> None:
    """Check the files of a generation by name against their digests.

    `trust` says when a stamp is enough. Raises `StoreCorrupt` and OSError.
    """
    if trust == "blindly":
        return
    # The stamps are taken first: a file that changes while it is read is read again.
    now = {name: _stamp(folder / name, digest) for name, digest in files.items()}
    large = sum(int(stamp[0]) for stamp in now.values()) >= LARGE
    trusting = trust == "always" or (trust == "large" and large)
    known = _read(store).get(folder.name, {}) if trusting else {}
    for name, digest in files.items():
        if known.get(name) != now[name] and sha256(folder / name) != digest:
            raise StoreCorrupt(f"{folder / name} was changed or damaged", mend)
    if trusting and known != now:
        remember(store, folder, now)


class Watched:
    """The files of a generation as they were opened, whether they keep their names or not.

    They are held open: a new generation removes the old one's names, and whoever still
    searches the old one must notice damage to it all the same. Raises OSError.
    """

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self._folder = folder
        self._handles: dict[str, int] = {}
        # Closed with the last reference: an index that is let go of is not always closed.
        self.close = weakref.finalize(self, _close, self._handles)
        for name in files:
            self._handles[name] = os.open(folder / name, os.O_RDONLY)
        self._stamps = {name: _stamp(self._handles[name], files[name]) for name in files}

    def verify(self, mend: str) -> None:
        """Hash what no longer looks as it did; raises `StoreCorrupt` and OSError."""
        for name, handle in self._handles.items():
            digest = str(self._stamps[name][-1])
            now = _stamp(handle, digest)
            if now == self._stamps[name]:
                continue
            with os.fdopen(os.dup(handle), "rb") as file:
                file.seek(0)
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != digest:
                raise StoreCorrupt(f"{self._folder / name} was changed or damaged", mend)
            self._stamps[name] = now


def _close(handles: dict[str, int]) -> None:
    while handles:
        os.close(handles.popitem()[1])


def stamps_of(folder: Path, files: Mapping[str, str]) -> dict[str, Stamp]:
    """Return the stamps of files that have just been hashed; raises OSError."""
    return {name: _stamp(folder / name, digest) for name, digest in files.items()}


def remember(store: Path, folder: Path, stamps: Mapping[str, Stamp]) -> None:
    """Write stamps down; a store that cannot be written costs time, not correctness."""
    with suppress(OSError):
        handle, name = tempfile.mkstemp(prefix=f"{STAMPS}.", dir=store)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({folder.name: dict(stamps)}, file)
            Path(name).replace(store / STAMPS)
        finally:
            Path(name).unlink(missing_ok=True)


def _stamp(file: Path | int, digest: str) -> Stamp:
    """Return what changes when the file (or what is open) does, and its digest."""
    return [*stamp(file), digest]


def _read(store: Path) -> dict[str, Any]:
    try:
        found = json.loads((store / STAMPS).read_bytes())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, dict)} if type(found) is dict else {}
