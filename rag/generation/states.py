"""What llama.cpp holds after the head of a prompt, kept on disk.

A prompt begins with the same instructions and worked examples for every question. Reading
them takes seconds; reading their state from a file takes milliseconds and gives the same
numbers. A file is used only for the very weights, updates, tokens, settings and build of
llama.cpp it was made with: its name is their digest, and its own digest guards the content.
What does not fit is thrown away and made anew, and the oldest files go when they take too
much room. No text of a document is ever in one of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

from rag.settings import APP

FORMAT = b"rag-ask state 1\n"
SUFFIX = ".state"
# A head of 400 tokens takes 11 MB with the default generator, some 50 MB with one of 8 B.
MOST_BYTES = 256_000_000


class States:
    """Files in a folder of their own, `most` bytes of them at the most.

    Neither method ever raises for what is wrong with a file or the folder: without the state
    the prompt is read as if there were none.
    """

    def __init__(self, folder: Path, most: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most = most

    @classmethod
    def of_user(cls) -> States:
        """Keep them in the user's cache folder."""
        return cls(Path(platformdirs.user_cache_dir(APP)) / "states")

    def find(self, key: Mapping[str, object]) -> bytes | None:
        """Return the state kept under a key, `None` where there is none or a broken one."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            head, rest = data[: len(FORMAT)], memoryview(data)[len(FORMAT) :]
            digest, state = rest[:32], rest[32:]
            if head == FORMAT and _digest(path, state) == digest:
                os.utime(path)
                return bytes(state)
            path.unlink()
        except OSError:
            pass
        return None

    def keep(self, key: Mapping[str, object], state: bytes) -> None:
        """Keep a state, and let go of the oldest where there is no room."""
        if len(state) > self._most // 2:
            return
        path = self._path(key)
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = FORMAT + _digest(path, state) + state
            self._make_room(len(content))
            with tempfile.NamedTemporaryFile(  # readable by the user alone
                dir=self._folder, prefix=".", suffix=SUFFIX, delete=False
            ) as file:
                try:
                    file.write(content)
                    file.close()
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink()
                    raise

    def _path(self, key: Mapping[str, object]) -> Path:
        told = json.dumps({**key, "build": build()}, sort_keys=True)
        return self._folder / (hashlib.sha256(told.encode()).hexdigest() + SUFFIX)

    def _make_room(self, wanted: int) -> None:
        found = [
            (s.st_mtime_ns, s.st_size, p)
            for p in self._folder.glob(f"*{SUFFIX}")
            for s in [p.stat()]
        ]
        total = sum(size for _, size, _ in found) + wanted
        for _, size, path in sorted(found):
            if total <= self._most:
                break
            path.unlink(missing_ok=True)
            total -= size


def _digest(path: Path, state: bytes | memoryview) -> bytes:
    """Return the digest of a state under its name: one file renamed is none of another key."""
    found = hashlib.sha256(path.name.encode())
    found.update(state)
    return found.digest()


@cache
def build() -> list[object]:
    """Describe the llama.cpp that runs here: its version, its libraries, the processor's use."""
    import llama_cpp

    libraries = sorted((Path(llama_cpp.__file__).parent / "lib").glob("*"))
    stats = [(path.name, path.stat()) for path in libraries]
    return [
        llama_cpp.__version__,
        llama_cpp.llama_print_system_info().decode("utf-8", "replace"),
        [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
    ]
