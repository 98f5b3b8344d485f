"""A whole evaluation: read, prepare, ask, sum up, report.

Questions are read and checked before any model loads. Each is asked by `examine` and kept
by `runs` as it finishes; the same plan over the same things takes up an unfinished run.
This module prints nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from rag import __version__
from rag.answer import Answerer
from rag.calibration import Calibration
from rag.embedding import Embedder, load_embedder
from rag.errors import UsageError
from rag.evaluate import documents, sets
from rag.evaluate.examine import Parts, RememberingEmbedder, examine
from rag.evaluate.report import render
from rag.evaluate.results import Result
from rag.evaluate.runs import Run, file_digest, open_run
from rag.evaluate.scoring import Level, judged
from rag.evaluate.sets import Files, QuestionSet
from rag.evaluate.summary import summarise
from rag.generation import Generator, LlamaGenerator, states_of_user
from rag.index import Index
from rag.models import Progress, resolve_embedder, resolve_generator
from rag.reranking import Reranker, reranker_of
from rag.settings import Settings
from rag.spans import Reader, SpanReader

# The settings that can change a result; the others only say where things lie.
TELLING = (
    "k", "evidence", "chunk_tokens", "context", "max_tokens", "threads", "reranker",
    "passage_tokens", "strictness", "generator_reads",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to evaluate.

    `limit` questions are drawn by `seed`; `unanswerable`, in [0, 1), is the share whose
    sources are taken out of the index. `runs` is the folder for the run's own folder,
    `name` the last part of its name. `fresh` takes up no unfinished run.
    """

    files: Files
    level: Level = "whole"
    limit: int | None = None
    seed: int = 0
    unanswerable: float = 0.0
    name: str = ""
    runs: Path = Path("runs")
    cache: Path = field(default_factory=documents.default_cache)
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Tools:
    """The models, each made when it is needed.

    `generator` gives the weights' identity and the loader, without loading; `reader` makes
    the span reader, on the embedder where it can.
    """

    embedder: Callable[[], Embedder]
    generator: Callable[[], tuple[str, Callable[[], Generator]]]
    reader: Callable[[Embedder], Reader]
    calibration: Calibration | None = None
    reranker: Callable[[], Reranker | None] = lambda: None

    @classmethod
    def real(cls, settings: Settings, progress: Progress) -> Tools:
        """Make the models that the settings name, as `rag.session` does."""

        def embedder() -> Embedder:
            file = resolve_embedder(settings.embedder, settings, progress)
            return load_embedder(file, offline=settings.offline, threads=settings.threads)

        def generator() -> tuple[str, Callable[[], Generator]]:
            file = resolve_generator(settings.generator, settings, progress)
            context, threads = settings.context, settings.threads
            return file.identity, lambda: LlamaGenerator.load(
                file, context=context, threads=threads, states=states_of_user()
            )

        return cls(
            embedder,
            generator,
            lambda made: SpanReader.shipped(made, settings, progress),
            reranker=lambda: reranker_of(settings),
        )


class Watcher(Protocol):
    """Somebody who is told how the evaluation goes on."""

    def begin(self, run: Run, total: int) -> None:
        """Hear of the run; `run.results` are done already."""

    def asked(self, result: Result) -> None:
        """Hear of one more result, judged."""

    def end(self) -> None:
        """Hear that no more questions follow."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What came of an evaluation: its folder and its summary."""

    folder: Path
    summary: dict[str, Any]


def prepare(plan: Plan) -> QuestionSet:
    """Read the files, draw the questions, withhold sources; no model is needed.

    Raises `UsageError` and `EvaluationError`.
    """
    if not 0 <= plan.unanswerable < 1:
        raise UsageError(f"--unanswerable is {plan.unanswerable}", "It is a share below 1.")
    given = sets.read_set(plan.files)
    drawn = sets.sample(given.questions, plan.limit, plan.seed)
    return sets.withhold(replace(given, questions=drawn), plan.unanswerable, plan.seed)


