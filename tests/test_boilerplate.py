"""Boilerplate by repetition and position, over small sites made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag import boilerplate as boilerplate_module
from rag.boilerplate import boilerplate, outline
from rag.datatypes import Document
from rag.language import sentences

RIVER = [
    "The river rose by four metres during the night of the storm.",
    "Engineers repaired the old dam in twelve days with help from three villages.",
    "Nobody was hurt when the eastern bank gave way below the bridge.",
]
SCHOOL = [
    "The new school has room for four hundred and fifty children from the valley.",
    "Its roof was paid for by farmers who sold their best cattle in spring.",
    "Lessons begin at seven because the afternoons are too hot for anyone.",
]
MARKET = [
    "Prices of onions doubled at the market after the trucks were stopped.",
    "Traders blamed the weather and the long queue at the northern border.",
    "A committee will meet next week to look into the shortage of onions.",
]


@pytest.fixture(autouse=True, params=[2, 10**6], ids=["in shares", "at once"])
def _shares(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare two sentences at once, and all."""
    monkeypatch.setattr(boilerplate_module, "AT_ONCE", request.param)


def marked(*texts: str) -> list[list[str]]:
    """Return the sentences of each text that are found to be boilerplate."""
    documents = [Document(str(n), f"{n}.txt", "", text) for n, text in enumerate(texts)]
    spans = [sentences(text) for text in texts]
    outlines = [outline(d, s) for d, s in zip(documents, spans, strict=True)]
    return [
        [text[slice(*found[place])] for place in sorted(places)]
        for text, found, places in zip(texts, spans, boilerplate(outlines), strict=True)
    ]


def page(head: Sequence[str], body: Sequence[str], foot: Sequence[str]) -> str:
    return "\n\n".join([*head, " ".join(body), *foot])


def test_lines_of_three_different_articles_belong_to_the_site() -> None:
    found = marked(
        page(["A flood", "Ravi Sharma"], RIVER, ["Leave a Reply"]),
        page(["A school", "Ravi Sharma"], SCHOOL, ["Leave a Reply"]),
        page(["Onions", "Ravi Sharma"], MARKET, ["Leave a Reply"]),
    )
    assert found == [["Ravi Sharma", "Leave a Reply"]] * 3


def test_two_articles_are_not_enough() -> None:
    first = page(["A flood", "Ravi Sharma"], RIVER, ["Leave a Reply"])
    second = page(["A school", "Ravi Sharma"], SCHOOL, ["Leave a Reply"])
    assert marked(first, second) == [[], []]


def test_a_line_that_two_articles_have_twice_each_belongs_to_the_site() -> None:
    line = "Reporter of the Daily Post in Pune"
    pages = [
        page([title, line, "Must Read", line], body, ["Must Read"])
        for title, body in (("A flood", RIVER), ("A school", SCHOOL))
    ]
    first, second = marked(*pages)
    # What says something stays ranked once; "Must Read" says nothing.
    assert first == [line, "Must Read", "Must Read"] or first == ["Must Read", line, "Must Read"]
    assert sorted(second) == sorted([line, line, "Must Read", "Must Read"])
    once = page(["A school", line], SCHOOL, [])
    assert marked(pages[0], once) == [[], []]


def test_what_says_something_stays_ranked_once() -> None:
    notice = "Your address will not be given to anybody else."
    found = marked(*(page(["A title"], body, [notice]) for body in (RIVER, SCHOOL, MARKET)))
    assert found == [[], [notice], [notice]]
    # The same of a fact that three short files of a person happen to repeat.
    fact = "Asha is allergic to penicillin and to nuts."
    found = marked(*(page(["Asha"], body, [fact]) for body in (RIVER, SCHOOL, MARKET)))
    assert found[0] == []


def test_the_middle_of_a_document_is_its_own() -> None:
    notice = "Your address will not be given to anybody else."
    middle = []
    for name, body in (("Here", RIVER), ("There", SCHOOL), ("Elsewhere", MARKET)):
        padding = [f"{name} the report of house {n} tells of its roof." for n in range(8)]
        middle.append(" ".join([*body, *padding, notice, *padding[::-1]]))
    assert marked(*middle) == [[], [], []]
    shorter = [text.replace(notice, "").rstrip() + f" {notice}" for text in middle]
    assert marked(*shorter) == [[], [notice], [notice]]


