"""Which files lie below the roots, and the names they are cited by.

Knows neither what is in them nor the index.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import NoDocumentsError
from rag.reading import SUFFIXES, printable


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read: where it lies, the name it is cited by, its size in bytes."""

    path: Path
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below the roots: files to read by name, how many of other kinds, failures."""

    files: tuple[SourceFile, ...]
    ignored: int
    failed: tuple[str, ...]


def files_of(roots: Sequence[Path]) -> Listing:
    """List the files to read below the roots.

    A root that is a file is taken whatever its suffix. Hidden files and folders are left
    out; links are followed only where they are a root; a folder that cannot be entered is
    a failure. Raises `NoDocumentsError` for a root that does not exist.
    """
    for root in roots:
        if not root.exists():
            raise NoDocumentsError(f"There is no file or folder {root}", "Check the path.")
    resolved = [root.resolve() for root in roots]
    base = Path(os.path.commonpath([r if r.is_dir() else r.parent for r in resolved]))
    above = len(os.path.join(base, ""))  # noqa: PTH118 (a root may be `/`)
    found: dict[Path, SourceFile] = {}
    others: set[Path] = set()
    failed: dict[str, str] = {}

    def fail(error: OSError) -> None:
        name = printable(_name(os.path.relpath(str(error.filename), base)))
        failed[name] = f"{name} cannot be read: {error.strerror}"

    for root in resolved:
        for place, size in _walk(root, fail):
            path = Path(place)
            if path == root or os.path.splitext(place)[1].lower() in SUFFIXES:  # noqa: PTH122
                found[path] = SourceFile(path, _name(place[above:]), size)
            else:
                others.add(path)
    files = sorted(found.values(), key=lambda f: f.name)
    return Listing(
        tuple(files), len(others - found.keys()), tuple(line for _, line in sorted(failed.items()))
    )


def _walk(root: Path, fail: Callable[[OSError], None]) -> Iterator[tuple[str, int]]:
    """Yield each file with its size; folders of ten thousand files are looked at at every run."""
    if not root.is_dir():
        yield str(root), _size(root)
        return
    folders = [str(root)]
    while folders:
        try:
            with os.scandir(folders.pop()) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            fail(error)
            continue
        for entry in entries:
            if entry.is_symlink():
                continue
            if entry.is_dir():
                folders.append(entry.path)
            else:
                yield entry.path, _size(entry)


def _size(file: Path | os.DirEntry[str]) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # reading it will say what is wrong


def _name(relative: str) -> str:
    """Return the name that is cited; bytes that are no text are written as escapes.

    A backslash is doubled, so that no two files have one name.
    """
    raw = os.fsencode(relative).replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")
