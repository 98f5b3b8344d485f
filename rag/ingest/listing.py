"""Which files lie below the roots, and the names they are cited by.

Knows neither what is in them nor the index.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import NoDocumentsError
from rag.reading import SUFFIXES, printable


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read: where it lies, the name it is cited by, its size in bytes.

    `place` is the path as text: to make ten thousand `Path`s takes as long as hashing them.
    """

    place: str
    name: str
    size: int

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.place)


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below the roots: files to read by name, how many of other kinds, failures.

    `links` counts the symbolic links that were not followed.
    """

    files: tuple[SourceFile, ...]
    ignored: int
    failed: tuple[str, ...]
    links: int = 0


def files_of(roots: Sequence[Path], *, follow_links: bool = False) -> Listing:
    """List the files to read below the roots.

    A root that is a file is taken whatever its suffix. Hidden files and folders are left
    out; a folder that cannot be entered is a failure. Symbolic links are followed where they
    are a root, and below it only with `follow_links`: what they lead to has the name of the
    link, unless it was found already without it. Raises `NoDocumentsError` for a root that
    does not exist.
    """
    for root in roots:
        if not root.exists():
            raise NoDocumentsError(f"There is no file or folder {root}", "Check the path.")
    resolved = [root.resolve() for root in roots]
    base = Path(os.path.commonpath([r if r.is_dir() else r.parent for r in resolved]))
    above = len(os.path.join(base, ""))  # noqa: PTH118 (a root may be `/`)
    found: dict[str, SourceFile] = {}
    others: set[str] = set()
    failed: dict[str, str] = {}

    def fail(error: OSError) -> None:
        name = printable(_name(os.path.relpath(str(error.filename), base)))
        failed[name] = f"{name} cannot be read: {error.strerror}"

    walk = _Walk(fail, follow_links)
    named = {str(root) for root in resolved}
    for place, size in walk.files(resolved):
        if place in named or os.path.splitext(place)[1].lower() in SUFFIXES:  # noqa: PTH122
            found[place] = SourceFile(place, _name(place[above:]), size)
        else:
            others.add(place)
    files = sorted(found.values(), key=lambda f: f.name)
    return Listing(
        tuple(files),
        len(others - found.keys()),
        tuple(line for _, line in sorted(failed.items())),
        0 if follow_links else len(walk.links),
    )


class _Walk:
    """A walk through folders of, maybe, ten thousand files, at every run.

    `links` are the symbolic links that were met, by path.
    """

    def __init__(self, fail: Callable[[OSError], None], follow_links: bool) -> None:
        self._fail = fail
        self._follow = follow_links
        self._seen: set[tuple[int, int]] = set()  # device and inode of files and folders
        self.links: set[str] = set()

    def files(self, roots: Sequence[Path]) -> Iterator[tuple[str, int]]:
        """Yield each file with its size: first what lies there, then what links lead to.

        So a file has the name of a link only where it has no other, whatever the order in
        which the system lists them.
        """
        for root in roots:
            if root.is_dir():
                yield from self._below(str(root))
            else:
                yield str(root), _size(root)
        waiting = sorted(self.links) if self._follow else []
        while waiting:
            link = waiting.pop(0)
            try:
                target = os.stat(link)  # noqa: PTH116 (as fast as can be)
            except OSError:
                yield link, 0  # it leads nowhere, or in a circle; reading it will say so
                continue
            if (target.st_dev, target.st_ino) in self._seen:
                continue
            before = set(self.links)
            if stat.S_ISDIR(target.st_mode):
                yield from self._below(link)
            else:
                self._seen.add((target.st_dev, target.st_ino))
                yield link, target.st_size
            waiting += sorted(self.links - before)

    def _below(self, root: str) -> Iterator[tuple[str, int]]:
        """Yield the files below a folder, no link followed."""
        folders = [root]
        while folders:
            folder = folders.pop()
            try:
                device = self._enter(folder)
                with os.scandir(folder) as found:
                    entries = [entry for entry in found if not entry.name.startswith(".")]
            except OSError as error:
                self._fail(error)
                continue
            for entry in entries:
                if entry.is_symlink():
                    self.links.add(entry.path)
                elif entry.is_dir():
                    folders.append(entry.path)
                else:
                    if self._follow:
                        self._seen.add((device, entry.inode()))
                    yield entry.path, _size(entry)

    def _enter(self, folder: str) -> int:
        """Remember a folder where links may lead to it; return its device."""
        if not self._follow:
            return 0
        found = os.stat(folder)  # noqa: PTH116
        self._seen.add((found.st_dev, found.st_ino))
        return found.st_dev


def _size(file: Path | os.DirEntry[str]) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # reading it will say what is wrong


def _name(relative: str) -> str:
    """Return the name that is cited; bytes that are no text are written as escapes.

    A backslash is doubled, so that no two files have one name.
    """
    if relative.isascii() and "\\" not in relative:
        return relative
    raw = os.fsencode(relative).replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")
