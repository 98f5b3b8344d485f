"""A folder to an index: what has not changed is carried over, what is gone is forgotten.

The index mirrors exactly the paths of the last run. A file is known by the SHA-256 of its
bytes, so a renamed or copied file is not embedded again. A file that cannot be read is
reported and the rest is indexed. Knows no question.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rag.chunking import Chunked, chunk_document, chunking_identity
from rag.datatypes import Document, Manifest
from rag.embedding import Embedder, Vectors
from rag.errors import NoDocumentsError, ReadingError, StoreMissing
from rag.index import Entry, Index, writing
from rag.language import words
from rag.models import Progress
from rag.reading import SUFFIXES, file_id, printable, read_document
from rag.settings import Settings

BATCH = 64

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What an indexing run did, by names of documents.

    `failed` holds the one-line reason of each file that could not be read. `written` says
    whether a new generation was needed.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    forgotten: tuple[str, ...]
    failed: tuple[str, ...]
    ignored: int
    manifest: Manifest
    written: bool


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
    found: dict[Path, SourceFile] = {}
    others: set[Path] = set()
    failed: dict[str, str] = {}

    def fail(error: OSError) -> None:
        name = printable(_name(Path(os.path.relpath(str(error.filename), base))))
        failed[name] = f"{name} cannot be read: {error.strerror}"

    for root in resolved:
        for path in _walk(root, fail):
            if path == root or path.suffix.lower() in SUFFIXES:
                found[path] = SourceFile(path, _name(path.relative_to(base)), _size(path))
            else:
                others.add(path)
    files = sorted(found.values(), key=lambda f: f.name)
    return Listing(tuple(files), len(others - found.keys()), tuple(failed.values()))


def _walk(root: Path, fail: Callable[[OSError], None]) -> Iterator[Path]:
    if not root.is_dir():
        yield root
        return
    for folder, inner, names in os.walk(root, onerror=fail):
        inner[:] = sorted(n for n in inner if not n.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and not path.is_symlink():
                yield path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # reading it will say what is wrong


def _name(relative: Path) -> str:
    """Return the name that is cited; bytes that are no text are written as escapes.

    A backslash is doubled, so that no two files have one name.
    """
    raw = os.fsencode(relative.as_posix()).replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")


def index_documents(
    roots: Sequence[Path],
    settings: Settings,
    embedder: Embedder,
    progress: Progress,
    *,
    rebuild: bool = False,
) -> Report:
    """Bring the index at `settings.store` in line with the files below `roots`.

    `rebuild` starts from nothing, whatever is there. Raises `NoDocumentsError` where
    nothing readable is found (the old index then stays) and `StoreError`.
    """
    chunking = chunking_identity(settings.chunk_chars)
    listing = files_of(roots)
    if not listing.files and not listing.failed:
        kinds = " ".join(sorted(SUFFIXES))
        where = ", ".join(str(r) for r in roots)
        raise NoDocumentsError(
            f"There are no documents in {where}", f"Kinds of files that are read: {kinds}."
        )
    with writing(settings.store, progress.note):
        old = [] if rebuild else _old_entries(settings.store, embedder, chunking)
        reader = _Reader(settings, embedder, progress, old)
        for line in listing.failed:
            reader.fail(line)
        progress.start("Indexing", sum(file.size for file in listing.files))
        try:
            entries = [entry for file in listing.files if (entry := reader.read(file))]
        finally:
            progress.finish()
        if not entries:
            raise NoDocumentsError(f"No document could be read: {reader.failed[0]}")
        names = [str(root.resolve()) for root in roots]
        manifest, written = _save(settings.store, entries, old, embedder, chunking, names)
    return reader.report(entries, listing.ignored, manifest, written)


def _old_entries(store: Path, embedder: Embedder, chunking: str) -> list[Entry]:
    try:
        index = Index.load(store)
    except StoreMissing:
        return []
    try:
        index.check(embedder.identity, chunking)
        return index.entries()
    finally:
        index.close()


def _save(
    store: Path,
    entries: Sequence[Entry],
    old: Sequence[Entry],
    embedder: Embedder,
    chunking: str,
    roots: Sequence[str],
) -> tuple[Manifest, bool]:
    """Write a new generation unless the one in use holds the very same."""

    def content(these: Sequence[Entry]) -> list[tuple[str, str, str]]:
        return sorted((e.document.path, e.document.id, e.source) for e in these)

    if old and content(old) == content(entries):
        index = Index.load(store)
        index.close()
        if list(index.manifest.roots) == list(roots):
            return index.manifest, False
    manifest = Index.save(
        store,
        entries,
        embedder=embedder.identity,
        dimension=embedder.dimension,
        chunking=chunking,
        roots=roots,
    )
    return manifest, True


class _Reader:
    """Files to entries; remembers what was new, changed, unchanged or failed."""

    def __init__(
        self,
        settings: Settings,
        embedder: Embedder,
        progress: Progress,
        old: Sequence[Entry],
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._progress = progress
        self._by_name = {e.document.path: e for e in old}
        self._by_content = {e.document.id: e for e in old}
        self.failed: list[str] = []

    def fail(self, line: str) -> None:
        """Remember, and tell, why something could not be read."""
        self.failed.append(line)
        self._progress.note(f"Skipped: {line}")

    def read(self, file: SourceFile) -> Entry | None:
        """Return the file's entry, carried over where its bytes are known already."""
        limit = self._settings.max_file_mb * 1_000_000
        try:
            old = self._by_name.get(file.name)
            if old and file_id(file.path, file.name, max_bytes=limit) == old.document.id:
                self._progress.advance(file.size)
                return replace(old, source=str(file.path))
            document = read_document(file.path, file.name, max_bytes=limit)
        except ReadingError as error:
            self.fail(str(error))
            self._progress.advance(file.size)
            return None
        return self._entry(document, file)

    def _entry(self, document: Document, file: SourceFile) -> Entry:
        chunked = chunk_document(document, max_chars=self._settings.chunk_chars)
        spans = tuple(_spans(c) for c in chunked)
        known = self._by_content.get(document.id)
        # The same bytes under another name; a PDF's would be another text as `.txt`.
        if known and known.document.text == document.text:
            vectors = known.chunk_vectors, known.sentence_vectors
            self._progress.advance(file.size)
        else:
            vectors = self._embed(document, chunked, spans, file.size)
        chunks = tuple(c.chunk for c in chunked)
        entry = Entry(document, str(file.path), chunks, spans, *vectors)
        self._by_content.setdefault(document.id, entry)
        return entry

    def _embed(
        self, document: Document, chunked: Sequence[Chunked], spans: Sequence[Spans], size: int
    ) -> tuple[Vectors, Vectors]:
        sentences = [document.text[s:e] for group in spans for s, e in group]
        texts = [c.chunk.text for c in chunked] + sentences
        parts = [np.zeros((0, self._embedder.dimension), dtype=np.float32)]
        told = 0
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            parts.append(self._embedder.embed_passages(batch))
            share = size * (start + len(batch)) // len(texts)
            self._progress.advance(share - told)
            told = share
        vectors = np.concatenate(parts)
        return vectors[: len(chunked)], vectors[len(chunked) :]

    def report(
        self, entries: Sequence[Entry], ignored: int, manifest: Manifest, written: bool
    ) -> Report:
        """Sum up the run."""
        old = {name: e.document.id for name, e in self._by_name.items()}
        new = {e.document.path: e.document.id for e in entries}
        return Report(
            added=tuple(sorted(new.keys() - old.keys())),
            changed=tuple(sorted(n for n in new.keys() & old.keys() if new[n] != old[n])),
            unchanged=tuple(sorted(n for n in new.keys() & old.keys() if new[n] == old[n])),
            forgotten=tuple(sorted(old.keys() - new.keys())),
            failed=tuple(self.failed),
            ignored=ignored,
            manifest=manifest,
            written=written,
        )


def _spans(chunked: Chunked) -> Spans:
    """Return the sentences that say something: a line of dashes has no words."""
    start, text = chunked.chunk.start, chunked.chunk.text
    return tuple((s, e) for s, e in chunked.sentences if words(text[s - start : e - start]))
