"""`whole_words`: a slice is widened so that no word, number or letter is cut."""

from __future__ import annotations

import pytest

from rag.language import whole_words


def widened(text: str, cut: str, expected: str) -> tuple[str, str]:
    """Return what `cut`, where it first stands in `text`, becomes, and what it should."""
    start = text.index(cut)
    left, right = whole_words(text, start, start + len(cut))
    return text[left:right], expected


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        ("about 15,000 soldiers", "15", "15,000"),
        ("about 15,000 soldiers", "000", "15,000"),
        ("about 15,000 soldiers", "0 sol", "15,000 soldiers"),
        ("about 15,000 soldiers", "15,000", "15,000"),
        ("about १५,००० सैनिक", "१५", "१५,०००"),
        ("12,34,567 votes", "34", "12,34,567"),
        ("it is 3.5 metres", "3", "3.5"),
        ("15\u00a0000 soldats", "000", "15\u00a0000"),
        ("15\u202f000 soldats", "15", "15\u202f000"),
        ("вонсан 80-летний", "лет", "летний"),
        ("80वीं वर्षगांठ", "80", "80वीं"),
    ],
)
def test_a_word_or_a_grouped_number_is_taken_whole(text: str, cut: str, expected: str) -> None:
    got, wanted = widened(text, cut, expected)
    assert got == wanted


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        ("rund 2,5 Millionen", "2", "2,5"),  # a decimal comma
        ("rund 2,5 Millionen", "5 M", "2,5 Millionen"),
        ("at 10:30 on Monday", "10", "10:30"),
        ("about 3/4 of them", "3", "3/4"),
        ("it was -5 degrees", "5", "-5"),
        ("it was −5 degrees", "5", "−5"),
        ("only .5 percent", "5", ".5"),
        ("15 000 солдат", "15", "15 000"),
        ("1 234 567 солдат", "234", "1 234 567"),
        ("a share of 15% only", "15", "15%"),
        ("on 15.04.2025 here", "04", "15.04.2025"),
    ],
)
def test_nothing_is_cut_that_would_make_another_number(text: str, cut: str, expected: str) -> None:
    got, wanted = widened(text, cut, expected)
    assert got == wanted


@pytest.mark.parametrize(
    ("text", "cut", "expected"),
    [
        ("from 10-15 people", "15", "15"),  # not minus fifteen
        ("in 2019 500 people", "2019", "2019"),
        ("in 2019 500 people", "500", "500"),
        ("it ended in 2019.", "2019", "2019"),
        ("1, 2 and 3", "2", "2"),
    ],
)
def test_numbers_that_only_stand_side_by_side_stay_apart(
    text: str, cut: str, expected: str
) -> None:
    got, wanted = widened(text, cut, expected)
    assert got == wanted


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("वोन्सान शहर", 0, 2, "वोन्सान"),
        ("वोन्सान शहर", 3, 9, "वोन्सान शहर"),
        ("e\u0301tude", 1, 2, "e\u0301tude"),
        ("Straße", 4, 5, "Straße"),
        ("", 0, 0, ""),
        ("a b", 1, 2, " "),
    ],
)
def test_offsets_in_the_middle(text: str, start: int, end: int, expected: str) -> None:
    left, right = whole_words(text, start, end)
    assert text[left:right] == expected


def test_scripts_without_spaces_are_not_widened_to_the_whole_sentence() -> None:
    assert widened("北京是中国的首都", "北京", "北京") == ("北京", "北京")
    got, _ = widened("กรุงเทพเป็นเมืองหลวง", "เมือง", "")
    assert got == "เมือง"


def test_there_too_a_letter_keeps_its_marks_and_a_number_its_digits() -> None:
    text = "ที่นี่"  # ท ี ่ น ี ่
    assert text[slice(*whole_words(text, 0, 1))] == "ที่"
    assert text[slice(*whole_words(text, 2, 4))] == "ที่นี่"
    assert widened("有15,000人", "15", "15,000") == ("15,000", "15,000")


def test_a_number_that_begins_in_a_word_takes_the_word_along() -> None:
    assert whole_words("Z5% of it", 2, 3) == (0, 3)
    assert whole_words("of Z5%", 3, 5) == (3, 6)
