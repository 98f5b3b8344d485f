"""Question sets of our own kind: JSONL and CSV files to `Question`s.

Every malformed line is named with its number. This module knows neither models nor
documents: whether a source exists is asked later, of the index.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rag.errors import EvaluationError, UsageError
from rag.language import language
from rag.retrieve import checked

TRUE, FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
COLUMNS = "id, question, lang, answers, sources, answerable"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a gold answer stands: `document.text[start:end]` of the document `path`."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what is known to be right.

    `answers` are the gold answers, each good by itself, in the language
    `answer_language`; `sources` name the documents that tell, each of which suffices.
    `answerable` says whether the indexed documents tell at all; where they do not, the
    right answer is a refusal. `removed` says that they would, had the evaluation not
    taken the sources out of the index. `spans` may say where the answer stands.
    """

    id: str
    text: str
    language: str
    answers: tuple[str, ...] = ()
    answer_language: str = ""
    sources: tuple[str, ...] = ()
    answerable: bool = True
    spans: tuple[Span, ...] = ()
    removed: bool = False


class Bad(Protocol):
    """Makes the error for something wrong at a known place."""

    def __call__(self, why: str) -> EvaluationError:
        """Return the error."""


def read_text(path: Path) -> str:
    """Read a file of questions as UTF-8, without a byte order mark."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(f"There is no file {path}", "Check the path.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise EvaluationError(f"{path}, line {line}: not UTF-8", "Save it as UTF-8.") from error


def read_jsonl(path: Path) -> list[Question]:
    """Read one question a line; raises `EvaluationError` naming the line."""
    return _unique(path, _jsonl(path))


def read_csv(path: Path) -> list[Question]:
    """Read a table with the columns `id, question, lang, answers, sources, answerable`.

    The first two must be there. Several answers or sources stand in one cell, separated
    by `|` or written as a JSON list. Raises `EvaluationError` naming the line.
    """
    return _unique(path, _csv(path))


def _jsonl(path: Path) -> Iterator[tuple[int, Question]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        bad = _bad(path, number)
        try:
            value = json.loads(line)
        except ValueError as error:
            raise bad(f"this is no JSON ({error})") from error
        if not isinstance(value, dict):
            raise bad("this is no object {…}")
        yield number, _question(value, bad)


def _csv(path: Path) -> Iterator[tuple[int, Question]]:
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        missing = {"id", "question"} - set(reader.fieldnames or ())
        if missing:
            raise _bad(path, 1)(f"no column {' or '.join(sorted(missing))}; known: {COLUMNS}")
        for row in reader:
            bad = _bad(path, reader.line_num)
            if None in row or None in row.values():
                raise bad(f"{len(reader.fieldnames or ())} cells are needed")
            yield reader.line_num, _question(_cells(row, bad), bad)
    except csv.Error as error:
        raise _bad(path, reader.line_num)(f"this is no CSV ({error})") from error


def _cells(row: Mapping[str, str], bad: Bad) -> dict[str, Any]:
    """Return the row with lists and booleans made of text; empty cells are left out."""
    value: dict[str, Any] = {k: v.strip() for k, v in row.items() if v.strip()}
    for name in ("answers", "sources"):
        if name in value:
            value[name] = _list(value[name], name, bad)
    if "answerable" in value:
        word = value["answerable"].lower()
        if word not in TRUE | FALSE:
            raise bad(f"'answerable' is {word!r}, not true or false")
        value["answerable"] = word in TRUE
    return value


def _list(cell: str, name: str, bad: Bad) -> list[Any]:
    if not cell.startswith("["):
        return [part.strip() for part in cell.split("|") if part.strip()]
    try:
        return list(json.loads(cell))
    except (ValueError, TypeError) as error:
        raise bad(f"{name!r} begins with [ but is no JSON list ({error})") from error


def _question(value: Mapping[str, Any], bad: Bad) -> Question:
    text = _text(value, "question", bad)
    check_text(text, bad)
    answers, sources = _texts(value, "answers", bad), _texts(value, "sources", bad)
    answerable = value.get("answerable", bool(answers or sources))
    if not isinstance(answerable, bool):
        raise bad(f"'answerable' is {answerable!r}, not true or false")
    if answers and not answerable:
        raise bad("it has answers, yet 'answerable' is false")
    asked = _text(value, "lang", bad) if "lang" in value else language(text)
    return Question(
        id=_text(value, "id", bad),
        text=text,
        language=asked,
        answers=answers,
        answer_language=asked,
        sources=sources,
        answerable=answerable,
    )


def check_text(text: str, bad: Bad) -> None:
    """Raise what `bad` makes unless the program would take the text as a question."""
    try:
        checked(text)
    except UsageError as error:
        raise bad(error.what) from error


def _text(value: Mapping[str, Any], name: str, bad: Bad) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found.strip():
        raise bad(f"{name!r} must be a text" if name in value else f"{name!r} is missing")
    return found.strip()


def _texts(value: Mapping[str, Any], name: str, bad: Bad) -> tuple[str, ...]:
    found = value.get(name, [])
    if not isinstance(found, list) or not all(isinstance(v, str) and v.strip() for v in found):
        raise bad(f"{name!r} must be a list of texts")
    return tuple(dict.fromkeys(v.strip() for v in found))


def _unique(path: Path, numbered: Iterator[tuple[int, Question]]) -> list[Question]:
    first: dict[str, int] = {}
    questions = []
    for number, question in numbered:
        if question.id in first:
            raise _bad(path, number)(
                f"the id {question.id!r} was used in line {first[question.id]} already"
            )
        first[question.id] = number
        questions.append(question)
    if not questions:
        raise EvaluationError(f"{path} has no questions")
    return questions


def _bad(path: Path, line: int) -> Bad:
    def make(why: str) -> EvaluationError:
        return EvaluationError(f"{path}, line {line}: {why}", "Correct the line.")

    return make