def evaluate(
    plan: Plan, settings: Settings, tools: Tools, progress: Progress, watcher: Watcher
) -> Outline:
    """Ask every question of the plan and sum up; see the module's opening."""
    given = prepare(plan)
    embedder = tools.embedder()
    with documents.opened(given, settings, embedder, progress, plan.cache) as index:
        identity, load = (None, None) if plan.level == "retrieval" else tools.generator()
        config = _config(plan, settings, given, index, identity)
        name = plan.name or f"{plan.files.questions.stem}-{plan.level}"
        with open_run(plan.runs, name, config, fresh=plan.fresh) as run:
            parts = _parts(plan.level, index, embedder, load, settings, tools)
            _ask_all(given, parts, run, watcher)
            results = _ordered(given, run)
            summary = summarise(results)
            run.finish(summary, render(results, summary, config, run.folder.name))
    return Outline(run.folder, summary)


def _parts(
    level: Level,
    index: Index,
    embedder: Embedder,
    load: Callable[[], Generator] | None,
    settings: Settings,
    tools: Tools,
) -> Parts:
    """Put together what asking needs; the generator is loaded here, before the first time."""
    languages, most = documents.languages(index)
    remembering = RememberingEmbedder(embedder)
    reranker = tools.reranker()
    answerer = None
    if load is not None:
        generator, reader = load(), tools.reader(embedder)
        answerer = Answerer(
            index,
            remembering,
            lambda: reader,
            lambda: generator,
            settings,
            tools.calibration,
            reranker=reranker,
        )
    return Parts(index, remembering, settings, level, answerer, languages, most, reranker)


def _ask_all(given: QuestionSet, parts: Parts, run: Run, watcher: Watcher) -> None:
    done = {result.question.id for result in run.results}
    left = [q for q in given.questions if q.id not in done]
    with _watched(watcher, run, len(given.questions)):
        for question in left:
            result = judged(examine(question, parts))
            run.add(result)
            watcher.asked(result)


@contextmanager
def _watched(watcher: Watcher, run: Run, total: int) -> Iterator[None]:
    watcher.begin(run, total)
    try:
        yield
    finally:
        watcher.end()


def _ordered(given: QuestionSet, run: Run) -> list[Result]:
    """Return the results in the order of the questions, however often it was taken up."""
    found = {result.question.id: judged(result) for result in run.results}
    return [found[q.id] for q in given.questions]


def _config(
    plan: Plan, settings: Settings, given: QuestionSet, index: Index, generator: str | None
) -> dict[str, Any]:
    """Return all that the results depend on; equal configurations give equal answers."""
    named = plan.files.named()
    return {
        "version": __version__,
        "program": program_digest(),
        "level": plan.level,
        "files": {role: str(path) for role, path in named.items()},
        "digests": {role: file_digest(p) for role, p in named.items() if p.is_file()},
        "limit": plan.limit,
        "seed": plan.seed,
        "unanswerable": plan.unanswerable,
        "questions": len(given.questions),
        "removed": sorted(given.removed),
        "documents": index.manifest.documents,
        "index": documents.content_digest(index),
        "chunking": index.manifest.chunking,
        "embedder": index.manifest.embedder,
        "generator": generator,
        "settings": {name: getattr(settings, name) for name in TELLING},
    }


def program_digest() -> str:
    """Name the program's own files: code, prompts, calibration, the span reader's weights."""
    package = Path(__file__).resolve().parent.parent
    prompts = package.parent / "prompts"
    kinds = {".py", ".json", ".txt", ".html", ".gguf"}
    paths = [p for p in package.rglob("*") if p.suffix in kinds]
    paths += prompts.glob("*.txt")
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name}\0{file_digest(path)}\0".encode())
    return digest.hexdigest()[:16]


def render_again(folder: Path) -> Outline:
    """Judge a finished run anew and write its summary and report once more."""
    run = Run.load(folder)
    run.summary()  # only a finished run
    results = [judged(result) for result in run.results]
    summary = summarise(results)
    run.finish(summary, render(results, summary, run.config, folder.name))
    return Outline(folder, summary)
