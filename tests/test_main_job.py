"""The main job on the real models: the sample questions over the sample documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.datatypes import Answer
from rag.language import numbers
from rag.models import SilentProgress
from rag.prompts import as_data
from rag.session import Session
from rag.settings import Settings

pytestmark = pytest.mark.models

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
Asked = dict[str, tuple[dict[str, Any], Answer]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Every sample question with its answer, by id."""
    store = tmp_path_factory.mktemp("main") / "store"
    session = Session(Settings.load({"store": store, "documents": SEEDS}), SilentProgress())
    lines = (SEEDS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    yield {q["id"]: (q, session.answerer.ask(q["question"])) for q in questions}
    session.index.close()


@pytest.mark.parametrize("name", ["dev-01", "dev-02"])
def test_how_many_troops(asked: Asked, name: str) -> None:
    _, answer = asked[name]
    assert "15,000" in answer.text
    assert "000_3f3a2d12fdf4de01.txt" in {c.path for c in answer.citations}


def test_most_answers_cite_a_gold_file(asked: Asked) -> None:
    good = [
        name
        for name, (question, answer) in asked.items()
        if {c.path for c in answer.citations} & set(question["sources"])
    ]
    assert len(good) >= 14, good


def test_most_unanswerable_questions_are_refused(asked: Asked) -> None:
    refused = [n for n, (q, answer) in asked.items() if not q["answerable"] and answer.refused]
    assert len(refused) >= 3, refused


def test_every_quote_is_an_exact_slice_of_its_file(asked: Asked) -> None:
    quotes = [c.quote for _, answer in asked.values() for c in answer.citations]
    assert quotes
    for quote in quotes:
        text = (SEEDS / quote.chunk.path).read_text(encoding="utf-8")
        assert text[quote.start : quote.end] == quote.text


def test_every_number_of_a_claim_stands_in_its_quote(asked: Asked) -> None:
    for _, answer in asked.values():
        quotes = {c.number: c.quote.text for c in answer.citations}
        for claim in answer.claims:
            assert set(numbers(claim.text)) <= set(numbers(quotes[claim.citation]))
            assert claim.original in as_data(quotes[claim.citation])


def test_a_refusal_claims_nothing(asked: Asked) -> None:
    for _, answer in asked.values():
        assert answer.refused == (not answer.claims) == (not answer.citations)


def test_answers_are_in_the_script_of_the_question(asked: Asked) -> None:
    """A refusal is worded by the program; what the generator wrote must not mix it up."""
    for question, answer in asked.values():
        assert answer.language == question["lang"]
