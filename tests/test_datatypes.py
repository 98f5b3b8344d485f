"""The nouns: frozen, slotted, and one property."""

from __future__ import annotations

import dataclasses

import pytest

from rag import datatypes
from rag.datatypes import Answer, Chunk, Claim, Document

NOUNS = [
    kind
    for kind in vars(datatypes).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
]


def test_all_nouns_are_here() -> None:
    assert {kind.__name__ for kind in NOUNS} == {
        "Answer", "Chunk", "Citation", "Claim", "Document", "Evidence", "Filter", "Hit", "Manifest",
        "Quote",
    }  # fmt: skip


@pytest.mark.parametrize("kind", NOUNS)
def test_nouns_are_frozen_and_slotted(kind: type) -> None:
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_a_noun_cannot_be_changed() -> None:
    document = Document("a", "a.txt", "A", "text")
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.text = "other"  # type: ignore[misc]
    assert document.page_starts == ()


def test_equal_chunks_are_one() -> None:
    parts = ("c", "d", "a.txt", 0, 4, None, "text")
    assert len({Chunk(*parts), Chunk(*parts)}) == 1


@pytest.mark.parametrize(("text", "refused"), [("", True), ("15,000 [1]", False)])
def test_an_answer_without_text_is_a_refusal(text: str, refused: bool) -> None:
    answer = Answer("q?", "en", text, (), (), (), 0.5)
    assert answer.refused is refused
    assert (answer.timings, answer.tokens) == ({}, {})
    assert (answer.claims, answer.disagree) == ((), False)


@pytest.mark.parametrize(
    ("claim", "written"),
    [
        (Claim("15,000", 1), "15,000 [1]"),
        (Claim("Wonsan", 2, "वोन्सान"), "Wonsan (वोन्सान) [2]"),
        (Claim("a tailor", 1, "दर्ज़ी", doubtful=True), "a tailor? (दर्ज़ी) [1]"),
    ],
)
def test_a_claim_is_written_with_its_original_and_its_number(claim: Claim, written: str) -> None:
    assert str(claim) == written
