"""Fit `rag/calibration.json`: how likely a sentence is to hold the answer.

Needs the training files of XQuAD (Artetxe et al. 2020, CC BY-SA 4.0), articles 1 to 16:

    python training/calibrate.py ../shared/xquad

A quarter of the paragraphs is left out of the index, so that their questions have no
answer there while the rest of the same article stays as near misses. The questions walk
the path that users run: retrieval, then the generator reading each evidence sentence. A
logistic regression then learns from each read sentence whether it holds the gold answer.
The threshold is chosen on out-of-fold predictions (folds by article, so that no article is
on both sides). Nothing else may be used here: the test files are for reporting only.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from rag.answer import Answerer
from rag.calibration import Signals
from rag.embedding import SentenceTransformerEmbedder
from rag.generation import LlamaGenerator
from rag.index import Index
from rag.ingest import index_documents
from rag.models import SilentProgress, resolve_embedder, resolve_generator
from rag.retrieve import retrieve
from rag.settings import Settings

PAIRS = (("hi", "hi"), ("en", "hi"), ("en", "en"))  # question, documents
HELD_OUT = 0.25
FALSE_REFUSALS = 0.12  # the share of answerable questions that may be refused
FOLDS = 8
NAMES = ("refusal_logit", "cosine", "crossing")


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence that was read for one question."""

    article: int
    question: int
    pair: str
    answerable: bool
    shown: bool
    signals: Signals
    gold: bool
    best_cosine: float


def paragraphs(folder: Path, language: str) -> list[tuple[int, str, list[dict[str, object]]]]:
    """Return `(article, text, questions)` of each paragraph of a training file."""
    data = json.loads((folder / f"xquad.{language}.train.json").read_text(encoding="utf-8"))
    return [
        (number, paragraph["context"], paragraph["qas"])
        for number, article in enumerate(data["data"])
        for paragraph in article["paragraphs"]
    ]


def answerer_over(texts: dict[str, str], base: Settings, folder: Path, parts: object) -> Answerer:
    """Index these texts in a temporary store."""
    embedder, generator = parts  # type: ignore[misc]
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings = Settings(store=folder / "store", documents=folder, models=base.models)
    index_documents([folder], settings, embedder, SilentProgress())
    return Answerer(Index.load(settings.store), embedder, lambda: generator, settings)


def gather(folder: Path, count: int, seed: int, temporary: Path) -> list[Row]:
    """Ask `count` answerable and as many unanswerable questions for each pair."""
    base = Settings.load()
    silent = SilentProgress()
    embedder = SentenceTransformerEmbedder.load(resolve_embedder(base.embedder, base, silent))
    generator = LlamaGenerator.load(
        resolve_generator(base.generator, base, silent), context=base.context
    )
    by_language = {language: paragraphs(folder, language) for language in ("hi", "en")}
    total = len(by_language["hi"])
    choice = random.Random(seed)  # noqa: S311 (not for secrets)
    held = set(choice.sample(range(total), round(HELD_OUT * total)))
    answerers = {
        language: answerer_over(
            {f"{n:03d}.txt": p[1] for n, p in enumerate(ps) if n not in held},
            base,
            temporary / language,
            (embedder, generator),
        )
        for language, ps in by_language.items()
    }
    places = [(n, q) for n, p in enumerate(by_language["hi"]) for q in range(len(p[2]))]
    choice.shuffle(places)
    chosen = [p for p in places if p[0] not in held][:count]
    chosen += [p for p in places if p[0] in held][:count]
    rows: list[Row] = []
    # Pair by pair: the prompt then begins alike each time and is not read again.
    for asked, over in PAIRS:
        for done, place in enumerate(chosen, 1):
            rows += read(place, asked, over, by_language, answerers[over], place[0] not in held)
            print(f"{asked}→{over} {done}/{len(chosen)}", flush=True)
    return rows


