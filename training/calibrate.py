"""Fit `rag/calibration.json`: how likely a sentence is to hold the answer.

Needs the training files of XQuAD (Artetxe et al. 2020, CC BY-SA 4.0), articles 1 to 16, and
the written articles (`training/articles`):

    python training/calibrate.py ../shared/xquad

XQuAD's articles are indexed and, apart from them, the held-out written ones, but only the
questions of held-out articles are asked: the span reader was not trained on these. Each is
asked twice, once with its paragraph in the index and once without, when it has no answer there
while the rest of the article stays as near misses; the written questions that nothing
answers are asked, too, and of all written ones those that are clear outside of their
article. They walk the path that users run. A logistic regression learns from
each sentence that was read whether it holds the gold answer, and so which is the best; a
second one learns from the best whether the question can be answered; a third one does where
the generator read the passage around it, too. The thresholds are chosen on out-of-fold
predictions (a fold is an article). Nothing else may be used here: the test files are for
reporting only. `--rows` keeps what was gathered, to fit again without asking.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut

from rag.calibration import Calibration, Signals, Weights
from rag.citing import overlap
from rag.embedding import Embedder, load_embedder
from rag.excerpt import excerpt
from rag.extraction import Reading, extract
from rag.generation import LlamaGenerator, Usage
from rag.index import Index
from rag.ingest import index_documents
from rag.models import SilentProgress, resolve_embedder, resolve_generator
from rag.phrasing import Phrasing
from rag.retrieve import Found, retrieve
from rag.settings import Settings
from rag.spans import SpanReader

sys.path.insert(0, str(Path(__file__).resolve().parent))
from articles import FOLDER
from articles import XQUAD_HELD_OUT as HELD_OUT
from articles import articles as written_articles

# Question and document languages; the generator reads where both are READ.
PAIRS = (("hi", "hi"), ("en", "hi"), ("en", "en"), ("hi", "en"), ("ar", "ar"), ("ru", "es"))
# The written questions are many: each is asked in two of four pairs, and of those in which
# the generator reads, only every third.
WRITTEN_PAIRS = PAIRS[:4]
WRITTEN = " written"  # ends the name of such a pair
READ = ("en", "en")
READ_EVERY = 3
FOUND = ("margin", "cosine", "keyword", "crossing")
AFTER = ("margin", "cosine", "keyword", "refusal_logit", "agreement")
# A question of XQuAD counts so many times a written one: many of the written ones are hard to
# understand outside of their article, and what people ask is more like XQuAD.
XQUAD_WEIGHT = 3.0
# The share of XQuAD's answerable questions that may be refused, out of fold.
FALSE_REFUSALS = {"low": 0.04, "normal": 0.12, "high": 0.2}
_PLAIN = Weights(0, {"margin": 1})
UNREAD = Calibration(_PLAIN, _PLAIN, _PLAIN, {"normal": 0.5}, 0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence that was read for one question; `best_cosine` is the question's."""

    article: str
    question: str
    pair: str
    answerable: bool
    signals: Signals
    gold: bool
    best_cosine: float

    def values(self, names: Sequence[str]) -> list[float]:
        """Return the features of these names."""
        features = self.signals.features()
        return [features[name] for name in names]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the file that answers it, and the place of the answer there.

    `answered` is false for one that sounds right and that no file answers.
    """

    id: str
    article: str
    text: str
    path: str
    start: int
    end: int
    answered: bool = True

    def overlaps(self, start: int, end: int) -> bool:
        """Whether a slice of its file shares a character with the answer."""
        return start < self.end and self.start < end


def articles(folder: Path, asked: str, read: str) -> tuple[dict[str, str], list[Asked]]:
    """Return the paragraphs of one language as files, and questions in another."""
    texts: dict[str, str] = {}
    found: list[Asked] = []
    both = [
        json.loads((folder / f"xquad.{x}.train.json").read_text("utf-8"))["data"]
        for x in (asked, read)
    ]
    for number, (one, other) in enumerate(zip(*both, strict=True)):
        pairs = zip(one["paragraphs"], other["paragraphs"], strict=True)
        for place, (p, q) in enumerate(pairs):
            path = f"{number:02}-{place}.txt"
            texts[path] = q["context"]
            for a, b in zip(p["qas"], q["qas"], strict=True):
                answer = b["answers"][0]
                start = answer["answer_start"]
                span = (start, start + len(answer["text"]))
                if number in HELD_OUT:
                    found.append(Asked(a["id"], f"{number:02}", a["question"], path, *span))
    return texts, found


def written(asked: str, read: str, folder: Path = FOLDER) -> tuple[dict[str, str], list[Asked]]:
    """Return the same of the held-out written articles that are in both languages."""
    texts: dict[str, str] = {}
    found: list[Asked] = []
    for article in written_articles(folder):
        if not article.held_out or not {asked, read} <= set(article.languages):
            continue
        for place, paragraph in enumerate(article.paragraphs):
            path = f"{article.name}-{place}.txt"
            texts[path] = paragraph.texts[read]
            for number, question in enumerate(paragraph.questions):
                text, span = question.asked[asked], question.answers.get(read, (0, 0))
                answered = read in question.answers
                name = f"{path}-{number}"
                found.append(Asked(name, article.name, text, path, *span, answered=answered))
    return texts, found


class Asking:
    """Walks the path of users over one index."""

    def __init__(
        self, pair: str, index: Index, embedder: Embedder, reader: SpanReader,
        settings: Settings,
    ) -> None:  # fmt: skip
        self.pair = pair
        self.index = index
        self.embedder = embedder
        self.reader = reader
        self.settings = settings

    def ask(self, asked: Asked, within: Sequence[str] | None) -> tuple[Found, list[Reading]]:
        """Search and read."""
        s = self.settings
        found = retrieve(
            asked.text, self.index, self.embedder, k=s.k, evidence=s.evidence, within=within
        )
        return found, extract(asked.text, found, self.reader, UNREAD)

    def clear(self, asked: Asked) -> bool:
        """Whether a question means something outside of its article.

        Many written ones do not name what they ask about. Those count whose sentence, or for
        a near miss whose paragraph, the search finds: of others nobody can be sure.
        """
        _, readings = self.ask(asked, None)
        quotes = [r.evidence.quote for r in readings if r.evidence.quote.chunk.path == asked.path]
        return any(not asked.answered or asked.overlaps(q.start, q.end) for q in quotes)

    def rows(self, asked: Asked, texts: Sequence[str], phrasing: Phrasing | None) -> Iterator[Row]:
        """Ask with and without the paragraph; with a generator, only of the best sentence."""
        for answerable in (True, False) if asked.answered else (False,):
            without = asked.answered and not answerable
            within = [t for t in texts if t != asked.path] if without else None
            found, readings = self.ask(asked, within)
            for reading in self._read(asked, readings, phrasing) if phrasing else readings:
                quote = reading.evidence.quote
                here = quote.chunk.path == asked.path
                yield Row(
                    asked.article,
                    asked.id,
                    self.pair,
                    answerable,
                    reading.signals,
                    answerable and here and asked.overlaps(quote.start, quote.end),
                    found.best_cosine,
                )

    def _read(
        self, asked: Asked, readings: Sequence[Reading], phrasing: Phrasing
    ) -> Iterator[Reading]:
        best = max(readings, key=lambda r: r.signals.margin + 60 * r.signals.cosine)
        quote = best.evidence.quote
        written = phrasing.read(
            asked.text,
            READ[0],
            (excerpt(quote, self.settings.passage_tokens, phrasing.cost), quote.text),
            lambda _: None,
            Usage(),
            hopeful=lambda: True,
        )
        assert written is not None
        agreement = overlap(written.text, best.text)
        signals = replace(best.signals, refusal=written.refusal, agreement=agreement)
        yield replace(best, signals=signals)


def gather(folder: Path, settings: Settings) -> tuple[list[Row], list[Row]]:
    """Ask everything; return the rows without and with the generator."""
    silent = SilentProgress()
    embedder = load_embedder(resolve_embedder(settings.embedder, settings, silent))
    reader = SpanReader.shipped(embedder, settings, silent)
    generator = LlamaGenerator.load(
        resolve_generator(settings.generator, settings, silent), context=settings.context
    )
    phrasing = Phrasing(lambda: generator, embedder, lambda: (), settings.max_tokens)
    found: list[Row] = []
    read: list[Row] = []
    sets = [("", pair, *articles(folder, *pair)) for pair in PAIRS]
    for number, pair in enumerate(WRITTEN_PAIRS):
        texts, questions = written(*pair)
        sets.append((WRITTEN, pair, texts, questions[number % 2 :: 2]))
    for name_of_set, pair, texts, questions in sets:
        with tempfile.TemporaryDirectory() as name:
            documents, store = Path(name) / "documents", Path(name) / "store"
            documents.mkdir()
            for path, text in texts.items():
                (documents / path).write_text(text, encoding="utf-8")
            index_documents([documents], replace(settings, store=store), embedder, silent)
            label = "→".join(pair) + name_of_set
            asking = Asking(label, Index.load(store), embedder, reader, settings)
            if name_of_set:
                questions = [asked for asked in questions if asking.clear(asked)]
            for place, asked in enumerate(questions):
                found += asking.rows(asked, list(texts), None)
                if pair == READ and not (name_of_set and place % READ_EVERY):
                    read += asking.rows(asked, list(texts), phrasing)
        print(label, len(found), len(read), flush=True)
    return found, read


def fit(
    rows: Sequence[Row], names: Sequence[str], wanted: Callable[[Row], bool]
) -> tuple[Weights, NDArray[np.float64]]:
    """Fit what is wanted on all rows; return the weights and the out-of-fold probabilities."""
    x = np.array([row.values(names) for row in rows])
    y = np.array([wanted(row) for row in rows])
    groups = np.array([row.article for row in rows])
    count = np.array([1.0 if row.pair.endswith(WRITTEN) else XQUAD_WEIGHT for row in rows])
    apart = np.zeros(len(rows))
    for train, test in LeaveOneGroupOut().split(x, y, groups):
        model = _model().fit(x[train], y[train], sample_weight=count[train])
        apart[test] = model.predict_proba(x[test])[:, 1]
    model = _model().fit(x, y, sample_weight=count)
    weights = {n: round(float(w), 4) for n, w in zip(names, model.coef_[0], strict=True)}
    return Weights(round(float(model.intercept_[0]), 4), weights), apart


def _model() -> LogisticRegression:
    return LogisticRegression(C=100.0, max_iter=10_000)


def best_rows(rows: Sequence[Row], p: NDArray[np.float64]) -> list[Row]:
    """Return each question's likeliest sentence."""
    best: dict[tuple[str, str, bool], int] = {}
    for number, row in enumerate(rows):
        key = (row.question, row.pair, row.answerable)
        if key not in best or p[number] > p[best[key]]:
            best[key] = number
    return [rows[number] for number in sorted(best.values())]


