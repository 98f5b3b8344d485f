"""A folder to an index: what has not changed is carried over, what is gone is forgotten.

The index mirrors exactly the paths of the last run. A file is known by the SHA-256 of its
bytes and a vector by the text it was made of, so a renamed or copied file is not embedded
again. What is boilerplate is decided when everything has been read. A file that cannot be read is
reported and the rest is indexed. Knows no question.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.boilerplate import boilerplate, outline
from rag.chunking import Chunked, chunk_document, chunking_identity
from rag.datatypes import Chunk, Document, Manifest
from rag.embedding import Embedder
from rag.errors import NoDocumentsError, ReadingError, StoreMissing, StoreOutdated
from rag.index import Entry, Index, writing
from rag.language import visible, words
from rag.models import Progress
from rag.reading import SUFFIXES, file_id, printable, read_document
from rag.settings import Settings

BATCH = 64

Spans = tuple[tuple[int, int], ...]
Vector = NDArray[np.float32]


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
    chunking = chunking_identity(settings.chunk_tokens)
    listing = files_of(roots)
    if not listing.files and not listing.failed:
        kinds = " ".join(sorted(SUFFIXES))
        where = ", ".join(str(r) for r in roots)
        raise NoDocumentsError(
            f"There are no documents in {where}", f"Kinds of files that are read: {kinds}."
        )
    with writing(settings.store, progress.note):
        old = [] if rebuild else _old_entries(settings.store, embedder, chunking, progress)
        reader = _Reader(settings, embedder, progress, old)
        for line in listing.failed:
            reader.fail(line)
        parts = reader.read_all(listing.files)
        if not parts:
            raise NoDocumentsError(f"No document could be read: {reader.failed[0]}")
        names = [str(root.resolve()) for root in roots]
        manifest = _unchanged(settings.store, parts, old, names)
        written = manifest is None
        if manifest is None:
            entries = _embedded(parts, old, embedder, progress)
            manifest = Index.save(
                settings.store,
                entries,
                embedder=embedder.identity,
                dimension=embedder.dimension,
                chunking=chunking,
                roots=names,
            )
    return reader.report(parts, listing.ignored, manifest, written)


def _old_entries(store: Path, embedder: Embedder, chunking: str, progress: Progress) -> list[Entry]:
    try:
        index = Index.load(store)
    except StoreMissing:
        return []
    except StoreOutdated:
        # Nothing is lost but time: everything in an index comes from the documents.
        progress.note("The index was written by an older version: building it anew.")
        return []
    try:
        index.check(embedder.identity, chunking)
        return index.entries()
    finally:
        index.close()


def _unchanged(
    store: Path, parts: Sequence[_Part], old: Sequence[Entry], roots: Sequence[str]
) -> Manifest | None:
    """Return the manifest in use where it stands for the very same documents."""
    now = sorted((p.document.path, p.document.id, str(p.file.path)) for p in parts)
    if not old or now != sorted((e.document.path, e.document.id, e.source) for e in old):
        return None
    index = Index.load(store)
    index.close()
    return index.manifest if list(index.manifest.roots) == list(roots) else None


@dataclass(frozen=True, slots=True)
class _Part:
    """A file that was read and cut, but not embedded yet."""

    file: SourceFile
    document: Document
    chunks: tuple[Chunk, ...]
    spans: tuple[Spans, ...]

    @property
    def flat(self) -> list[tuple[int, int]]:
        """The sentences of all chunks."""
        return [span for group in self.spans for span in group]


def _embedded(
    parts: Sequence[_Part], old: Sequence[Entry], embedder: Embedder, progress: Progress
) -> list[Entry]:
    """Embed what is ranked; what was embedded before, under any name, is carried over.

    Boilerplate is a matter of the whole collection, so a new document can change what is
    embedded of an old one: vectors are known by the text they were made of.
    """
    skipped = boilerplate([outline(p.document, p.flat) for p in parts])
    known: dict[str, Vector] = {}
    for entry in old:
        texts = _inputs(entry.document, entry.chunks, entry.sentences, entry.boilerplate)
        for text, vector in zip(
            texts, [*entry.chunk_vectors, *entry.sentence_vectors], strict=True
        ):
            known.setdefault(text, vector)
    entries = []
    progress.start("Indexing", sum(part.file.size for part in parts))
    try:
        for part, places in zip(parts, skipped, strict=True):
            texts = _inputs(part.document, part.chunks, part.spans, places)
            _embed(texts, known, embedder, progress, part.file.size)
            vectors = np.array([known[text] for text in texts], dtype=np.float32)
            vectors = vectors.reshape(len(texts), embedder.dimension)
            size = len(part.chunks)
            entries.append(
                Entry(
                    part.document,
                    str(part.file.path),
                    part.chunks,
                    part.spans,
                    vectors[:size],
                    vectors[size:],
                    places,
                )
            )
    finally:
        progress.finish()
    return entries


def _inputs(
    document: Document,
    chunks: Sequence[Chunk],
    spans: Sequence[Spans],
    skipped: Collection[int],
) -> list[str]:
    """Return what is embedded: of each chunk what is ranked, then each ranked sentence."""
    whole: list[str] = []
    single: list[str] = []
    place = 0
    for chunk, group in zip(chunks, spans, strict=True):
        kept = []
        for start, end in group:
            if place not in skipped:
                kept.append(document.text[start:end])
            place += 1
        text = "\n".join(kept) if 0 < len(kept) < len(group) else chunk.text
        whole.append(f"{chunk.context}\n{text}" if chunk.context else text)
        single += kept
    return [_as_seen(text) for text in whole + single]


def _as_seen(text: str) -> str:
    """Return a text for the embedder: what is hidden in it must not be found by it.

    Its tokenizer takes `</s>` in a text for the end of it, hence the other brackets.
    """
    return visible(text).replace("<", "‹").replace(">", "›")


def _embed(
    texts: Sequence[str],
    known: dict[str, Vector],
    embedder: Embedder,
    progress: Progress,
    size: int,
) -> None:
    """Embed what is not known yet; `size` bytes are told as done on the way."""
    new = [text for text in dict.fromkeys(texts) if text not in known]
    told = 0
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        known.update(zip(batch, embedder.embed_passages(batch), strict=True))
        share = size * (start + len(batch)) // len(new)
        progress.advance(share - told)
        told = share
    progress.advance(size - told)


class _Reader:
    """Files to parts; remembers what was new, changed, unchanged or failed."""

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
        self.failed: list[str] = []

    def fail(self, line: str) -> None:
        """Remember, and tell, why something could not be read."""
        self.failed.append(line)
        self._progress.note(f"Skipped: {line}")

    def read_all(self, files: Sequence[SourceFile]) -> list[_Part]:
        """Read and cut the files that can be read."""
        self._progress.start("Reading", sum(file.size for file in files))
        parts = []
        try:
            for file in files:
                part = self._read(file)
                self._progress.advance(file.size)
                if part is not None:
                    parts.append(part)
        finally:
            self._progress.finish()
        return parts

    def _read(self, file: SourceFile) -> _Part | None:
        """Read a file and cut it; what has the bytes of last time is not read again."""
        limit = self._settings.max_file_mb * 1_000_000
        try:
            old = self._by_name.get(file.name)
            if old and file_id(file.path, file.name, max_bytes=limit) == old.document.id:
                return _Part(file, old.document, old.chunks, old.sentences)
            document = read_document(file.path, file.name, max_bytes=limit)
        except ReadingError as error:
            self.fail(str(error))
            return None
        chunked = chunk_document(
            document,
            max_tokens=self._settings.chunk_tokens,
            measure=self._embedder.count_tokens,
        )
        spans = tuple(_spans(c) for c in chunked)
        return _Part(file, document, tuple(c.chunk for c in chunked), spans)

    def report(
        self, parts: Sequence[_Part], ignored: int, manifest: Manifest, written: bool
    ) -> Report:
        """Sum up the run."""
        old = {name: e.document.id for name, e in self._by_name.items()}
        new = {p.document.path: p.document.id for p in parts}
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
