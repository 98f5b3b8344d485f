"""Bytes that are worth keeping and can be made anew: files in a folder, each under a key.

A file's name is the digest of its key, and a digest of name and content stands at its head:
what was cut off, changed or renamed is thrown away and counts as not there. The oldest files
go where all together would take too much room. Files are for the user alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

DIGEST_BYTES = 32


class Kept:
    """Files of one kind, at the most `most` bytes of them.

    `kind` and its version are in every file. With `parents` the folders above are made, too.
    No method ever raises for what is wrong with a file or the folder.
    """

    def __init__(self, folder: Path, kind: str, most: int, *, parents: bool = False) -> None:
        self._folder = folder
        self._head = f"rag-ask {kind}\n".encode()
        self._suffix = f".{kind.split()[0]}"
        self._most = most
        self._parents = parents

    def find(self, key: Mapping[str, object]) -> bytes | None:
        """Return what was kept under a key, `None` where there is nothing whole."""
        path = self._path(key)
        with suppress(OSError):
            content = self._content(path)
            if content is not None:
                os.utime(path)
                return bytes(content)
            path.unlink()
        return None

    def files(self) -> list[Path]:
        """List what is kept, whole or not."""
        return sorted(self._folder.glob(f"*{self._suffix}")) if self._folder.is_dir() else []

    def damaged(self) -> list[Path]:
        """List what would not be given out."""
        return [path for path in self.files() if not self._is_whole(path)]

    def _is_whole(self, path: Path) -> bool:
        try:
            return self._content(path) is not None
        except FileNotFoundError:
            return True  # it made room meanwhile
        except OSError:
            return False

    def _content(self, path: Path) -> memoryview | None:
        """Read a file; `None` where it is not what was written."""
        data = path.read_bytes()
        head, rest = data[: len(self._head)], memoryview(data)[len(self._head) :]
        digest, content = rest[:DIGEST_BYTES], rest[DIGEST_BYTES:]
        sound = head == self._head and _digest(path, content) == digest
        return content if sound else None

    def keep(self, key: Mapping[str, object], content: bytes) -> None:
        """Keep something, and let go of the oldest where there is no room for it."""
        if len(content) > self._most // 2:
            return
        path = self._path(key)
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=self._parents, exist_ok=True)
            whole = self._head + _digest(path, content) + content
            self._make_room(len(whole))
            with tempfile.NamedTemporaryFile(  # readable by the user alone
                dir=self._folder, prefix=".", suffix=self._suffix, delete=False
            ) as file:
                try:
                    file.write(whole)
                    file.close()
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink()
                    raise

    def _path(self, key: Mapping[str, object]) -> Path:
        told = json.dumps(key, sort_keys=True)
        return self._folder / (hashlib.sha256(told.encode()).hexdigest() + self._suffix)

    def _make_room(self, wanted: int) -> None:
        stats = [(path.stat(), path) for path in self.files()]
        found = sorted((stat.st_mtime_ns, stat.st_size, path) for stat, path in stats)
        total = sum(size for _, size, _ in found) + wanted
        for _, size, path in found:
            if total <= self._most:
                break
            path.unlink(missing_ok=True)
            total -= size


def _digest(path: Path, content: bytes | memoryview) -> bytes:
    """Return the digest of a content under its name."""
    found = hashlib.sha256(path.name.encode())
    found.update(content)
    return found.digest()
