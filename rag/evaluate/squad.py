"""SQuAD-shaped files: paragraphs, and questions whose answers are spans of them.

Reads SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016 and 2018), and what shares their shape:
XQuAD (Artetxe et al. 2020), MLQA (Lewis et al. 2020), IndicQA (Doddapaneni et al. 2023).
It knows nothing of the index; a malformed entry is named by its place in the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import EvaluationError
from rag.evaluate.questions import Bad, check_text, read_text
from rag.language import language, words

_TITLE_CHARS = 40
# A file has one language; so many questions tell which.
_TELLING = 200


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph that becomes a document of the name `name`."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the file: gold answers, their spans in the paragraph, its place.

    `spans` holds `(start, end)` for the answers whose offset is right, so it may be
    shorter than `answers`. A question without answers is one that its paragraph does not
    answer.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    paragraph: int


@dataclass(frozen=True, slots=True)
class Squad:
    """A whole file. `language` is that of most of its questions (ISO 639-1)."""

    path: Path
    paragraphs: tuple[Paragraph, ...]
    questions: Mapping[str, Asked]
    language: str


def read_squad(path: Path) -> Squad:
    """Read a file; raises `EvaluationError` naming the place that is malformed."""
    try:
        value = json.loads(read_text(path))
    except ValueError as error:
        raise EvaluationError(f"{path} is no JSON: {error}", "Correct it.") from error
    paragraphs: list[Paragraph] = []
    questions: dict[str, Asked] = {}
    for where, name, raw in _paragraphs(path, value):
        bad = _bad(path, where)
        paragraphs.append(Paragraph(name, _text(raw, "context", bad)))
        for asked in _questions(path, where, raw, paragraphs[-1].text, len(paragraphs) - 1):
            if asked.id in questions:
                raise bad(f"the id {asked.id!r} is there already")
            questions[asked.id] = asked
    if not questions:
        raise EvaluationError(f"{path} has no questions")
    return Squad(path, tuple(paragraphs), questions, _language(questions))


def _language(questions: Mapping[str, Asked]) -> str:
    some = [asked.text for asked in questions.values()][:_TELLING]
    return Counter(language(text) for text in some).most_common(1)[0][0]


def _paragraphs(path: Path, value: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield `(place in the file, name, paragraph)`."""
    data = value.get("data") if isinstance(value, dict) else None
    for a, article in enumerate(_objects(data, _bad(path, "data"))):
        where = f"data[{a}].paragraphs"
        slug = _slug(str(article.get("title", "")))
        for p, raw in enumerate(_objects(article.get("paragraphs"), _bad(path, where))):
            name = "-".join(part for part in (f"{a:03d}", f"{p:03d}", slug) if part)
            yield f"{where}[{p}]", f"{name}.txt", raw


def _slug(title: str) -> str:
    """Return a title as a part of a file's name: its words, joined by `_`."""
    return "_".join(words(title))[:_TITLE_CHARS]


def _questions(
    path: Path, where: str, raw: Mapping[str, Any], context: str, paragraph: int
) -> Iterator[Asked]:
    for q, qa in enumerate(_objects(raw.get("qas"), _bad(path, f"{where}.qas"))):
        bad = _bad(path, f"{where}.qas[{q}]")
        text = _text(qa, "question", bad).strip()
        check_text(text, bad)
        gold = [] if qa.get("is_impossible") else _objects(qa.get("answers"), bad)
        # IndicQA writes an empty answer where the paragraph does not tell.
        told = [a for a in gold if _is_text(a.get("text"))]
        answers = tuple(dict.fromkeys(str(a["text"]) for a in told))
        spans = tuple(dict.fromkeys(s for a in told for s in _span(a, context)))
        yield Asked(str(_id(qa, bad)), text, answers, spans, paragraph)


def _span(answer: Mapping[str, Any], context: str) -> list[tuple[int, int]]:
    text, start = str(answer["text"]), answer.get("answer_start")
    if isinstance(start, int) and start >= 0 and context.startswith(text, start):
        return [(start, start + len(text))]
    found = context.find(text)
    # A wrong offset is common in translated sets; a text that stands once is no doubt.
    once = found >= 0 and context.find(text, found + 1) < 0
    return [(found, found + len(text))] if once else []


def _objects(value: Any, bad: Bad) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
        raise bad("a list of objects is needed here")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _text(value: Mapping[str, Any], name: str, bad: Bad) -> str:
    if not _is_text(value.get(name)):
        raise bad(f"{name!r} must be a text")
    return str(value[name])


def _id(value: Mapping[str, Any], bad: Bad) -> str | int:
    found = value.get("id")
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise bad("'id' is missing")
    return found


def _bad(path: Path, where: str) -> Bad:
    def make(why: str) -> EvaluationError:
        return EvaluationError(f"{path}, {where}: {why}", "The shape is that of SQuAD.")

    return make
