"""The parallel articles that were written for this project (`training/articles/README.md`).

Each file is one article: four paragraphs in English and in another language, mostly Hindi,
with questions in both whose answers are slices of both, and questions that sound right and
that no paragraph answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "articles"
# The articles that have these numbers in their writer's series are not trained on.
HELD_OUT = (13, 14)
# Nor are these of XQuAD's training articles, counted from 0.
XQUAD_HELD_OUT = (13, 14, 15)


@dataclass(frozen=True, slots=True)
class Question:
    """A question by language; `answers` holds its slice `[start, end)`, nothing where none."""

    asked: dict[str, str]
    answers: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """The same text by language, and the questions about it."""

    texts: dict[str, str]
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class Article:
    """One file; `held_out` where it is kept for calibration and comparison."""

    name: str
    languages: tuple[str, str]
    held_out: bool
    paragraphs: list[Paragraph]


def articles(folder: Path = FOLDER) -> Iterator[Article]:
    """Read all articles, by name; raises `ValueError` for an answer that is no slice."""
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text("utf-8"))
        languages = ("en", str(data["language"]))
        paragraphs = []
        for paragraph in data["paragraphs"]:
            texts = {x: str(paragraph["texts"][x]) for x in languages}
            questions = []
            for question in paragraph["questions"]:
                asked = {x: str(question["asked"][x]) for x in languages}
                answers = {}
                for language, answer in question.get("answers", {}).items():
                    if texts[language].count(answer) != 1:
                        raise ValueError(f"{path.name}: {answer!r} must stand there once")
                    start = texts[language].index(answer)
                    answers[language] = (start, start + len(answer))
                questions.append(Question(asked, answers))
            paragraphs.append(Paragraph(texts, questions))
        held_out = int(path.name.split("-")[1]) in HELD_OUT
        yield Article(path.stem, languages, held_out, paragraphs)
