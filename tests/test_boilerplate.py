"""Boilerplate by repetition and position, over small sites made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from rag.boilerplate import EDGE, boilerplate, outline
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


def test_lines_that_two_different_articles_share_belong_to_the_site() -> None:
    first = page(["Ravi Sharma", "Must Read"], RIVER, ["Leave a Reply"])
    second = page(["Ravi Sharma"], SCHOOL, ["Must Read", "Leave a Reply"])
    assert marked(first, second) == [
        ["Ravi Sharma", "Must Read", "Leave a Reply"],
        ["Ravi Sharma", "Must Read", "Leave a Reply"],
    ]


def test_a_line_in_one_article_stays() -> None:
    assert marked(page(["A flood"], RIVER, []), page(["A school"], SCHOOL, [])) == [[], []]


def test_a_sentence_needs_three_articles_and_an_edge() -> None:
    notice = "Your address will not be given to anybody else."
    two = [page([], body, [notice]) for body in (RIVER, SCHOOL)]
    assert marked(*two) == [[], []]
    assert marked(*two, page([], MARKET, [notice])) == [[notice]] * 3
    padding = [f"Line number {n} of the long report tells of house {n}." for n in range(EDGE)]
    middle = [
        " ".join([*body, *(f"{name} {line}" for line in padding), notice, *padding])
        for name, body in (("Here", RIVER), ("There", SCHOOL), ("Elsewhere", MARKET))
    ]
    assert all(notice not in found for found in marked(*middle))


def test_copies_of_one_article_are_no_boilerplate() -> None:
    agency = page(["Flood in the north"], RIVER, [])
    assert marked(agency, agency, agency) == [[], [], []]
    # … although each paper adds a line of its own, and another article shares that line.
    found = marked(
        f"{agency}\n\nDaily Post", f"{agency}\n\nDaily Post", page([], SCHOOL, ["Daily Post"])
    )
    assert found == [["Daily Post"]] * 3


def test_related_headlines_between_lines_of_the_site_are_left_out() -> None:
    related = ["Onions are dear", "Prices of onions doubled at the market this week."]
    first = page([], RIVER, ["Latest News", *related, "More Articles Like This"])
    second = page([], SCHOOL, ["Latest News", "More Articles Like This"])
    assert marked(first, second)[0] == ["Latest News", *related, "More Articles Like This"]


def test_headlines_after_the_last_line_of_the_site_are_left_out() -> None:
    first = page([], RIVER, ["Other news", "Onions are dear", "A school opens"])
    second = page([], SCHOOL, ["Other news", "The river rose"])
    assert marked(first, second) == [
        ["Other news", "Onions are dear", "A school opens"],
        ["Other news", "The river rose"],
    ]
    # Running text after it is the article going on.
    third = page([], SCHOOL, ["Other news", "The mayor will open the school on Monday."])
    assert marked(first, third)[1] == ["Other news"]


def test_datelines_repeat_whatever_their_digits() -> None:
    first = page(["Updated: 5 August 2025 10:30 IST"], RIVER, [])
    second = page(["Updated: 17 August 2024 09:15 IST"], SCHOOL, [])
    assert [len(found) for found in marked(first, second)] == [1, 1]
    # A row of a table is no dateline: its numbers tell.
    first, second = page([], RIVER, ["Dead: 12"]), page([], SCHOOL, ["Dead: 40"])
    assert marked(first, second) == [[], []]


def test_records_without_running_text_are_left_alone() -> None:
    first = "Name: Asha\nBlood group: B\nCity: Pune"
    second = "Name: Ravi\nBlood group: B\nCity: Pune"
    assert marked(first, second) == [[], []]


def test_hindi_lines_in_either_normalisation() -> None:
    hindi = [
        "नदी का जलस्तर रात भर में चार मीटर बढ़ गया और पुल डूब गया।",
        "इंजीनियरों ने पुराने बांध की मरम्मत बारह दिनों में पूरी कर ली।",
    ]
    first = page(["ज़रूर पढ़ें"], hindi, [])
    second = page(["ज\u093cरूर पढ\u093cें"], RIVER, [])
    assert [len(found) for found in marked(first, second)] == [1, 1]


def test_nothing_and_one_document() -> None:
    assert boilerplate([]) == []
    assert marked("") == [[]]
    assert marked(page(["Latest News"], RIVER, ["Latest News"])) == [[]]
