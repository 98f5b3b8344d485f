"""Settings to working parts: embedder, index and generator, each made when first needed.

An index that is missing is built; the store of `ask --docs` lies in the user's cache, is
brought up to date at each use and rebuilt where another embedder made it, because nothing
but time can be lost with it. This module prints nothing and parses nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import platformdirs

from rag.answer import Answerer, writes_likely
from rag.chunking import chunking_identity
from rag.datatypes import Answer, Filter, Manifest
from rag.embedding import Awaited, Embedder, load_embedder
from rag.errors import (
    NoDocumentsError,
    ReadingError,
    StoreCorrupt,
    StoreError,
    StoreMismatch,
    StoreMissing,
)
from rag.generation import Generator, LlamaGenerator, states_of_user
from rag.index import Database, Index, Previous, sources_of
from rag.ingest import Report, index_documents
from rag.lexicon import lexicons_of_user
from rag.models import ModelFile, Progress, resolve_embedder, resolve_generator
from rag.reading import file_id
from rag.remembering import Remembered
from rag.reranking import Reranker, reranker_of
from rag.retrieve import Found, checked, retrieve
from rag.settings import APP, Settings
from rag.spans import Reader, SpanReader

T = TypeVar("T")
# Settings that change no answer.
UNTOLD = frozenset(
    {"store", "documents", "models", "offline", "max_file_mb", "remember", "follow_links"}
)


class Session:
    """The parts that questions need, over one store."""

    def __init__(
        self, settings: Settings, progress: Progress, wanted: Filter | None = None
    ) -> None:
        self.settings = settings
        self.wanted = wanted or Filter()
        self._progress = progress
        self._generator_file: ModelFile | None = None
        self._loaded: Generator | None = None
        self._embedder_ahead: Future[Embedder] | None = None
        self._generator_ahead: Future[Generator] | None = None

    @classmethod
    def over(
        cls,
        documents: Path,
        settings: Settings,
        progress: Progress,
        wanted: Filter | None = None,
    ) -> Session:
        """Make a session over another folder, indexed into a store of its own.

        Raises `NoDocumentsError` where there is nothing to read.
        """
        documents = documents.expanduser().resolve()
        session = cls(
            replace(settings, store=private_store(documents), documents=documents),
            progress,
            wanted,
        )
        try:
            session.index_documents([documents])
        except (StoreMismatch, StoreCorrupt):
            session.index_documents([documents], rebuild=True)
        return session

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder, fetched and loaded at the first use."""
        if self._embedder_ahead is not None:
            return self._embedder_ahead.result()
        return self._load_embedder()

    def _load_embedder(self) -> Embedder:
        settings = self.settings
        return load_embedder(
            self._embedder_file, offline=settings.offline, threads=settings.threads
        )

    @cached_property
    def _embedder_file(self) -> ModelFile:
        return resolve_embedder(self.settings.embedder, self.settings, self._progress)

    @cached_property
    def index(self) -> Index:
        """The index; one that does not exist is built from the documents of the settings.

        Raises `StoreError`, or `NoDocumentsError` where there is nothing to build it from.
        """
        try:
            index = Index.load(self.settings.store)
        except StoreMissing as missing:
            if self.settings.documents is None:
                raise NoDocumentsError(missing.what, "Run: rag index FOLDER") from missing
            self._progress.note(f"No index yet: building one of {self.settings.documents}")
            self.index_documents([self.settings.documents])
            index = Index.load(self.settings.store)
        index.check(self._embedder_file.identity, chunking_identity(self.settings.chunk_tokens))
        return index

    @cached_property
    def _previous(self) -> Previous:
        """The index as far as it is needed before it is searched."""
        return Previous.open(self.settings.store)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the index; raises `StoreError`."""
        return self.index.manifest if "index" in self.__dict__ else self._previous.manifest

    @property
    def text(self) -> Database:
        """What the index knows of its documents; raises `StoreError`."""
        return self.index.text if "index" in self.__dict__ else self._previous.text

    @cached_property
    def answerer(self) -> Answerer:
        """The answerer; the generator's file is fetched now, but loaded when it is asked."""
        index, embedder = self.index, self.embedder
        self._found_generator()
        return Answerer(
            index,
            embedder,
            lambda: self.reader,
            self._load_generator,
            self.settings,
            reranker=self.reranker,
            lexicons=lexicons_of_user(),
        )

    @cached_property
    def reader(self) -> Reader:
        """The span reader that comes with the package."""
        return SpanReader.shipped(self.embedder, self.settings, self._progress)

    @cached_property
    def reranker(self) -> Reranker | None:
        """The reranker, where the settings name one."""
        return reranker_of(self.settings)

    @cached_property
    def within(self) -> list[str] | None:
        """The documents that the filter lets pass; `None` where there is no filter.

        Raises `NoDocumentsError` where it lets none pass.
        """
        return self._passing(self.wanted)

    def _passing(self, wanted: Filter) -> list[str] | None:
        if wanted == Filter():
            return None
        names = self.index.text.select(wanted)
        if not names:
            raise NoDocumentsError(
                f"No document passes {wanted}", "See names, dates, languages: rag info"
            )
        return names

    def narrow(self, wanted: Filter) -> None:
        """Look only in what passes this filter from now on.

        Raises `NoDocumentsError` where nothing does; the filter then stays as it was.
        """
        within = self._passing(wanted)
        self.wanted = wanted
        self.within = within

    def use_generator(self, name: str) -> str:
        """Let another generator answer from now on; return its identity.

        Raises `ModelError` or `UsageError` where it cannot be had; the old one then stays.
        """
        file = resolve_generator(name, self.settings, self._progress)
        self.settings = replace(self.settings, generator=name)
        self._generator_file, self._loaded, self._generator_ahead = file, None, None
        self._forget("answerer")
        return file.identity

    def reindex(self, roots: Sequence[Path] = ()) -> Report:
        """Bring the index in line with these paths, or those of last time, and use it.

        Raises like `index_documents`; the index then stays as it was.
        """
        default = [self.settings.documents] if self.settings.documents else []
        report = self.index_documents(roots or self.as_before() or default)
        if report.written:
            self._close()
        return report

    def _forget(self, *names: str) -> None:
        """Let parts be made anew when they are needed next."""
        for name in names:
            self.__dict__.pop(name, None)

    def ask(
        self,
        question: str,
        on_text: Callable[[str], None] = lambda _: None,
        *,
        fresh: bool = False,
    ) -> Answer:
        """Answer a question over the documents that the filter lets pass.

        One that was asked before, over the same index and with the same models and settings,
        is answered as it was then, unless a `fresh` answer is wanted.
        """
        start = time.perf_counter()
        question = checked(question)
        self._verify()
        before = None if fresh else self._remembered()
        found = before and before.find(question)
        if found:
            took = {"total": time.perf_counter() - start}
            return replace(found, timings=took, tokens={}, remembered=True)
        self._load_ahead(question)
        answer = self.answerer.ask(question, on_text, within=self.within)
        if remembered := self._remembered():
            remembered.keep(question, answer)
        return answer

    def expect(self, question: str, *, fresh: bool = False) -> None:
        """Begin to load what `ask` will need for a question, if it is not remembered."""
        question = checked(question)
        before = None if fresh else self._remembered()
        if before is None or before.find(question) is None:
            self._load_ahead(question)

    def _verify(self) -> None:
        """Raise `StoreCorrupt` where the open index was damaged; it is opened anew then."""
        if "index" not in self.__dict__:
            return
        try:
            self.index.verify()
        except StoreCorrupt:
            self._close()
            raise

    def _close(self) -> None:
        """Let go of the index and of what was made over it."""
        for name in ("index", "_previous"):
            if name in self.__dict__:
                self.__dict__[name].close()
        self._forget("answerer", "within", "index", "_previous")

    def _remembered(self) -> Remembered | None:
        """Return the answers over the index in use; `None` where there are none to be had."""
        if not self.settings.remember:
            return None
        try:
            manifest, text = self.manifest, self.text
        except (StoreError, NoDocumentsError):
            return None  # whoever opens the index will say what is wrong
        settings = {
            name: value for name, value in asdict(self.settings).items() if name not in UNTOLD
        }
        about = {
            **settings,
            "models": [self._embedder_file.identity, self._found_generator().identity],
            "index": [manifest.embedder, manifest.chunking, dict(manifest.files)],
            "filter": str(self.wanted),
        }
        return Remembered(text, about)

    def _load_ahead(self, question: str) -> None:
        """Load at once what this question needs, where it is the first to need it.

        The libraries do most of their loading without Python's lock. The embedder comes while
        the index is opened, and the generator, where it is likely needed, while the question
        is searched; what a thread raises is raised where its work is asked for.
        """
        if "embedder" not in self.__dict__ and self._embedder_ahead is None:
            _ = self._embedder_file  # a fetch shows its progress
            self._embedder_ahead = _begin(self._load_embedder)
        if self._loaded is None and self._generator_ahead is None:
            if writes_likely(question, self.index.text, self.settings):
                self._found_generator()
                self._generator_ahead = _begin(self._make_generator)

    def search(self, question: str) -> Found:
        """Find hits and evidence for a question, without a generator."""
        self._verify()
        return retrieve(
            question,
            self.index,
            self.embedder,
            k=self.settings.k,
            evidence=self.settings.evidence,
            within=self.within,
            reranker=self.reranker,
        )

    @property
    def generator_identity(self) -> str | None:
        """The generator's identity, `None` where no question needed one yet."""
        return self._generator_file.identity if self._generator_file else None

    def _load_generator(self) -> Generator:
        """Load the generator once: a new index needs no new one."""
        if self._loaded is None:
            ahead, self._generator_ahead = self._generator_ahead, None
            self._loaded = self._make_generator() if ahead is None else ahead.result()
        return self._loaded

    def _make_generator(self) -> Generator:
        settings = self.settings
        return LlamaGenerator.load(
            self._found_generator(),
            context=settings.context,
            threads=settings.threads,
            states=states_of_user(),
        )

    def _found_generator(self) -> ModelFile:
        """Return the generator's file, fetched at the first use."""
        if self._generator_file is None:
            self._generator_file = resolve_generator(
                self.settings.generator, self.settings, self._progress
            )
        return self._generator_file

    def index_documents(self, roots: Sequence[Path], *, rebuild: bool = False) -> Report:
        """Bring the store in line with these paths; see `rag.ingest`."""
        embedder = Awaited(self._embedder_file.identity, lambda: self.embedder)
        return index_documents(roots, self.settings, embedder, self._progress, rebuild=rebuild)

    def as_before(self) -> list[Path]:
        """Return the paths that the present index was made of; follow links if it did.

        Nothing where there is no index. Raises `StoreCorrupt` where it is too damaged to tell:
        other documents must not take its place unasked.
        """
        store = self.settings.store
        roots, follow_links = sources_of(store)
        if not roots:
            try:
                Previous.open(store).close()
            except StoreMissing:
                return []
            except (StoreCorrupt, StoreMismatch) as error:
                raise StoreCorrupt(error.what, "Run: rag index --rebuild FOLDER") from error
        if follow_links:
            self.settings = replace(self.settings, follow_links=True)
        return [Path(root) for root in roots]

    def stale(self, answer: Answer) -> list[str]:
        """Name the cited files that are no longer what was indexed, or are gone."""
        return self.changed({q.chunk.path for c in answer.citations for q in (c.quote, *c.also)})

    def changed(self, names: Iterable[str]) -> list[str]:
        """Name those of the documents whose file no longer has the indexed bytes."""
        return [name for name in sorted(names) if not self._is_current(name)]

    def _is_current(self, name: str) -> bool:
        digest, source = self.text.origin(name)
        try:
            limit = self.settings.max_file_mb * 1_000_000
            return file_id(Path(source), name, max_bytes=limit) == digest
        except ReadingError:
            return False


def _begin(work: Callable[[], T]) -> Future[T]:
    """Begin something in a thread of its own; the process does not end before it does."""
    pool = ThreadPoolExecutor(1)
    begun = pool.submit(work)
    pool.shutdown(wait=False)
    return begun


def private_store(documents: Path) -> Path:
    """Return where the index of `ask --docs DOCUMENTS` lies."""
    name = hashlib.sha256(str(documents).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return private_stores() / name


def private_stores() -> Path:
    """Return the folder of all indexes of `ask --docs`."""
    return Path(platformdirs.user_cache_dir(APP)) / "stores"
