"""Which questions are asked, over which documents: files joined, sampled, withheld.

One file gives the questions; others may give the same questions in another language, the
gold answers, and the documents. This module reads files and draws by a seed; it knows
neither models nor the index.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rag.errors import EvaluationError, UsageError
from rag.evaluate.questions import Question, Span, read_csv, read_jsonl
from rag.evaluate.squad import Asked, Paragraph, Squad, read_squad

READERS = {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".csv": read_csv}
SQUAD = ".json"


@dataclass(frozen=True, slots=True)
class Files:
    """The files of an evaluation.

    `questions` names what is asked. For SQuAD-shaped files, `questions_from` gives the
    words of the questions, `gold_from` their answers (by default the file that gives the
    words), both by id. `documents` is a folder, a file, or a SQuAD-shaped file whose
    paragraphs are the documents; by default those of `questions`, or, where that has
    none, the user's own index.
    """

    questions: Path
    questions_from: Path | None = None
    gold_from: Path | None = None
    documents: Path | None = None

    def named(self) -> dict[str, Path]:
        """Return the files that were given, by role."""
        roles = {
            "questions": self.questions,
            "questions_from": self.questions_from,
            "gold_from": self.gold_from,
            "documents": self.documents,
        }
        return {role: path for role, path in roles.items() if path is not None}


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions, and the documents they are about.

    `paragraphs` become documents; without any, `documents` is a folder or file, or `None`
    for the user's own index. `removed` names the documents that must not be indexed.
    """

    questions: tuple[Question, ...]
    paragraphs: tuple[Paragraph, ...] = ()
    documents: Path | None = None
    removed: frozenset[str] = frozenset()


def read_set(files: Files) -> QuestionSet:
    """Read and join the files.

    Raises `UsageError` for files that do not go together and `EvaluationError` for what
    is malformed.
    """
    suffix = files.questions.suffix.lower()
    if suffix == SQUAD:
        return _squad_set(files)
    if suffix not in READERS:
        kinds = " ".join(sorted([*READERS, SQUAD]))
        raise UsageError(f"{files.questions} is none of the kinds {kinds}", "See: rag eval --help")
    if files.questions_from or files.gold_from:
        raise UsageError(
            "--questions-from and --gold-from are for SQuAD-shaped .json files",
            "Put the other language's questions into a file of their own.",
        )
    questions = tuple(READERS[suffix](files.questions))
    if files.documents is not None and files.documents.suffix.lower() == SQUAD:
        return QuestionSet(questions, read_squad(files.documents).paragraphs)
    return QuestionSet(questions, documents=_existing(files.documents))


def _existing(path: Path | None) -> Path | None:
    if path is not None and not path.exists():
        raise UsageError(f"There is no file or folder {path}", "Check the path.")
    return path


def _squad_set(files: Files) -> QuestionSet:
    base = read_squad(files.questions)
    asked = read_squad(files.questions_from) if files.questions_from else base
    gold = read_squad(files.gold_from) if files.gold_from else asked
    if files.documents is None:
        home = base
    elif files.documents.suffix.lower() == SQUAD:
        home = read_squad(files.documents)
    else:
        raise UsageError(
            f"{files.documents} is no SQuAD-shaped .json file",
            "The questions of such a file are asked over paragraphs, not over a folder.",
        )
    places = {paragraph.text: paragraph.name for paragraph in home.paragraphs}
    questions = tuple(
        _joined(base, key, _of(asked, key), _of(gold, key), gold.language, asked.language)
        for key in base.questions
    )
    return QuestionSet(tuple(_placed(q, base, home, places) for q in questions), home.paragraphs)


def _of(squad: Squad, key: str) -> Asked:
    if key not in squad.questions:
        raise EvaluationError(
            f"{squad.path} has no question {key!r}", "It must hold every question that is asked."
        )
    return squad.questions[key]


def _joined(
    base: Squad, key: str, asked: Asked, gold: Asked, gold_language: str, language: str
) -> Question:
    return Question(
        id=key,
        text=asked.text,
        language=language,
        answers=gold.answers,
        answer_language=gold_language,
        answerable=bool(base.questions[key].answers),
    )


def _placed(question: Question, base: Squad, home: Squad, places: Mapping[str, str]) -> Question:
    """Add the document that tells, found by the question's id or else by its text."""
    own = base.questions[question.id]
    text = base.paragraphs[own.paragraph].text
    there = home.questions.get(question.id)
    if there is not None:
        name = home.paragraphs[there.paragraph].name
        spans = tuple(Span(name, start, end) for start, end in there.spans)
    elif text in places:
        name = places[text]
        spans = tuple(Span(name, start, end) for start, end in own.spans)
    else:
        raise EvaluationError(
            f"The paragraph of the question {question.id!r} is not in {home.path}",
            "Name the file that holds it with --docs.",
        )
    return replace(question, sources=(name,), spans=spans)


def sample(questions: Sequence[Question], limit: int | None, seed: int) -> tuple[Question, ...]:
    """Draw `limit` questions without replacement, in the order of the file."""
    if limit is None or limit >= len(questions):
        return tuple(questions)
    places = sorted(random.Random(seed).sample(range(len(questions)), limit))  # noqa: S311
    return tuple(questions[place] for place in places)


def withhold(given: QuestionSet, fraction: float, seed: int) -> QuestionSet:
    """Take the sources of about this share of the questions out of the documents.

    Documents are drawn at random. Every question that loses all its sources becomes
    unanswerable; one that keeps a source stays answerable by that. The share is met as
    nearly from below as whole documents allow.
    """
    target = round(fraction * len(given.questions))
    candidates = [q for q in given.questions if q.answerable and q.sources]
    order = random.Random(seed).sample(candidates, len(candidates))  # noqa: S311
    removed: set[str] = set()
    lost = 0
    for question in order:
        trial = removed | set(question.sources)
        count = sum(1 for q in candidates if trial.issuperset(q.sources))
        if lost < count <= target:
            removed, lost = trial, count
    questions = tuple(_without(q, removed) for q in given.questions)
    return replace(given, questions=questions, removed=frozenset(removed))


def _without(question: Question, removed: set[str]) -> Question:
    left = tuple(s for s in question.sources if s not in removed)
    if left == question.sources:
        return question
    spans = tuple(span for span in question.spans if span.path not in removed)
    gone = question.answerable and not left
    return replace(
        question,
        sources=left,
        spans=spans,
        answers=() if gone else question.answers,
        answerable=question.answerable and not gone,
        removed=gone,
    )
