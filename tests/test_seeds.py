"""The sample documents and their questions: whole, and consistent with each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.chunking import chunk_document
from rag.language import dominant_script, language, numbers, words
from rag.reading import read_document

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
NAMES = [
    "000_3f3a2d12fdf4de01.txt",
    "001_6b3453ff3b3f4df0.txt",
    "002_9c510a5b21a12fa2.txt",
    "003_d52dbd3aa86ea457.txt",
    "004_ce110b77584f89db.txt",
]
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line)
    for line in (SEEDS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
]


def text_of(name: str) -> str:
    return read_document(SEEDS / name, name, max_bytes=10**6).text


def test_the_five_files_are_there() -> None:
    assert sorted(path.name for path in SEEDS.glob("*.txt")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_is_hindi_in_utf_8(name: str) -> None:
    text = text_of(name)
    assert text == (SEEDS / name).read_bytes().decode("utf-8")
    assert dominant_script(text) == "Devanagari"
    assert len(text) > 500


@pytest.mark.parametrize("name", NAMES)
def test_chunks_and_sentences_are_exact_slices(name: str) -> None:
    document = read_document(SEEDS / name, name, max_bytes=10**6)
    chunks = chunk_document(document, max_tokens=800, measure=lambda texts: [*map(len, texts)])
    assert len(chunks) > 1
    for chunked in chunks:
        chunk = chunked.chunk
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert sum(end - start for start, end in chunked.sentences) <= 800
        assert chunked.sentences[0][0] == chunk.start
        assert chunked.sentences[-1][1] == chunk.end


def test_questions_have_every_part() -> None:
    assert len({q["id"] for q in QUESTIONS}) == len(QUESTIONS) == 24
    for q in QUESTIONS:
        assert q.keys() == {"id", "question", "lang", "answers", "sources", "answerable"}
        assert bool(q["answers"]) is bool(q["sources"]) is q["answerable"]
        assert set(q["sources"]) <= set(NAMES)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q["id"])
def test_the_language_of_a_question_is_recognised(question: dict[str, Any]) -> None:
    assert language(question["question"]) == question["lang"]


def comparable(question: dict[str, Any]) -> list[str]:
    """Answers that can be looked for in a Hindi text: Hindi ones, and numbers."""
    return [a for a in question["answers"] if numbers(a) or dominant_script(a) == "Devanagari"]


@pytest.mark.parametrize("question", list(filter(comparable, QUESTIONS)), ids=lambda q: q["id"])
def test_a_gold_answer_stands_in_each_source(question: dict[str, Any]) -> None:
    """Word for word, or by its numbers."""
    for source in question["sources"]:
        text = text_of(source)
        folded = " ".join(words(text))
        assert any(
            " ".join(words(answer)) in folded
            or (numbers(answer) and set(numbers(answer)) <= set(numbers(text)))
            for answer in comparable(question)
        )


def test_most_hindi_questions_can_be_checked() -> None:
    hindi = [q for q in QUESTIONS if q["answerable"] and q["lang"] == "hi"]
    assert [q["id"] for q in hindi if not comparable(q)] == []


def test_questions_without_an_answer_are_asked_too() -> None:
    kinds = {(q["lang"], q["answerable"]) for q in QUESTIONS}
    assert kinds == {("en", True), ("en", False), ("hi", True), ("hi", False)}
