"""The index: its files, what they say of each other, and the documents they were made of."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from rag.chunking import chunking_identity
from rag.datatypes import Document
from rag.doctor.finding import Finding, is_there, left_over, some
from rag.errors import (
    NoDocumentsError,
    ReadingError,
    StoreCorrupt,
    StoreError,
    StoreMissing,
)
from rag.index import Database, Index, Previous, leftovers, sources_of, sweep
from rag.ingest import files_of
from rag.models import Progress, identity_here
from rag.reading import read_document
from rag.session import Session
from rag.settings import Settings

UPDATE = "Run: rag index"


def examine_index(settings: Settings, progress: Progress) -> Iterator[Finding]:
    """Look at the index that the settings name."""
    store = settings.store
    if left := leftovers(store):
        yield left_over("index", left, UPDATE, partial(sweep, store))
    try:
        index = Index.load(store, trust="never")
    except StoreMissing as missing:
        yield Finding("index", "warning", missing.what, "Run: rag index FOLDER")
        return
    except StoreError as error:
        fix = _rebuild(settings, progress) if isinstance(error, StoreCorrupt) else None
        yield Finding("index", "broken", error.what, error.mend, fix)
        return
    try:
        yield from _examine(index, settings)
    finally:
        index.close()


def _rebuild(settings: Settings, progress: Progress) -> Callable[[], object] | None:
    """Return what builds a damaged index anew; `None` where a document would be lost by it."""
    roots, follow_links = sources_of(settings.store)
    if not roots or not all(is_there(Path(root)) for root in roots):
        return None
    try:
        known = Previous.open(settings.store, unverified=True)
    except StoreError:
        pass  # what its text says cannot be read, so nothing can be saved of it
    else:
        with closing(known):
            gone = [name for name, _, source in known.text.origins() if not is_there(Path(source))]
        if gone:
            return None
    session = Session(replace(settings, follow_links=follow_links), progress)
    return partial(session.index_documents, [Path(root) for root in roots], rebuild=True)


def _examine(index: Index, settings: Settings) -> Iterator[Finding]:
    manifest = index.manifest
    # All of it: a sentence that is not ranked is in no vector file, and still quoted.
    wrong = [*index.text.contradictions(), *_counts(index)]
    changed: list[str] = []
    gone: list[str] = []
    otherwise: list[str] = []
    for document, source in index.text.each_document():
        wrong += _slices(index.text, document)
        now = _read(Path(source), document.path, settings)
        if now is None:
            (changed if is_there(Path(source)) else gone).append(document.path)
            continue
        if now.id != document.id:
            changed.append(document.path)
        elif now.text != document.text:
            otherwise.append(document.path)
    if wrong:
        what = f"The index in {settings.store} contradicts itself: {some(wrong)}"
        yield Finding("index", "broken", what, "Run: rag index --rebuild")
    else:
        what = (
            f"{manifest.documents} documents, {manifest.chunks} chunks, {manifest.sentences} "
            "ranked sentences: every file, count and slice"
        )
        yield Finding("index", "sound", what)
    new, unreadable = _new(index, settings)
    stale = {
        "have changed since they were indexed": changed,
        "are no longer there": gone,
        "are new": new,
    }
    for what, names in stale.items():
        if names:
            line = f"{len(names)} of the documents' files {what}: {some(names)}"
            yield Finding("index", "warning", line, UPDATE)
    if unreadable:
        what = f"{len(unreadable)} files below the documents' folders cannot be read as documents"
        yield Finding("index", "warning", f"{what}: {some(unreadable)}", "See why: rag index")
    if otherwise:
        what = f"{len(otherwise)} files would be read otherwise today: {some(otherwise)}"
        yield Finding("index", "warning", what, "Run: rag index --rebuild")
    yield from _made_with(index, settings)
    yield from _open_to_others(settings.store, index.text.path.parent)


def _counts(index: Index) -> Iterator[str]:
    """Compare what the manifest says with the rows; vectors are compared when it is loaded."""
    told = {
        "documents": index.manifest.documents,
        "chunks": index.manifest.chunks,
        "sentences": index.manifest.sentences,
    }
    for table, count in told.items():
        if (found := index.text.count(table)) != count:
            yield f"{found} {table} instead of {count}"


def _slices(text: Database, document: Document) -> Iterator[str]:
    """Compare every chunk and sentence of a document with its text."""
    rows = sorted(text.chunk_rows_of([document.path]))
    sentences = text.sentences(rows)
    for row, chunk in zip(rows, text.chunks(rows), strict=True):
        if document.text[chunk.start : chunk.end] != chunk.text or not chunk.text:
            yield f"a chunk of {document.path} at {chunk.start} is no slice of it"
        last = chunk.start
        for sentence in sentences[row]:
            if not last <= sentence.start < sentence.end <= chunk.end:
                yield f"a sentence of {document.path} at {sentence.start} leaves its chunk"
            last = sentence.start


def _new(index: Index, settings: Settings) -> tuple[list[str], list[str]]:
    """Name the files below the roots that are not in the index: documents, and what is none."""
    try:
        roots = [Path(root) for root in index.manifest.roots]
        listing = files_of(roots, follow_links=index.manifest.follow_links)
    except NoDocumentsError:
        return [], []
    known = {source for _, _, source in index.text.origins()}
    new: list[str] = []
    unreadable: list[str] = []
    for file in listing.files:
        if file.place not in known:
            (new if _read(file.path, file.name, settings) else unreadable).append(file.name)
    return new, unreadable


def _read(path: Path, name: str, settings: Settings) -> Document | None:
    """Read a file as the indexer would; `None` where it cannot."""
    try:
        return read_document(path, name, max_bytes=settings.max_file_mb * 1_000_000)
    except ReadingError:
        return None


def _made_with(index: Index, settings: Settings) -> Iterator[Finding]:
    """Tell where these settings would refuse the index."""
    identity = identity_here(settings)
    if identity is None:
        return  # a model that is not there is a finding of its own
    try:
        index.check(identity, chunking_identity(settings.chunk_tokens))
    except StoreError as error:
        yield Finding("index", "broken", error.what, error.mend)


def _open_to_others(store: Path, folder: Path) -> Iterator[Finding]:
    """Tell which files of the index others may read: they hold the documents' text."""
    wide = [path for path in (folder, *folder.rglob("*")) if _others_can_read(path)]
    if not wide:
        return

    def close() -> None:
        for path in wide:
            if not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)

    what = f"Others can read {len(wide)} files and folders of the index in {store}"
    mend = f"Run: chmod -R go= {shlex.quote(str(folder))}"
    yield Finding("index", "warning", what, mend, close)


def _others_can_read(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False  # an answer that went meanwhile
    return not stat.S_ISLNK(found.st_mode) and bool(stat.S_IMODE(found.st_mode) & 0o077)
