"""Digests of big files, and private folders and atomic writes to keep them in.

Hashing a gigabyte at every start is slow, so a digest is remembered in a small stamp
together with the size, the times and the inode of the file; when any of
them has changed, the file is hashed again. This module does not know what the digests
ought to be, nor what is in the files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from io import BufferedReader, BufferedWriter
from pathlib import Path

from rag.stamps import stamp as stamp_of

STAMPS = ".stamps"


def private_folder(folder: Path) -> Path:
    """Create the folder, and what is missing above it, readable by the user only."""
    for missing in [p for p in (folder, *folder.parents) if not p.exists()][::-1]:
        # Another process may create it between the look and the act.
        missing.mkdir(mode=0o700, exist_ok=True)
    return folder


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hexadecimal; raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write the file in one step, mode 0600: a reader sees the old bytes or the new."""
    # `mkstemp` gives mode 0600, and a name that no other process has.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            flush_to_disk(file)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def flush_to_disk(file: BufferedWriter | BufferedReader) -> None:
    """Wait until the file's bytes lie on the disk."""
    file.flush()
    os.fsync(file.fileno())


class Digests:
    """The digests of files, remembered in stamps under a cache folder."""

    def __init__(self, cache: Path) -> None:
        self._stamps = cache / STAMPS

    def matches(self, path: Path, sha256: str) -> bool:
        """Tell whether the file is there, legible and with that digest; trusts a stamp."""
        try:
            return self.of(path) == sha256
        except OSError:
            return False

    def of(self, path: Path) -> str:
        """Return the file's digest, from its stamp or by hashing; raises `OSError`."""
        stamp = self._read(path)
        if stamp is not None and stamp[:-1] == stamp_of(path):
            return str(stamp[-1])
        return self.anew(path)

    def anew(self, path: Path) -> str:
        """Hash the file whatever its stamp says, and renew the stamp; raises `OSError`."""
        # The state is taken first: a file that changes while it is read is read again.
        state = stamp_of(path)
        sha256 = hash_file(path)
        self._write(path, state, sha256)
        return sha256

    def remember(self, path: Path, sha256: str) -> None:
        """Write the stamp of a file that has just been hashed under another name."""
        self._write(path, stamp_of(path), sha256)

    def _write(self, path: Path, state: list[int], sha256: str) -> None:
        # A cache that cannot be written costs time, not correctness.
        with contextlib.suppress(OSError):
            private_folder(self._stamps)
            write_atomically(self._stamp(path), json.dumps([*state, sha256]).encode())

    def _stamp(self, path: Path) -> Path:
        key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
        return self._stamps / f"{path.name}.{key}"

    def _read(self, path: Path) -> list[int | str] | None:
        try:
            stamp = json.loads(self._stamp(path).read_bytes())
        except (OSError, ValueError):
            return None
        return stamp if isinstance(stamp, list) and len(stamp) == 5 else None