def read(
    place: tuple[int, int],
    asked: str,
    over: str,
    by_language: dict[str, list[tuple[int, str, list[dict[str, object]]]]],
    answerer: Answerer,
    answerable: bool,
) -> list[Row]:
    """Read the evidence of one question."""
    number, position = place
    question = str(by_language[asked][number][2][position]["question"])
    golds = by_language[over][number][2][position]["answers"]
    gold = str(golds[0]["text"])  # type: ignore[index]
    s = Settings.load()
    found = retrieve(question, answerer.index, answerer.embedder, k=s.k, evidence=s.evidence)
    holds = {
        e.number: e.quote.chunk.path == f"{number:03d}.txt" and gold in e.quote.text
        for e in found.evidence
    }
    return [
        Row(
            by_language[over][number][0],
            number * 1000 + position,
            f"{asked}→{over}",
            answerable,
            any(holds.values()),
            reading.signals,
            holds[reading.evidence.number],
            found.best_cosine,
        )
        for reading in answerer.read(question, found.evidence)
    ]


def fit(x: NDArray[np.float64], y: NDArray[np.int64]) -> tuple[float, NDArray[np.float64]]:
    """Fit on standardised features; return intercept and weights in the features' units."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    model = LogisticRegression(C=1.0).fit((x - mean) / spread, y)
    weights = model.coef_[0] / spread
    return float(model.intercept_[0] - weights @ mean), weights


def by_question(rows: Sequence[Row], scores: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the best score of each question: those with the answer shown, those without any."""
    best: dict[tuple[int, str], float] = {}
    kind: dict[tuple[int, str], str] = {}
    for row, score in zip(rows, scores, strict=True):
        key = (row.question, row.pair)
        best[key] = max(best.get(key, 0.0), float(score))
        kind[key] = "absent" if not row.answerable else "shown" if row.shown else "missed"
    return {
        name: np.array([best[key] for key in best if kind[key] == name])
        for name in ("shown", "missed", "absent")
    }


def interval(shown: NDArray[np.float64], absent: NDArray[np.float64], seed: int) -> list[float]:
    """Bootstrap a 95% interval of the area under the ROC curve."""
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(1000):
        a, b = generator.choice(shown, len(shown)), generator.choice(absent, len(absent))
        values.append(auc(a, b))
    return [round(float(v), 3) for v in np.percentile(values, [2.5, 97.5])]


def auc(shown: NDArray[np.float64], absent: NDArray[np.float64]) -> float:
    """Area under the ROC curve of telling the two kinds of questions apart."""
    labels = [1] * len(shown) + [0] * len(absent)
    return float(roc_auc_score(labels, np.concatenate([shown, absent])))


def calibrate(rows: Sequence[Row], seed: int) -> dict[str, object]:
    """Fit, choose the threshold out of fold, and describe what was done."""
    x = np.array([[row.signals.features()[name] for name in NAMES] for row in rows])
    y = np.array([int(row.gold) for row in rows])
    groups = np.array([row.article for row in rows])
    scores = np.zeros(len(rows))
    for train, test in GroupKFold(FOLDS).split(x, y, groups):
        intercept, weights = fit(x[train], y[train])
        scores[test] = 1 / (1 + np.exp(-(intercept + x[test] @ weights)))
    kinds = by_question(rows, scores)
    threshold = float(np.quantile(kinds["shown"], FALSE_REFUSALS))
    intercept, weights = fit(x, y)
    cosines = [row.best_cosine for row in rows if row.answerable]
    return {
        "intercept": round(intercept, 4),
        "weights": {n: round(float(w), 4) for n, w in zip(NAMES, weights, strict=True)},
        "threshold": round(threshold, 4),
        "cosine_floor": round(float(np.quantile(cosines, 0.01)) - 0.02, 4),
        "provenance": {
            "script": "training/calibrate.py",
            "data": "XQuAD articles 1-16, pairs " + ", ".join(f"{a}→{b}" for a, b in PAIRS),
            "seed": seed,
            "made": datetime.now(UTC).date().isoformat(),
            "sentences": len(rows),
            "questions": {name: len(values) for name, values in kinds.items()},
            "sentence_auc": round(float(roc_auc_score(y, scores)), 3),
            "question_auc": round(auc(kinds["shown"], kinds["absent"]), 3),
            "question_auc_95": interval(kinds["shown"], kinds["absent"], seed),
            "refused_at_threshold": {
                name: round(float((values < threshold).mean()), 3)
                for name, values in kinds.items()
                if len(values)
            },
        },
    }


def main() -> None:
    """Parse, gather, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("xquad", type=Path)
    parser.add_argument("--questions", type=int, default=40, help="of each kind, for each pair")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("rag/calibration.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        rows = gather(options.xquad, options.questions, options.seed, Path(temporary))
    result = calibrate(rows, options.seed)
    options.out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(json.dumps(result["provenance"], ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
