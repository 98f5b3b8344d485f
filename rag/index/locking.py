"""One writer at a time, and what it writes with.

The lock dies with its holder; a file beside it says who that is, to whoever has to wait.
Knows nothing of what is in a store.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import StoreError, StoreReadOnly

LOCK, HOLDER = ".lock", ".holder"


def sync(path: Path) -> None:
    """Force a file or a folder to the disk; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, text: str) -> None:
    """Write a line that is on the disk at the end, for the user alone; raises OSError."""
    path.unlink(missing_ok=True)  # it may be a link to something else
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def writing(store: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Hold the store's write lock; waits for another writer, saying so once.

    Raises `StoreReadOnly` where the folder cannot be made or written.
    """
    try:
        store.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(store / LOCK, mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            note(f"Another process{_holder(store)} is writing {store}; waiting for it.")
            lock.acquire()
    except OSError as error:
        raise cannot_write(store, error) from error
    holder = store / HOLDER
    try:
        with suppress(OSError):  # a full disk is told by what has to be written
            since = datetime.now().astimezone().isoformat(timespec="seconds")
            write(holder, json.dumps({"pid": os.getpid(), "since": since}))
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _holder(store: Path) -> str:
    """Name the process that holds the lock; the lock itself dies with it, this file may not."""
    try:
        told = json.loads((store / HOLDER).read_text(encoding="utf-8"))
        return f" ({int(told['pid'])}, since {datetime.fromisoformat(told['since']):%H:%M:%S})"
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def cannot_write(store: Path, error: OSError) -> StoreError:
    """Word a failure to write: no room, or no right to."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError(
            f"The disk that holds {store} is full", "Free some space and run the command again."
        )
    return StoreReadOnly(
        f"The index folder {store} cannot be written: {error.strerror or error}",
        "Name another one with --store FOLDER.",
    )
