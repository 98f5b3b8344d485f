"""Generations on disk: writing one, swapping the pointer, checking what is read.

Knows files, digests and the lock; knows nothing of what is in them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from filelock import FileLock, Timeout

from rag.datatypes import Manifest
from rag.errors import (
    StoreCorrupt,
    StoreError,
    StoreMismatch,
    StoreMissing,
    StoreOutdated,
)
from rag.index.locking import HOLDER, LOCK, cannot_write, sync, write
from rag.index.schema import REBUILD
from rag.index.verifying import STAMPS, Trust, remember, sha256, stamps_of, verify

T = TypeVar("T")
FORMAT = 3
POINTER = "CURRENT"
MANIFEST = "manifest.json"
_GENERATION = re.compile(r"^g(\d{6,})$")
# What lies in the folder of a generation, whole or half written.
_OURS = re.compile(r"^(manifest\.json|answers|text\.sqlite.*|(chunks|sentences)\.(faiss|f32|ids))$")


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
        clear(store)
        folder.mkdir(mode=0o700)
        fill(folder)
        files = {p.name: sha256(p) for p in sorted(folder.iterdir())}
        result = manifest(folder, files)
        write(folder / MANIFEST, json.dumps(asdict(result), indent=1))
        for path in folder.iterdir():
            path.chmod(0o600)
            sync(path)
        sync(folder)
        stamps = stamps_of(folder, files)
        pointer = {"generation": name, "manifest": sha256(folder / MANIFEST)}
        write(store / f"{POINTER}.new", json.dumps(pointer))
        (store / f"{POINTER}.new").replace(store / POINTER)
        sync(store)
    except OSError as error:
        _abandon(store, name)
        raise cannot_write(store, error) from error
    except BaseException:  # Ctrl-C too: what is half written must not stay
        _abandon(store, name)
        raise
    remember(store, folder, stamps)
    clear(store)
    return result


def _generations(store: Path) -> list[str]:
    return sorted(p.name for p in store.iterdir() if _GENERATION.match(p.name))


def _last_generation(store: Path) -> int:
    names = _generations(store) if store.is_dir() else []
    return max((int(name[1:]) for name in names), default=0)


def leftovers(store: Path) -> list[Path]:
    """List what runs that were broken off have left; nothing while somebody writes."""
    if (store / LOCK).is_file():
        with suppress(StoreError, OSError), _alone(store):
            return _unused(store)
    return []


def sweep(store: Path) -> None:
    """Remove leftovers, unless somebody writes: then they may be in use. Raises `StoreError`."""
    with _alone(store):
        clear(store)
        (store / HOLDER).unlink(missing_ok=True)


def discard(store: Path) -> None:
    """Remove a whole store, unless somebody writes it. Raises `StoreError` and OSError."""
    with _alone(store):
        shutil.rmtree(store)


@contextmanager
def _alone(store: Path) -> Iterator[None]:
    try:
        with FileLock(store / LOCK, mode=0o600).acquire(timeout=0):
            yield
    except Timeout as error:
        raise StoreError(f"Another process is writing {store}", "Try again later.") from error


def clear(store: Path) -> None:
    """Remove what runs that were broken off have left, and old generations.

    The caller holds the lock.
    """
    for path in _unused(store):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != HOLDER:
            path.unlink(missing_ok=True)


def _unused(store: Path) -> list[Path]:
    """List what is in a store and not in use.

    Nothing where the pointer is damaged: a rebuild has to get past it, and what it named may
    be wanted until the new pointer is there. A folder with anything in it that no generation
    has is somebody else's, whatever its name.
    """
    try:
        current = _pointer(store)["generation"]
    except StoreMissing:
        current = ""
    except StoreError:
        return []
    return [
        path
        for path in sorted(store.iterdir())
        if (_GENERATION.match(path.name) and path.name != current and _is_ours(path))
        or path.name in {f"{POINTER}.new", HOLDER}
        or path.name.startswith(f"{STAMPS}.")
    ]


def _is_ours(folder: Path) -> bool:
    try:
        return all(_OURS.match(path.name) for path in folder.iterdir())
    except OSError:
        return False


def sources_of(store: Path) -> tuple[tuple[str, ...], bool]:
    """Return what the index in use was made of, and whether links were followed for it.

    Nothing where its manifest cannot be believed. Its other files may be damaged, and it may
    be of another format.
    """
    try:
        _, told = _manifest(store)
        return tuple(map(str, told["roots"])), bool(told.get("follow_links"))
    except (StoreError, TypeError, KeyError):
        return (), False


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


def settled(store: Path, opened: Callable[[], T]) -> T:
    """Open something of the generation in use, and again where a writer swapped it meanwhile.

    Raises what `opened` raises, an OSError as `StoreCorrupt`.
    """
    while True:
        pointed = _pointed(store)
        try:
            return opened()
        except (StoreCorrupt, OSError) as error:
            if _pointed(store) != pointed:
                continue
            if isinstance(error, StoreCorrupt):
                raise
            raise StoreCorrupt(f"The index is damaged: {error}", REBUILD) from error


def _pointed(store: Path) -> bytes:
    """Return the pointer's bytes as they are, b"" where there are none."""
    try:
        return (store / POINTER).read_bytes()
    except OSError:
        return b""


def _other_format(store: Path, raw: Mapping[str, Any]) -> StoreMismatch:
    found = raw.get("format")
    what = f"The index in {store} has format {found}, this program reads {FORMAT}"
    if isinstance(found, int) and found < FORMAT:
        return StoreOutdated(what, REBUILD)
    return StoreMismatch(what, REBUILD)


def current(store: Path, *, trust: Trust = "large") -> tuple[Path, Manifest]:
    """Return the folder in use and its manifest, every file checked against its digest.

    `trust` says when a file that looks as it did when it was hashed last is unchanged.
    Raises `StoreMissing`, `StoreCorrupt`, or `StoreMismatch` for another format.
    """
    folder, raw = _manifest(store)
    if raw.get("format") != FORMAT:
        raise _other_format(store, raw)
    try:
        manifest = msgspec.convert(raw, Manifest)
        verify(store, folder, manifest.files, REBUILD, trust=trust)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise StoreCorrupt(f"The index in {folder} is damaged: {error}", REBUILD) from error
    return folder, manifest


def _manifest(store: Path) -> tuple[Path, dict[str, Any]]:
    """Return the folder in use and what its manifest says, which is not looked into.

    Raises `StoreMissing`, and `StoreCorrupt` where it is not the one that the pointer means.
    """
    pointer = _pointer(store)
    folder = store / pointer["generation"]
    try:
        data = (folder / MANIFEST).read_bytes()
        if hashlib.sha256(data).hexdigest() != pointer["manifest"]:
            raise StoreCorrupt(f"{folder / MANIFEST} was changed", REBUILD)
        raw = json.loads(data)
    except (OSError, ValueError) as error:
        raise StoreCorrupt(f"The index in {folder} is damaged: {error}", REBUILD) from error
    if not isinstance(raw, dict):
        raise StoreCorrupt(f"The index in {folder} is damaged: its manifest is no object", REBUILD)
    return folder, raw


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
