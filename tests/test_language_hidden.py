"""What nobody sees in a text: told apart from what belongs to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.language import hidden_spans, numbers, visible, words

FAMILY = (
    "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f525"  # a woman, a heart with its selector, a fire
)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("ig\u200bno\u2060re\ufeff", "ignore"),
        ("Do\u00adnau", "Donau"),
        ("a\U000e0001\U000e0041\U000e007fb", "ab"),
        ("a\u200d\u200c\u200db", "ab"),
        ("\u202eabc\u202c \u2067d\u2069\u200f", "abc d"),
        ("\u3164 \uffa0\u115f", " "),
        ("x\u034fy\u17b5z", "xyz"),
        # A joiner alone belongs to Indic and Arabic letters and to emoji, not to Latin ones.
        ("क्\u200dष", "क्\u200dष"),
        ("نمی\u200cگویند", "نمی\u200cگویند"),
        (FAMILY, FAMILY),
        ("i\u200dgnore", "ignore"),
        ("игн\u200cор", "игнор"),
        (" \u200dक", " क"),
        ("क\u200d\u200d\u200cख", "कख"),
        # One selector behind its sign, and no more.
        ("1\ufe0f\u20e3 \u2764\ufe0f", "1\ufe0f\u20e3 \u2764\ufe0f"),
        ("葛\U000e0100城", "葛\U000e0100城"),
        ("a\ufe0f \u2764\ufe0f\ufe01\U000e0101", "a \u2764"),
        # Codes of terminals.
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x1b]0;title\x07a\x1b]52;c;UFdO\x1b\\b\x9d8;;x\x9cc", "abc"),
        ("\x1b]0;never ended\nnext", "\x1b]0;never ended\nnext"),
        ("a\x1bb", "a\x1bb"),
        ("", ""),
    ],
)
def test_visible(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_spans_are_where_it_is_hidden() -> None:
    text = "ab\u200b\u200bc\U000e0041क\u200dष"
    assert list(hidden_spans(text)) == [(2, 4), (5, 6)]


@given(st.text(max_size=60))
def test_what_is_left_out_is_what_the_spans_say(text: str) -> None:
    places = {place for start, end in hidden_spans(text) for place in range(start, end)}
    assert visible(text) == "".join(c for n, c in enumerate(text) if n not in places)


HIDING = st.sampled_from(
    "ab क्ष 4,.\u200b\u200d\u00ad\u2060\ufe0f\u3164\u202e\U000e0041\u034f\u0301"
)


@given(st.text(HIDING, max_size=25))
def test_words_do_not_see_what_is_hidden(text: str) -> None:
    assert words(visible(text)) == words(text)


def test_hidden_characters_neither_make_nor_part_words() -> None:
    assert words("sol\u200bdiers \u3164 \u17b5 \U000e0041\U000e0042") == ["soldiers"]
    assert words("tr\U000e0041oops\ufe01") == ["troops"]
    assert numbers("15\u2063,0\u200b00") == ["15000"]
