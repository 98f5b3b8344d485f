"""How a fetch tells what it is doing, and how a source says that it has failed.

A `Progress` is passed in by whoever shows it; nothing in `rag.models` prints.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TICK_SECONDS = 0.25
DISK_BLOCK = 512  # the unit of st_blocks, whatever the file system's own


class Progress(Protocol):
    """Somebody who is told how a fetch goes on.

    `advance` may be called from another thread than the rest.
    """

    def start(self, name: str, total: int | None) -> None:
        """Hear that a file of `total` bytes (`None`: unknown) begins to arrive."""

    def advance(self, count: int) -> None:
        """Hear that so many more bytes have arrived."""

    def note(self, text: str) -> None:
        """Hear of something worth a line."""

    def finish(self) -> None:
        """Hear that the file is complete, or that the fetch of it has failed."""


class SilentProgress:
    """A `Progress` that tells nobody."""

    def start(self, name: str, total: int | None) -> None:
        """Ignore the start."""

    def advance(self, count: int) -> None:
        """Ignore the bytes."""

    def note(self, text: str) -> None:
        """Ignore the note."""

    def finish(self) -> None:
        """Ignore the end."""


class SourceFailed(Exception):  # noqa: N818 (reads as a state)
    """One source could not give the file; the next one is tried.

    `corrupt` says that bytes came, but not those that the catalogue names.
    """

    def __init__(self, reason: str, *, corrupt: bool = False) -> None:
        super().__init__(reason)
        self.corrupt = corrupt


@dataclass(slots=True)
class Shown:
    """How many bytes have been reported so far."""

    bytes: int = 0


@contextlib.contextmanager
def watch_growth(folder: Path, progress: Progress, limit: int | None) -> Iterator[Shown]:
    """Report the growth of a folder while somebody else downloads into it.

    Neither pip nor the hub's client has an interface for progress that has been stable
    over its versions; what lies on the disk is the truth. No more than `limit` bytes are
    reported, so that what is a little larger on its way does not overshoot.
    """
    shown = Shown()
    stop = threading.Event()

    def look() -> None:
        size = bytes_on_disk(folder)
        size = size if limit is None else min(size, limit)
        if size > shown.bytes:
            progress.advance(size - shown.bytes)
            shown.bytes = size

    def watch() -> None:
        while not stop.wait(TICK_SECONDS):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield shown
    finally:
        stop.set()
        watcher.join()


def bytes_on_disk(folder: Path) -> int:
    """Return the bytes that the files of the folder, however deep, take up."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            # Files come and go while they are counted. Blocks, not length: a file may
            # be given its full length before its bytes have come.
            with contextlib.suppress(OSError):
                total += Path(parent, name).stat().st_blocks * DISK_BLOCK
    return total