def thresholds(best: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """Return the confidence below which the allowed share of answerable questions lies."""
    answerable = sorted(p for p, can in best if can)
    return {
        name: round(answerable[int(share * len(answerable))], 4)
        for name, share in FALSE_REFUSALS.items()
    }


def curve(best: Sequence[tuple[float, bool]], at: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return the shares of answerable and unanswerable questions refused at each threshold."""
    found = {}
    for name, threshold in at.items():
        shares = {}
        for kind, wanted in (("answerable", True), ("unanswerable", False)):
            of_kind = [p for p, can in best if can is wanted]
            shares[kind] = round(sum(p < threshold for p in of_kind) / len(of_kind), 4)
        found[name] = shares
    return found


def interval(best: Sequence[tuple[float, bool]], seed: int) -> list[float]:
    """Return the 95% bootstrap interval of the area under the ROC curve."""
    rng, values = np.random.default_rng(seed), []
    p, y = np.array([x for x, _ in best]), np.array([x for _, x in best])
    for _ in range(1000):
        drawn = rng.integers(0, len(best), len(best))
        if 0 < y[drawn].sum() < len(best):
            values.append(roc_auc_score(y[drawn], p[drawn]))
    return [round(float(v), 3) for v in np.percentile(values, (2.5, 97.5))]


def fitted(found: Sequence[Row], read: Sequence[Row], seed: int) -> dict[str, Any]:
    """Fit everything; return the object of `calibration.json`."""
    ranking, apart = fit(found, FOUND, lambda row: row.gold)
    best = best_rows(found, apart)
    weights, p = fit(best, FOUND, lambda row: row.answerable)
    after, p_read = fit(read, AFTER, lambda row: row.answerable)
    judged = [(float(x), row.answerable) for x, row in zip(p, best, strict=True)]
    limits = thresholds(
        [j for j, row in zip(judged, best, strict=True) if not row.pair.endswith(WRITTEN)]
    )
    parts = {"all": judged}
    for pair in dict.fromkeys(row.pair for row in best):
        parts[pair] = [j for j, row in zip(judged, best, strict=True) if row.pair == pair]
    parts["read"] = [(float(x), row.answerable) for x, row in zip(p_read, read, strict=True)]
    return {
        "ranking": asdict(ranking),
        "found": asdict(weights),
        "read": asdict(after),
        "thresholds": limits,
        "cosine_floor": round(min(r.best_cosine for r in found if r.answerable) - 0.01, 4),
        "provenance": {
            "script": "training/calibrate.py",
            "data": "XQuAD train articles 14-16 asked, 1-16 indexed; written articles 13 and 14 "
            "of each series",
            "seed": seed,
            "made": datetime.now(UTC).date().isoformat(),
            "sentences": len(found),
            "sentence_auc": area([(float(x), r.gold) for x, r in zip(apart, found, strict=True)]),
            "questions": {
                name: {
                    "n": len(part),
                    "auc": area(part),
                    "auc_95": interval(part, seed),
                    "refused": curve(part, limits),
                }
                for name, part in parts.items()
            },
        },
    }


def area(scored: Sequence[tuple[float, bool]]) -> float:
    """Return the area under the ROC curve."""
    return round(float(roc_auc_score([y for _, y in scored], [p for p, _ in scored])), 3)


def main() -> None:
    """Gather, fit, and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("xquad", type=Path)
    parser.add_argument("--out", type=Path, default=Path("rag/calibration.json"))
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--rows", type=Path, help="where the gathered rows are kept")
    args = parser.parse_args()
    if args.rows and args.rows.exists():
        found, read = (
            [Row(**{**row, "signals": Signals(**row["signals"])}) for row in rows]
            for rows in json.loads(args.rows.read_text("utf-8"))
        )
    else:
        found, read = gather(args.xquad, Settings.load(env={}))
        if args.rows:
            rows = [[asdict(row) for row in rows] for rows in (found, read)]
            args.rows.write_text(json.dumps(rows), "utf-8")
    value = fitted(found, read, args.seed)
    args.out.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(value, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
