"""Generations on disk: writing one, swapping the pointer, checking what is read.

Knows files, digests and the lock; knows nothing of what is in them.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rag.datatypes import Manifest
from rag.errors import (
    StoreCorrupt,
    StoreError,
    StoreMismatch,
    StoreMissing,
    StoreOutdated,
    StoreReadOnly,
)
from rag.index.schema import REBUILD
from rag.index.verifying import remember, sha256, stamps_of, verify

FORMAT = 3
POINTER = "CURRENT"
MANIFEST = "manifest.json"
_GENERATION = re.compile(r"^g(\d{6,})$")


def sync(path: Path) -> None:
    """Force a file or a folder to the disk; raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def writing(store: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Hold the store's write lock; waits for another writer, saying so once.

    Raises `StoreReadOnly` where the folder cannot be made or written.
    """
    try:
        store.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(store / ".lock", mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            note(f"Another process is writing {store}; waiting for it.")
            lock.acquire()
    except OSError as error:
        raise cannot_write(store, error) from error
    try:
        yield
    finally:
        lock.release()


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


def commit(
    store: Path,
    manifest: Callable[[Path, Mapping[str, str]], Manifest],
    fill: Callable[[Path], None],
) -> Manifest:
    """Write a new generation and point to it.

    `fill` writes the files into the folder it is given; `manifest` makes the manifest from
    the folder and the digests of its files. The old generation stays until the pointer is
    swapped and is removed then. The caller holds the lock. Raises `StoreError`.
    """
    name = f"g{_last_generation(store) + 1:06d}"
    folder = store / name
    try:
        _remove_unused(store)
        folder.mkdir(mode=0o700)
        fill(folder)
        files = {p.name: sha256(p) for p in sorted(folder.iterdir())}
        result = manifest(folder, files)
        _write(folder / MANIFEST, json.dumps(asdict(result), indent=1))
        for path in folder.iterdir():
            path.chmod(0o600)
            sync(path)
        sync(folder)
        stamps = stamps_of(folder, files)
        pointer = {"generation": name, "manifest": sha256(folder / MANIFEST)}
        _write(store / f"{POINTER}.new", json.dumps(pointer))
        (store / f"{POINTER}.new").replace(store / POINTER)
        sync(store)
    except OSError as error:
        _abandon(store, name)
        raise cannot_write(store, error) from error
    except BaseException:  # Ctrl-C too: what is half written must not stay
        _abandon(store, name)
        raise
    remember(store, folder, stamps)
    _remove_unused(store)
    return result


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _generations(store: Path) -> list[str]:
    return sorted(p.name for p in store.iterdir() if _GENERATION.match(p.name))


def _last_generation(store: Path) -> int:
    names = _generations(store) if store.is_dir() else []
    return max((int(name[1:]) for name in names), default=0)


def _remove_unused(store: Path) -> None:
    """Remove the generations that nothing points to: old ones and a crash's leftovers.

    Nothing is removed where the pointer is damaged: a rebuild has to get past it, and
    what it named may be wanted until the new pointer is there.
    """
    try:
        current = _pointer(store)["generation"]
    except StoreMissing:
        current = None
    except StoreCorrupt:
        return
    for name in _generations(store):
        if name != current:
            shutil.rmtree(store / name, ignore_errors=True)


def _abandon(store: Path, name: str) -> None:
    """Remove a half-written generation; one that is pointed to already is whole and stays."""
    with suppress(OSError):
        (store / f"{POINTER}.new").unlink(missing_ok=True)
    with suppress(StoreMissing, StoreCorrupt):
        if _pointer(store)["generation"] == name:
            return
    shutil.rmtree(store / name, ignore_errors=True)


def _pointer(store: Path) -> dict[str, Any]:
    try:
        value = json.loads((store / POINTER).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreMissing(f"There is no index in {store}", "Run: rag index") from error
    except PermissionError as error:
        raise StoreError(
            f"{store / POINTER} cannot be read: {error.strerror}",
            "Run as its owner, or name another index with --store FOLDER.",
        ) from error
    except (OSError, ValueError) as error:
        raise StoreCorrupt(f"{store / POINTER} cannot be read: {error}", REBUILD) from error
    known = isinstance(value, dict) and all(
        isinstance(value.get(key), str) for key in ("generation", "manifest")
    )
    if not known or not _GENERATION.match(value["generation"]):
        raise StoreCorrupt(f"{store / POINTER} names no generation", REBUILD)
    return dict(value)


def _other_format(store: Path, raw: Mapping[str, Any]) -> StoreMismatch:
    found = raw.get("format")
    what = f"The index in {store} has format {found}, this program reads {FORMAT}"
    if isinstance(found, int) and found < FORMAT:
        return StoreOutdated(what, REBUILD, tuple(map(str, raw.get("roots", ()))))
    return StoreMismatch(what, REBUILD)


def current(store: Path, *, trusting: bool = False) -> tuple[Path, Manifest]:
    """Return the folder in use and its manifest, every file checked against its digest.

    `trusting` takes a file that looks as it did when it was hashed last for unchanged.
    Raises `StoreMissing`, `StoreCorrupt`, or `StoreMismatch` for another format.
    """
    pointer = _pointer(store)
    folder = store / pointer["generation"]
    try:
        if sha256(folder / MANIFEST) != pointer["manifest"]:
            raise StoreCorrupt(f"{folder / MANIFEST} was changed", REBUILD)
        raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if raw.get("format") != FORMAT:
            raise _other_format(store, raw)
        manifest = Manifest(**{**raw, "roots": tuple(raw["roots"])})
        verify(store, folder, manifest.files, REBUILD, trusting=trusting)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreCorrupt(f"The index in {folder} is damaged: {error}", REBUILD) from error
    return folder, manifest


def check(manifest: Manifest, embedder: str, chunking: str | None) -> None:
    """Raise `StoreMismatch` unless a generation was made with these."""
    mine, yours = [manifest.embedder], [embedder]
    if chunking is not None:
        mine.append(manifest.chunking)
        yours.append(chunking)
    if mine != yours:
        raise StoreMismatch(
            f"The index was built with {' and '.join(mine)}, not with {' and '.join(yours)}",
            REBUILD,
        )
