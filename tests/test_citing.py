"""Claims held against sentences: numbers, words, scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.citing import citation, claim_of, supports
from rag.datatypes import Chunk, Evidence, Quote

SENT = "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं।"


@pytest.mark.parametrize(
    ("output", "claim"),
    [
        ("about 15,000", "about 15,000"),
        (" about 15,000. ", "about 15,000"),
        ("about 15,000 [1]", "about 15,000"),
        ("[1] about 15,000", "about 15,000"),
        ("15,000【2】and more", "15,000"),
        ("15,000 troops [1, 2]\nand 8,500 people", "15,000 troops"),
        ("लगभग 15,000।", "लगभग 15,000"),
        ("15,000 [1", "15,000"),
        ("", ""),
        (" \n", ""),
        ("[1]", ""),
    ],
)
def test_claim_of(output: str, claim: str) -> None:
    assert claim_of(output) == claim


@pytest.mark.parametrize(
    ("claim", "sentence", "expected"),
    [
        ("15,000", SENT, True),
        ("15000", SENT, True),
        ("१५,०००", SENT, True),
        ("about 15,000 troops", SENT, True),
        ("50,000", SENT, False),
        ("1,500", SENT, False),
        ("15", SENT, False),
        ("15,000 in 2024", SENT, False),
        # In one script most words must be there; inflection is no difference.
        ("सैनिकों", SENT, True),
        ("उत्तर कोरियाई", SENT, True),
        ("जापान", SENT, False),
        ("the mayor of Paris", "The mayor of Lyon spoke.", True),  # three words of four
        ("Paris", "The mayor of Lyon spoke.", False),
        # Across scripts only numbers can be compared.
        ("North Korea", SENT, True),
        ("", SENT, False),
        ("!?", SENT, False),
        # No letters are not another script.
        ("the river", "12 15 18 20", False),
        ("15 rivers", "12 15 18 20", True),
        # Spellings of one word, and beginnings that are no stem.
        ("हिन्दी ज़िले", "हिंदी जिले में", True),
        ("cat", "The cathedral is old.", False),
        ("in", "India is here.", False),
    ],
)
def test_supports(claim: str, sentence: str, expected: bool) -> None:
    assert supports(claim, sentence) is expected


def test_citation_is_the_quote_of_the_sentence() -> None:
    chunk = Chunk("c", "d", "a.pdf", 10, 15, 3, "One. ")
    quote = Quote(chunk, 10, 14, "One.")
    made = citation(2, Evidence(1, quote, 0.9))
    assert (made.number, made.path, made.page, made.quote) == (2, "a.pdf", 3, quote)


@given(st.text(), st.text())
def test_nothing_raises_and_new_numbers_are_never_supported(claim: str, sentence: str) -> None:
    claim_of(claim)
    supports(claim, sentence)
    assert not supports(f"{claim} 98765432123", sentence)
