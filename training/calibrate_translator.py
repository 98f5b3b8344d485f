"""Fit `rag/translator.json`: how likely a translation of the trained generator is right.

    python training/calibrate_translator.py ../shared/xquad

The translator (`training/train_translator.py`) translates answers of held-out articles into
English, alone and with their question: those of XQuAD's training articles 14 to 16 in
Hindi, Russian and Arabic, and those of the held-out written articles. A logistic regression
learns from the nearness in meaning, the likelihood, and the agreement of the two, whether a
translation shares half its words with the answer that an annotator marked in the English
text (token F1 of at least .5). Nothing of the test files is used.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from rag.embedding import load_embedder
from rag.evaluate.metrics import token_f1
from rag.generation import LlamaGenerator
from rag.models import SilentProgress, resolve_embedder, resolve_generator
from rag.phrasing import Phrasing
from rag.settings import Settings

sys.path.insert(0, str(Path(__file__).resolve().parent))
from articles import XQUAD_HELD_OUT as HELD_OUT
from articles import articles

# So many answers of XQuAD in each language, and of the written articles.
XQUAD = {"hi": 81, "ru": 30, "ar": 30}
WRITTEN = 240
RIGHT = 0.5
# The probabilities of being right from which a translation is shown at all, marked as
# doubtful, and from which it is shown as it is.
LEAST, SURE = 0.2, 0.5
NAMES = ("cosine", "likelihood", "agreement")


@dataclass(frozen=True, slots=True)
class Phrase:
    """An answer as it stands in a text, its question in English, and the answer there."""

    source: str
    text: str
    question: str
    english: str


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate; `f1` is its token F1 with the English answer."""

    phrase: Phrase
    candidate: str
    features: dict[str, float]
    f1: float


def phrases(folder: Path, seed: int) -> list[Phrase]:
    """Return the held-out answers, a drawn part of each set."""
    rng, found = random.Random(seed), []
    english = json.loads((folder / "xquad.en.train.json").read_text("utf-8"))["data"]
    for language, count in XQUAD.items():
        other = json.loads((folder / f"xquad.{language}.train.json").read_text("utf-8"))["data"]
        here = []
        for number in HELD_OUT:
            pairs = zip(english[number]["paragraphs"], other[number]["paragraphs"], strict=True)
            for one, two in pairs:
                for a, b in zip(one["qas"], two["qas"], strict=True):
                    texts = b["answers"][0]["text"], a["question"], a["answers"][0]["text"]
                    here.append(Phrase(f"xquad.{language}", *texts))
        found += rng.sample(here, count)
    here = []
    for article in articles():
        if not article.held_out or article.languages[1] != "hi":
            continue
        for paragraph in article.paragraphs:
            for question in paragraph.questions:
                if question.answers:
                    spans = {x: slice(*span) for x, span in question.answers.items()}
                    hindi, told = (paragraph.texts[x][spans[x]] for x in ("hi", "en"))
                    here.append(Phrase("written.hi", hindi, question.asked["en"], told))
    return found + rng.sample(here, WRITTEN)


def gather(found: Sequence[Phrase], settings: Settings) -> list[Row]:
    """Translate each; return its candidates where the generator was needed."""
    silent = SilentProgress()
    embedder = load_embedder(resolve_embedder(settings.embedder, settings, silent))
    generator = LlamaGenerator.load(
        resolve_generator(settings.generator, settings, silent), context=settings.context
    )
    phrasing = Phrasing(lambda: generator, embedder, lambda: (), settings.max_tokens)
    rows = []
    for phrase in found:
        for candidate in phrasing.candidates(phrase.text, phrase.question, "en", []):
            f1 = token_f1(candidate.text, [phrase.english], "en")
            rows.append(Row(phrase, candidate.text, candidate.features(), f1))
    return rows


def fitted(rows: Sequence[Row], seed: int) -> dict[str, object]:
    """Fit; return the object of `translator.json`."""
    x = np.array([[row.features[name] for name in NAMES] for row in rows])
    y = np.array([row.f1 >= RIGHT for row in rows])
    model = LogisticRegression(C=100.0, max_iter=10_000)
    folds = StratifiedKFold(10, shuffle=True, random_state=seed)
    apart = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    model.fit(x, y)
    best: dict[Phrase, int] = {}
    for number, row in enumerate(rows):
        if row.phrase not in best or apart[number] > apart[best[row.phrase]]:
            best[row.phrase] = number
    sources = {}
    for source in dict.fromkeys(row.phrase.source for row in rows):
        chosen = [n for phrase, n in best.items() if phrase.source == source]
        doubtful = [n for n in chosen if LEAST <= apart[n] < SURE]
        sources[source] = {"phrases": len(chosen)} | {
            name: {
                "share": round(len(part) / len(chosen), 3),
                "right": round(float(np.mean(y[part])), 3),
                "f1": round(float(np.mean([rows[n].f1 for n in part])), 3),
            }
            for name, part in (
                ("all", chosen),
                ("sure", [n for n in chosen if apart[n] >= SURE]),
                ("doubtful", doubtful),
            )
        }
    return {
        "right": {
            "intercept": round(float(model.intercept_[0]), 4),
            "weights": {n: round(float(w), 4) for n, w in zip(NAMES, model.coef_[0], strict=True)},
        },
        "thresholds": {"least": LEAST, "sure": SURE},
        "provenance": {
            "script": "training/calibrate_translator.py",
            "data": "answers of XQuAD train articles 14-16 and of the held-out written articles",
            "seed": seed,
            "made": datetime.now(UTC).date().isoformat(),
            "candidates": len(rows),
            "auc": round(float(roc_auc_score(y, apart)), 3),
            "sources": sources,
        },
    }


def main() -> None:
    """Gather, fit, and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("xquad", type=Path)
    parser.add_argument("--out", type=Path, default=Path("rag/translator.json"))
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--rows", type=Path, help="where the gathered rows are kept")
    args = parser.parse_args()
    if args.rows and args.rows.exists():
        told = json.loads(args.rows.read_text("utf-8"))
        rows = [Row(**{**row, "phrase": Phrase(**row["phrase"])}) for row in told]
    else:
        rows = gather(phrases(args.xquad, args.seed), Settings.load(env={}))
        if args.rows:
            args.rows.write_text(json.dumps([asdict(row) for row in rows]), "utf-8")
    value = fitted(rows, args.seed)
    args.out.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(value, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
