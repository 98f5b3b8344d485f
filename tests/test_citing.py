"""Claims, what supports them, and which sentence is cited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rag.answer import verified
from rag.citing import Claim, citation, cite, claims, comparable, supports
from rag.datatypes import Chunk, Evidence, Quote

# The first call loads tables, and the machine may be busy: no deadline.
UNHURRIED = hypothesis_settings(deadline=None)
SENT = "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं।"
DIED = "अप्रैल की रिपोर्ट के अनुसार 600 सैनिकों की मौत हुई।"


def evidence(*texts: str, page: int | None = None) -> list[Evidence]:
    """Sentences of one document, in order, numbered from 1."""
    whole = " ".join(texts)
    chunk = Chunk("c", "d", "a.txt", 0, len(whole), page, whole)
    found, start = [], 0
    for number, text in enumerate(texts, 1):
        end = start + len(text)
        found.append(Evidence(number, Quote(chunk, start, end, whole[start:end]), 0.9))
        start = end + 1
    return found


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("about 8,500 [2]", [("about 8,500", (2,))]),
        ("one [1] two [2]", [("one", (1,)), ("two", (2,))]),
        ("one [1, 2]", [("one", (1, 2))]),
        ("one [1; 2,3]", [("one", (1, 2, 3))]),
        ("one [1][2] [3]", [("one", (1, 2, 3))]),
        ("one 【2】", [("one", (2,))]),
        ("one［2］", [("one", (2,))]),
        ("एक [२]।", [("एक", (2,))]),
        ("one [ 2 ].", [("one", (2,))]),
        ("one", [("one", ())]),
        ("one [1], and two", [("one", (1,)), ("and two", ())]),
        ("one. [1] two; three. [2]", [("one", (1,)), ("two; three", (2,))]),
        ("[1] one", [("one", ())]),
        ("one [1]\n[2]\ntwo", [("one", (1, 2)), ("two", ())]),
        ("one [99]", [("one", (99,))]),
        ("[1]", []),
        ("[1] [2].", []),
        ("", []),
        (" . ", []),
        ("an array [x] of [1234]", [("an array [x] of [1234]", ())]),
        ("one [0]", [("one", (0,))]),
    ],
)
def test_claims(output: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    assert [(claim.text, claim.labels) for claim in claims(output)] == expected


# Numbers


@pytest.mark.parametrize("claim", ["15,000", "15000", "१५,०००", "१५०००", "15,000 troops"])
@pytest.mark.parametrize("sentence", [SENT, "They sent 15000 men.", "उन्होंने १५,००० सैनिक भेजे।"])
def test_a_number_in_any_spelling(claim: str, sentence: str) -> None:
    bare = claim.split(" ", 1)[0]
    assert supports(bare, sentence)


@pytest.mark.parametrize(
    "claim", ["50,000", "1,500", "150,000", "15,001", "15", "000", "15.000.1", "15,000.5", "५०,०००"]
)
def test_another_number_never(claim: str) -> None:
    assert not supports(claim, SENT)
    assert not supports(f"{claim} troops", SENT)
    assert not supports(f"लगभग {claim} सैनिक भेजे", SENT)


def test_every_number_has_to_be_there() -> None:
    sentence = "On 3 May 600 soldiers died."
    assert supports("600 on 3 May", sentence)
    assert not supports("600 on 4 May", sentence)


# Words


@pytest.mark.parametrize(
    ("claim", "sentence", "expected"),
    [
        ("सैनिक", "600 सैनिकों की मौत", True),  # inflected
        ("सैनिकों की मौत", "सैनिक की मौत", True),
        ("soldier", "Soldiers died there.", True),
        ("the RIVER", "The river rose.", True),
        ("हिन्दी ज़िले", "हिंदी जिले", True),
        ("rain fell", "The river rose.", False),
        ("river fell", "The river rose.", True),  # one of two words
        ("river fell fast", "The river rose.", False),  # one of three
        ("cat", "The cathedral is old.", False),  # three of nine letters are no stem
        ("in", "India is here.", False),  # two letters are no stem
        ("पानी", "लाल पत्थर", False),
        ("", "The river rose.", False),
        ("...", "The river rose.", False),
        ("the river", "", False),
        ("the river", "12 15 18 20", False),  # no letters are no other script
        ("15 rivers", "12 15 18 20", True),
    ],
)
def test_most_words_have_to_be_there(claim: str, sentence: str, expected: bool) -> None:
    assert supports(claim, sentence) is expected


def test_between_scripts_only_numbers_are_compared() -> None:
    assert supports("North Korea", SENT)
    assert supports("15,000 troops", SENT)
    assert not supports("14,000 troops", SENT)
    assert not comparable("North Korea", SENT)
    assert comparable("15,000 troops", SENT)
    assert comparable("रूस", SENT)


# Which sentence is cited


@pytest.mark.parametrize(
    ("claim", "number"),
    [
        (Claim("15,000 troops", (1,)), 1),
        (Claim("15,000 troops", (2,)), 1),  # the label is wrong
        (Claim("15,000 troops", ()), 1),
        (Claim("15,000 troops", (7,)), 1),
        (Claim("600 died", (1,)), 2),
        (Claim("600 died", (1, 2)), 2),
        (Claim("Kim Jong Un", (2,)), 2),  # across scripts the label decides
        (Claim("Kim Jong Un", (2, 1)), 2),
        (Claim("Kim Jong Un", ()), None),
        (Claim("Kim Jong Un", (0, 3)), None),
        (Claim("50,000 troops", (1,)), None),
        (Claim("रूस में सैनिक", ()), 1),
        (Claim("पानी और पत्थर", (1,)), None),
    ],
)
def test_cite(claim: Claim, number: int | None) -> None:
    found = cite(claim, evidence(SENT, DIED))
    assert (found.number if found else None) == number


def test_the_named_sentence_comes_before_an_earlier_one() -> None:
    same = evidence("Rain fell on 3 May.", "On 3 May rain fell again.")
    assert cite(Claim("rain on 3 May", (2,)), same) is same[1]
    assert cite(Claim("rain on 3 May", ()), same) is same[0]
    assert cite(Claim("rain on 3 May", (2,)), []) is None


def test_a_citation_carries_file_page_and_quote() -> None:
    item = evidence(SENT, DIED, page=7)[1]
    made = citation(3, item)
    assert (made.number, made.path, made.page, made.quote) == (3, "a.txt", 7, item.quote)


# Properties

PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["[1]", "[2, 3]", "[", "]", "【1】", "[999]", "15,000", "१५,०००", "15", "सैनिकों",
         "the river", "NOT_FOUND", ".", "।", " ", "\n", "\u0660", "½", "e\u0301"]
    ),
)  # fmt: skip
OUTPUTS = st.lists(PIECES, max_size=12).map("".join)


@UNHURRIED
@given(OUTPUTS, st.lists(OUTPUTS.filter(str.strip), max_size=4))
def test_a_quote_is_always_a_slice_of_a_shown_sentence(output: str, sentences: list[str]) -> None:
    shown = evidence(*sentences)
    text, citations = verified(output, shown)
    assert bool(text) == bool(citations)
    quotes = [item.quote for item in shown]
    for number, made in enumerate(citations, 1):
        assert made.number == number
        assert made.quote in quotes
        chunk = made.quote.chunk
        assert chunk.text[made.quote.start : made.quote.end] == made.quote.text
        assert f"[{number}]" in text


@UNHURRIED
@given(OUTPUTS)
def test_claims_have_text_and_known_labels(output: str) -> None:
    for claim in claims(output):
        assert claim.text
        assert claim.text in output
        assert all(0 <= label <= 999 for label in claim.labels)


@UNHURRIED
@given(st.text(max_size=80))
def test_a_text_with_a_word_supports_itself(text: str) -> None:
    assert supports(text, text) == any(claim_word.isalnum() for claim_word in _words(text))


def _words(text: str) -> list[str]:
    from rag.language import words

    return [word[0] for word in words(text)]
