"""How long a passage is worth its waiting: python benchmarks/evidence.py XQUAD [--keep FILE].

English questions over English paragraphs, both of xquad.en.train.json, the whole way but
with one search and one reading of spans for each; only the generator reads again, once for
each `passage_tokens`. Prints a Markdown table: tokens of the passage and of all that is read
anew for a question (medians), seconds to the first token without the search, of the warm
generator (median), the token F1 of the answers, how much it is below that of whole chunks,
question by question, and what is refused; with 95% bootstrap intervals. Of every third
question the paragraph is taken away, too, and what is then refused is the last column.
Interrupted, it goes on with what is kept in FILE and in a folder beside it.

Only training articles: the default of `passage_tokens` is chosen by this table.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rag.answer import Answerer
from rag.embedding import load_embedder
from rag.evaluate.metrics import is_right, token_f1
from rag.evaluate.statistics import Estimate, mean, paired
from rag.generation import Generator, LlamaGenerator, Usage
from rag.index import Index
from rag.ingest import index_documents
from rag.models import SilentProgress, resolve_embedder, resolve_generator
from rag.prompts import Message
from rag.retrieve import Found
from rag.settings import LARGEST, Settings
from rag.spans import Reader, Span, SpanReader

BUDGETS = (32, 64, 96, 128, 192, 256, LARGEST)
QUESTIONS = 160
WITHOUT_EVERY = 3


@dataclass(frozen=True)
class Row:
    """One question at one budget; without a reading by the generator the first three are 0."""

    id: str
    budget: int
    answerable: bool
    passage: int
    anew: int
    seconds: float
    f1: float
    right: float
    refused: bool


class Watched:
    """A generator that notes what its first reading took.

    The same prompt is answered once: greedy decoding would say the same again. What was
    taken then is noted again.
    """

    def __init__(self, inner: LlamaGenerator) -> None:
        self.inner, self.identity, self.context = inner, inner.identity, inner.context
        self.translator: Generator | None = None
        self.first: tuple[int, int, float] | None = None
        self._told: dict[str, tuple[list[str], Usage, tuple[int, int, float]]] = {}
        self._counting = 0.0

    def count(self, messages: Sequence[Message]) -> int:
        """Count, and keep how long that takes: it is part of the waiting."""
        start = time.perf_counter()
        found = self.inner.count(messages)
        self._counting += time.perf_counter() - start
        return found

    def begin(self) -> None:
        """Forget the last question."""
        self.first, self._counting = None, 0.0

    def stream(
        self, messages: Sequence[Message], usage: Usage, *, max_tokens: int, refusal: str
    ) -> Iterator[str]:
        """Continue, to the end: what a caller does not want was generated all the same."""
        key = json.dumps(list(messages))
        if key not in self._told:
            self._told[key] = self._write(messages, max_tokens, refusal)
        pieces, told, taken = self._told[key]
        self.first = self.first or taken
        for name in ("prompt_tokens", "refusal", "thinking_tokens"):
            setattr(usage, name, getattr(told, name))
        usage.probabilities.extend(told.probabilities)
        yield from pieces

    def _write(
        self, messages: Sequence[Message], max_tokens: int, refusal: str
    ) -> tuple[list[str], Usage, tuple[int, int, float]]:
        inner, usage, pieces = self.inner, Usage(), []
        # As after a question about another passage: only the head is held.
        held = inner._engine._held
        held.tokens = held.tokens[: held.head]
        start = time.perf_counter()
        seconds = 0.0
        for piece in inner.stream(messages, usage, max_tokens=max_tokens, refusal=refusal):
            seconds = seconds or time.perf_counter() - start
            pieces.append(piece)
            if "\n" in "".join(pieces).lstrip():
                break
        seconds = seconds or time.perf_counter() - start
        passage = messages[-1]["content"].splitlines()[0].removeprefix("Passage: ")
        tokens = inner._engine.tokens(inner._template.prompt(messages))
        anew = len(tokens) - inner._constant(messages, tokens)
        long = len(inner._engine.tokens(passage))
        return pieces, usage, (long, anew, seconds + self._counting)


class OnceReader:
    """A span reader that reads each sentence once for each question."""

    def __init__(self, inner: Reader) -> None:
        self.inner, self.identity, self.vocabulary = inner, inner.identity, inner.vocabulary
        self._read: dict[tuple[str, tuple[str, ...]], list[list[Span]]] = {}

    def read(self, question: str, texts: Sequence[str]) -> list[list[Span]]:
        """Read."""
        key = (question, tuple(texts))
        if key not in self._read:
            self._read[key] = self.inner.read(question, texts)
        return self._read[key]


class OnceAnswerer(Answerer):
    """An answerer that takes what was found from a store that others share."""

    kept: dict[tuple[str, bool], Found]

    def _search(self, question: str, within: Any, wider: int) -> Found:
        key = (question, within is None)
        if key not in self.kept:
            self.kept[key] = super()._search(question, within, wider)
        return self.kept[key]


@dataclass(frozen=True)
class Asked:
    """A question, its gold answers, and the file they are in."""

    id: str
    text: str
    golds: tuple[str, ...]
    path: str


def data(xquad: Path, wanted: int) -> tuple[dict[str, str], list[Asked]]:
    """Return a file for each paragraph, and questions drawn evenly, in mixed order."""
    text = (xquad / "xquad.en.train.json").read_text(encoding="utf-8")
    files: dict[str, str] = {}
    asked: list[Asked] = []
    for paragraph in (p for a in json.loads(text)["data"] for p in a["paragraphs"]):
        name = f"{len(files):04}.txt"
        files[name] = paragraph["context"]
        for q in paragraph["qas"]:
            golds = tuple(answer["text"] for answer in q["answers"])
            asked.append(Asked(q["id"], q["question"], golds, name))
    drawn = [asked[i * len(asked) // wanted] for i in range(min(wanted, len(asked)))]
    # Cut short, it has asked of every article.
    return files, sorted(drawn, key=lambda one: hashlib.sha256(one.id.encode()).digest())


def ask(answerer: Answerer, watched: Watched, one: Asked, within: list[str] | None) -> Row:
    """Ask once."""
    watched.begin()
    answer = answerer.ask(one.text, within=within)
    passage, anew, seconds = watched.first or (0, 0, 0.0)
    said = answer.claims[0].text if answer.claims else ""
    return Row(
        one.id,
        answerer._settings.passage_tokens,
        within is None,
        passage,
        anew,
        seconds,
        token_f1(said, one.golds, "en"),
        is_right(said, one.golds, "en"),
        answer.refused,
    )


def interval(found: Estimate) -> str:
    """Write a value with its interval."""
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Write the table."""
    titles = "budget, passage, read anew, first token s, F1, below whole chunks, right, refused"
    yield f"| {' | '.join(titles.split(', '))} |"
    yield "|" + "---|" * len(titles.split(", "))
    by: dict[int, dict[str, Row]] = {
        b: {r.id: r for r in rows if r.budget == b and r.answerable} for b in BUDGETS
    }
    ids = sorted(set.intersection(*(set(found) for found in by.values())))
    whole = [by[LARGEST][i].f1 for i in ids]
    for budget, found in by.items():
        here = [found[i] for i in ids]
        read = [r for r in here if r.anew]
        without = [float(r.refused) for r in rows if r.budget == budget and not r.answerable]
        f1 = [r.f1 for r in here]
        below = paired(lambda a, b: float(sum(a) - sum(b)) / len(a), whole, f1)
        cells = (
            "–" if budget == LARGEST else str(budget),
            f"{statistics.median(r.passage for r in read):.0f}",
            f"{statistics.median(r.anew for r in read):.0f}",
            f"{statistics.median(r.seconds for r in read):.2f}",
            interval(mean(f1)),
            interval(below),
            f"{statistics.mean(r.right for r in here):.3f}",
            f"{sum(r.refused for r in here)} of {len(here)}; "
            f"{sum(without):.0f} of {len(without)} without their paragraph",
        )
        yield f"| {' | '.join(cells)} |"
    read_all = [i for i in ids if by[LARGEST][i].anew]
    yield f"\n{len(ids)} questions, of which the generator reads for {len(read_all)}."


