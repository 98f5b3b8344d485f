"""Which questions are asked over which documents: drawn by a seed from XQuAD's test articles.

For each pair of languages ("en→hi": English questions over Hindi paragraphs) as many questions
of articles 17-24, on which nothing of ours was fitted; all 120 paragraphs are the documents, but
for those that are taken away so that a fifth of the questions cannot be answered. The files are
parallel, so each pair gets the same questions and loses the same paragraphs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from rag.evaluate.questions import Question
from rag.evaluate.sets import Files, read_set, sample, withhold

SEED = 1
UNANSWERABLE = 0.2


@dataclass(frozen=True, slots=True)
class Chosen:
    """The questions of a pair, and the documents as `(name, text)`.

    `warming` is a question of the first article: asked first where warm times are taken.
    """

    pair: str
    questions: tuple[Question, ...]
    documents: tuple[tuple[str, str], ...]
    warming: str

    @property
    def read(self) -> str:
        """The language of the documents (ISO 639-1)."""
        return self.pair.split("→")[1]


def choose(xquad: Path, pair: str, count: int, seed: int = SEED) -> Chosen:
    """Draw `count` questions; raises `UsageError` and `EvaluationError` for missing files."""
    asked, read = pair.split("→")
    files = Files(
        questions=xquad / f"xquad.{read}.test.json",
        questions_from=xquad / f"xquad.{asked}.test.json",
        documents=xquad / f"xquad.{read}.half.json",
    )
    given = read_set(files)
    given = withhold(
        replace(given, questions=sample(given.questions, count, seed)), UNANSWERABLE, seed
    )
    first = read_set(Files(questions=xquad / f"xquad.{asked}.half.json")).questions[0]
    kept = [(p.name, p.text) for p in given.paragraphs if p.name not in given.removed]
    return Chosen(pair, given.questions, tuple(kept), first.text)


def write_documents(chosen: Chosen, folder: Path) -> None:
    """Write each document as a file, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in chosen.documents:
        # As bytes: a text file's line ends would be exchanged.
        (folder / name).write_bytes(text.encode("utf-8"))


def digest(chosen: list[Chosen]) -> str:
    """Name what is asked over what, so that results of other questions are not mixed in."""
    told = [
        (
            c.pair,
            [q.id for q in c.questions],
            [hashlib.sha256(repr(c.documents).encode()).hexdigest()],
        )
        for c in chosen
    ]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