def test_the_first_line_is_the_title_and_stays() -> None:
    found = marked(*(page(["Ravi Sharma"], body, []) for body in (RIVER, SCHOOL, MARKET)))
    assert found == [[], [], []]


def test_copies_of_one_article_are_no_boilerplate() -> None:
    agency = page(["Flood in the north"], RIVER, ["Daily Post"])
    assert marked(agency, agency, agency, agency) == [[], [], [], []]
    # Two articles in four files are two articles.
    assert marked(agency, agency, page(["A school"], SCHOOL, ["Daily Post"])) == [[], [], []]
    third = page(["Onions"], MARKET, ["Daily Post"])
    found = marked(agency, agency, page(["A school"], SCHOOL, ["Daily Post"]), third)
    assert found == [["Daily Post"]] * 4


def test_copies_share_half_of_the_shorter_running_text() -> None:
    # 12 and 11 and 12 words; the first sentence alone is less than half of 35.
    one = page(["a"], RIVER, ["Leave a Reply"])
    other = page(["b"], [RIVER[0], *SCHOOL[1:]], ["Leave a Reply"])
    third = page(["c"], MARKET, ["Leave a Reply"])
    assert marked(one, other, third) == [["Leave a Reply"]] * 3
    other = page(["b"], [*RIVER[:2], SCHOOL[2]], ["Leave a Reply"])
    assert marked(one, other, third) == [[], [], []]


def test_sections_and_tables_of_a_template_are_left_alone() -> None:
    minutes = [
        page(["Minutes", "Decisions"], [body[0]], ["Next meeting", body[1], "Signed", body[2]])
        for body in (RIVER, SCHOOL)
    ]
    assert marked(*minutes) == [[], []]
    third = page(["Minutes", "Decisions"], [MARKET[0]], ["Next meeting", MARKET[1], "Signed"])
    found = marked(*minutes, third)
    assert found == [["Decisions", "Next meeting", "Signed"]] * 3  # and nothing between them
    rows = [page(["Rents"], body, [f"Flat 3: {n} euros"]) for n, body in enumerate((RIVER, SCHOOL))]
    assert marked(*rows, page(["Rents"], MARKET, ["Flat 3: 9 euros"])) == [[], [], []]
    dates = [page(["A"], body, [f"Born: 0{n}/05/1980"]) for n, body in enumerate((RIVER, SCHOOL))]
    assert marked(*dates, page(["A"], MARKET, ["Born: 09/05/1980"])) == [[], [], []]


def test_records_without_running_text_are_left_alone() -> None:
    records = [f"Name: {name}\nBlood group: B\nCity: Pune" for name in ("Asha", "Ravi", "Lata")]
    assert marked(*records) == [[], [], []]


def test_hindi_lines_in_either_normalisation() -> None:
    hindi = [
        "नदी का जलस्तर रात भर में चार मीटर बढ़ गया और पुल डूब गया।",
        "इंजीनियरों ने पुराने बांध की मरम्मत बारह दिनों में पूरी कर ली।",
    ]
    first = page(["बाढ़", "ज़रूर पढ़ें"], hindi, [])
    second = page(["River", "ज\u093cरूर पढ\u093cें"], RIVER, [])
    third = page(["School", "जरूर पढें"], SCHOOL, [])
    assert [len(found) for found in marked(first, second, third)] == [1, 1, 1]


def test_nothing_and_one_document() -> None:
    assert boilerplate([]) == []
    assert marked("") == [[]]
    assert marked(page(["Latest News"], RIVER, ["Latest News"])) == [[]]


def test_a_line_of_very_many_documents() -> None:
    pages = [
        page(
            [f"Day {n}", "Ravi Sharma"], [f"On day {n} the river rose by {n} metres at night."], []
        )
        for n in range(40)
    ]
    assert marked(*pages) == [["Ravi Sharma"]] * 40