def gather(xquad: Path, keep: Path, wanted: int) -> list[Row]:
    """Ask everything that is not kept yet."""
    done = [Row(**json.loads(x)) for x in keep.read_text().splitlines()] if keep.exists() else []
    known = {(r.id, r.budget, r.answerable) for r in done}
    files, asked = data(xquad, wanted)
    silent, settings = SilentProgress(), Settings.load(env={})
    embedder = load_embedder(resolve_embedder(settings.embedder, settings, silent))
    reader = OnceReader(SpanReader.shipped(embedder, settings, silent))
    file = resolve_generator(settings.generator, settings, silent)
    watched = Watched(LlamaGenerator.load(file, context=settings.context))
    with keep.open("a", encoding="utf-8") as kept:
        folder = keep.with_suffix(".index").resolve()
        documents = folder / "documents"
        documents.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (documents / name).write_bytes(text.encode())
        settings = replace(settings, store=folder / "store")
        index_documents([documents], settings, embedder, silent)
        index = Index.load(settings.store)
        OnceAnswerer.kept = {}
        answerers = {
            budget: OnceAnswerer(
                index,
                embedder,
                lambda: reader,
                lambda: watched,
                replace(settings, passage_tokens=budget),
            )
            for budget in BUDGETS
        }
        ask(answerers[BUDGETS[0]], watched, asked[-1], None)  # warms it
        for number, one in enumerate(asked):
            ways: list[list[str] | None] = [None]
            if number % WITHOUT_EVERY == 0:
                ways.append([name for name in files if name != one.path])
            for within in ways:
                for budget, answerer in answerers.items():
                    if (one.id, budget, within is None) not in known:
                        done.append(ask(answerer, watched, one, within))
                        kept.write(json.dumps(asdict(done[-1])) + "\n")
                        kept.flush()
        index.close()
    return done


def main() -> None:
    """Gather and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("xquad", type=Path)
    parser.add_argument("--keep", type=Path, default=Path("evidence.jsonl"))
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    given = parser.parse_args()
    for line in table(gather(given.xquad, given.keep, given.questions)):
        print(line)


if __name__ == "__main__":
    main()
