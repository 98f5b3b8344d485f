"""A run of the indexer, from the folder to the new generation.

First the files are compared with the index by their bytes; where nothing has changed that
is all, and the embedder is asked for nothing but its name. Else the old generation is
copied and changed: files are read and cut one after the other, what is boilerplate is
decided when everything is there, and what has no vector then is embedded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rag.chunking import Chunked, chunk_document, chunking_identity
from rag.datatypes import Manifest
from rag.embedding import Embedder
from rag.errors import (
    NoDocumentsError,
    ReadingError,
    StoreMismatch,
    StoreMissing,
    StoreOutdated,
)
from rag.index import Draft, Index, Part, Previous, Spans, clear, writing
from rag.ingest.comparing import Compared, compare
from rag.ingest.embedding import embed_pending
from rag.ingest.listing import Listing, SourceFile, files_of
from rag.ingest.telling import Telling
from rag.language import has_words
from rag.models import Progress
from rag.reading import SUFFIXES, read_document
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Report:
    """What an indexing run did, by names of documents.

    `failed` holds the one-line reason of each file that could not be read, `ignored` counts
    files of other kinds and `links` those that were not followed. `written` says whether a new
    generation was needed.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    forgotten: tuple[str, ...]
    failed: tuple[str, ...]
    ignored: int
    links: int
    manifest: Manifest
    written: bool


def index_documents(
    roots: Sequence[Path],
    settings: Settings,
    embedder: Embedder,
    progress: Progress,
    *,
    rebuild: bool = False,
) -> Report:
    """Bring the index at `settings.store` in line with the files below `roots`.

    `rebuild` starts from nothing, whatever is there. Of the embedder only `identity` is
    used where nothing has changed. Raises `NoDocumentsError` where nothing readable is
    found (the old index then stays) and `StoreError`.
    """
    listing = files_of(roots, follow_links=settings.follow_links)
    if not listing.files and not listing.failed:
        kinds = " ".join(sorted(SUFFIXES))
        where = ", ".join(str(r) for r in roots)
        raise NoDocumentsError(
            f"There are no documents in {where}", f"Kinds of files that are read: {kinds}."
        )
    with writing(settings.store, progress.note):
        clear(settings.store)
        old = None if rebuild else _previous(settings, embedder, progress)
        try:
            run = _Run(settings, embedder, progress, old)
            return run.bring_in_line(listing, [str(root.resolve()) for root in roots])
        finally:
            if old is not None:
                old.close()


def _previous(settings: Settings, embedder: Embedder, progress: Progress) -> Previous | None:
    try:
        old = Previous.open(settings.store)
    except StoreMissing:
        return None
    except StoreOutdated:
        # Nothing is lost but time: everything in an index comes from the documents.
        progress.note("The index was written by an older version: building it anew.")
        return None
    try:
        old.check(embedder.identity, chunking_identity(settings.chunk_tokens))
    except StoreMismatch:
        old.close()
        raise
    return old


class _Run:
    """One run over one store; the write lock is held."""

    def __init__(
        self, settings: Settings, embedder: Embedder, progress: Progress, old: Previous | None
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._progress = progress
        self._old = old
        self._telling = Telling(progress)
        self._max_bytes = settings.max_file_mb * 1_000_000
        self._read: dict[str, str] = {}  # digests of the documents that were read, by name

    def bring_in_line(self, listing: Listing, roots: Sequence[str]) -> Report:
        for line in listing.failed:
            self._telling.fail(line)
        self._progress.start("Reading", sum(file.size for file in listing.files))
        with _Stage(self._progress) as reading:
            compared = compare(listing.files, self._old, self._telling, max_bytes=self._max_bytes)
            parts = self._parts(compared.wanted)
            first = next(parts, None)
            if first is None and not compared.kept:
                raise NoDocumentsError(f"No document could be read: {self._telling.failed[0]}")
            manifest = self._unchanged(compared, first, roots)
            if manifest is not None:
                return self._report(compared, listing, manifest, written=False)
            there = () if first is None else (first,)
            manifest = self._write(compared, chain(there, parts), roots, listing, reading)
        return self._report(compared, listing, manifest, written=True)

    def _unchanged(
        self, compared: Compared, first: Part | None, roots: Sequence[str]
    ) -> Manifest | None:
        """Return the manifest in use where it stands for the very same documents."""
        if self._old is None or first is not None or compared.gone or compared.moved:
            return None
        manifest = self._old.manifest
        same = list(manifest.roots) == list(roots)
        return manifest if same and manifest.follow_links == self._settings.follow_links else None

    def _write(
        self,
        compared: Compared,
        parts: Iterator[Part],
        roots: Sequence[str],
        listing: Listing,
        reading: _Stage,
    ) -> Manifest:
        old = self._old
        if old is not None:
            old.verify()
        # Where nothing stays, a copy would only have to be emptied.
        base = old.folder if old is not None and compared.kept else None

        def fill(draft: Draft) -> None:
            if base is not None:
                draft.remove(compared.gone)
                draft.move(compared.moved)
            for part in parts:
                draft.add(part)
            draft.settle()
            reading.finish()
            size = sum(file.size for file in listing.files)
            self._progress.start("Indexing", size)
            with _Stage(self._progress):
                embed_pending(draft, old, self._embedder, self._progress, size)

        return Index.write(
            self._settings.store,
            base,
            fill,
            embedder=self._embedder.identity,
            dimension=self._embedder.dimension,
            chunking=chunking_identity(self._settings.chunk_tokens),
            roots=roots,
            follow_links=self._settings.follow_links,
        )

    def _parts(self, files: Sequence[SourceFile]) -> Iterator[Part]:
        """Read and cut the files that can be read, one after the other."""
        for file in files:
            try:
                document = read_document(file.path, file.name, max_bytes=self._max_bytes)
            except ReadingError as error:
                self._telling.fail(str(error), file.size)
                continue
            chunked = chunk_document(
                document,
                max_tokens=self._settings.chunk_tokens,
                measure=self._embedder.count_tokens,
            )
            self._telling.advance(file.size)
            self._read[document.path] = document.id
            yield Part(
                document,
                file.place,
                tuple(c.chunk for c in chunked),
                tuple(_spans(c) for c in chunked),
            )

    def _report(
        self, compared: Compared, listing: Listing, manifest: Manifest, *, written: bool
    ) -> Report:
        old, new = compared.digests, self._read
        same = {name for name in new.keys() & old.keys() if new[name] == old[name]}
        return Report(
            added=tuple(sorted(new.keys() - old.keys())),
            changed=tuple(sorted((new.keys() & old.keys()) - same)),
            unchanged=tuple(sorted(compared.kept | same)),
            forgotten=tuple(sorted(old.keys() - new.keys() - compared.kept)),
            failed=tuple(self._telling.failed),
            ignored=listing.ignored,
            links=listing.links,
            manifest=manifest,
            written=written,
        )


class _Stage:
    """A stage that was told to have started, and is told to have finished once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._finished = False

    def finish(self) -> None:
        """Tell it, unless it was told."""
        if not self._finished:
            self._finished = True
            self._progress.finish()

    def __enter__(self) -> _Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()


def _spans(chunked: Chunked) -> Spans:
    """Return the sentences that say something: a line of dashes has no words."""
    start, text = chunked.chunk.start, chunked.chunk.text
    return tuple((s, e) for s, e in chunked.sentences if has_words(text[s - start : e - start]))
