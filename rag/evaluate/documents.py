"""The documents of an evaluation as an index: paragraphs to files, files to a store.

Stores lie in the user's cache under a name made of what they hold and what embedded it,
so that a run that is taken up again embeds nothing twice. The program's own `ingest` does
the work. Knows no question and no metric.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import platformdirs

from rag.chunking import chunking_identity
from rag.embedding import Embedder
from rag.errors import EvaluationError, NoDocumentsError, StoreMissing
from rag.evaluate.sets import QuestionSet
from rag.evaluate.squad import Paragraph
from rag.index import Index
from rag.ingest import index_documents
from rag.models import Progress
from rag.settings import APP, Settings


def default_cache() -> Path:
    """Return where the stores of evaluations are kept; they may be deleted at any time."""
    return Path(platformdirs.user_cache_dir(APP)) / "evaluate"


@contextmanager
def opened(
    given: QuestionSet, settings: Settings, embedder: Embedder, progress: Progress, cache: Path
) -> Iterator[Index]:
    """Open the index that the questions are asked over, made if need be.

    Documents to be removed are left out of a temporary copy. Raises `EvaluationError`
    where a source is not among the documents, and what `ingest` raises.
    """
    store = _store(given, settings, embedder, progress, cache)
    index = Index.load(store)
    try:
        index.check(embedder.identity, chunking_identity(settings.chunk_tokens))
        _check_sources(given, index)
        if not given.removed:
            yield index
            return
        with TemporaryDirectory(prefix="rag-eval-") as folder:
            smaller = _reduced(index, given.removed, Path(folder))
            try:
                yield smaller
            finally:
                smaller.close()
    finally:
        index.close()


def _store(
    given: QuestionSet, settings: Settings, embedder: Embedder, progress: Progress, cache: Path
) -> Path:
    if given.paragraphs:
        key = _digest(f"{p.name}\0{p.text}" for p in given.paragraphs)
        root = _written(given.paragraphs, cache / "documents" / key)
    elif given.documents is not None:
        root = given.documents.resolve()
        key = _digest([str(root)])
    else:
        try:  # the user's own index, as it is
            Index.load(settings.store).close()
            return settings.store
        except StoreMissing as missing:
            if settings.documents is None:
                raise NoDocumentsError(missing.what, "Name a folder with --docs.") from missing
        root = settings.documents
        key = _digest([str(root)])
    made = _digest([key, embedder.identity, chunking_identity(settings.chunk_tokens)])
    store = cache / "stores" / made
    index_documents([root], replace(settings, store=store), embedder, progress)
    return store


def _digest(parts: Iterator[str] | Sequence[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0\0")
    return digest.hexdigest()[:16]


def _written(paragraphs: Sequence[Paragraph], folder: Path) -> Path:
    """Write each paragraph as a file; the folder appears whole or not at all."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(mkdtemp(dir=folder.parent, prefix="half-"))
    try:
        for paragraph in paragraphs:
            # As bytes: a text file's line ends would be exchanged, and offsets with them.
            (half / paragraph.name).write_bytes(paragraph.text.encode("utf-8"))
        half.rename(folder)
    except OSError:
        shutil.rmtree(half, ignore_errors=True)
        if not folder.is_dir():  # else another process was faster
            raise
    return folder


def _check_sources(given: QuestionSet, index: Index) -> None:
    known = {name for name, *_ in index.text.names()}
    for question in given.questions:
        for source in question.sources:
            if source not in known:
                some = ", ".join(sorted(known)[:3])
                raise EvaluationError(
                    f"The question {question.id!r} names the source {source!r}, which is not "
                    f"among the {len(known)} documents",
                    f"They are called like: {some}.",
                )


def _reduced(index: Index, removed: Collection[str], folder: Path) -> Index:
    """Copy an index without some documents; nothing is embedded again."""
    entries = [e for e in index.entries() if e.document.path not in removed]
    if not entries:
        raise EvaluationError("Every document would be removed", "Lower --unanswerable.")
    made = index.manifest
    Index.save(
        folder,
        entries,
        embedder=made.embedder,
        dimension=made.dimension,
        chunking=made.chunking,
        roots=made.roots,
    )
    return Index.load(folder)


def content_digest(index: Index) -> str:
    """Name what is in an index: its documents, its embedder, its chunking."""
    made = index.manifest
    names = [f"{name}\0{digest}" for name, digest, *_ in index.text.names()]
    return _digest([made.embedder, made.chunking, *names])


def languages(index: Index) -> tuple[dict[str, str], str]:
    """Return each document's language (ISO 639-1) by name, and that of most of them."""
    found = {listed.path: listed.language for listed in index.text.names()}
    return found, Counter(found.values()).most_common(1)[0][0]
