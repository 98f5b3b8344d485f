"""Lines for terminals: broken at spaces, never within a letter."""

from __future__ import annotations

import json
import os
import re
import termios
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from rag.display import Display, at_spaces, one_line, to_json


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("one two three", 7, "one two\nthree"),
        ("one two three", 6, "one\ntwo\nthree"),
        ("one two three", 13, "one two three"),
        ("incomprehensible", 4, "incomprehensible"),
        ("a incomprehensible b", 4, "a\nincomprehensible\nb"),
        # रिसॉर्ट takes six cells: seven characters, of which the virama takes none; में takes one.
        ("में रिसॉर्ट", 8, "में रिसॉर्ट"),
        ("में रिसॉर्ट", 7, "में\nरिसॉर्ट"),
        ("東京 日本", 9, "東京 日本"),
        ("東京 日本", 8, "東京\n日本"),
        ("", 5, ""),
    ],
)
def test_lines_are_broken_at_spaces(text: str, width: int, expected: str) -> None:
    assert at_spaces(text, width) == expected


@given(st.text(), st.integers(1, 30))
def test_only_spaces_change(text: str, width: int) -> None:
    broken = at_spaces(text, width)
    assert len(broken) == len(text)
    assert all(a == b or (a, b) == (" ", "\n") for a, b in zip(text, broken, strict=True))


HINDI = "उत्तर कोरिया ने यूक्रेन के विरुद्ध पुतिन के युद्ध प्रयासों के समर्थन में सैनिक भेजे हैं"


def terminal(width: int) -> tuple[Display, StringIO]:
    """Return a display that takes itself for a terminal without colours, and what it writes."""
    display, written = Display(), StringIO()
    display.out = Console(
        file=written, force_terminal=True, width=width, highlight=False, color_system=None
    )
    return display, written


def test_indented_lines_are_not_filled_up() -> None:
    display, written = terminal(40)
    display.indented(Text(f"“{HINDI}”"))
    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    assert [line for line in lines if line != line.rstrip() or not line.startswith("    ")] == []
    assert " ".join(line.strip() for line in lines) == f"“{HINDI}”"


def test_a_text_without_spaces_is_broken_too() -> None:
    display, written = terminal(24)
    display.indented(Text("北" * 25))
    assert written.getvalue().splitlines() == [
        f"    {'北' * 10}",
        f"    {'北' * 10}",
        f"    {'北' * 5}",
    ]


def test_styles_and_paragraphs_survive_the_breaking() -> None:
    display, written = terminal(12)
    display.indented(Text.assemble("one two\n", ("three four", "bold"), "\n\nfive"))
    assert written.getvalue().splitlines() == [
        "    one two", "    three", "    four", "    ", "    five",
    ]  # fmt: skip


def test_an_answer_is_streamed_in_whole_words_and_taken_away() -> None:
    display, written = terminal(40)
    with display.streaming() as show:
        for word in HINDI.split():
            show(f"{word} ")
        show("**15,000**\x1b[31m")
    out = written.getvalue()
    assert "\x1b[31m" not in out
    assert "**" not in out.rsplit("\x1b[2K", 3)[1]
    assert out.endswith("\x1b[2K")


def test_what_is_typed_ahead_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()

    def echoes() -> bool:
        return bool(termios.tcgetattr(slave)[3] & termios.ECHO)

    with os.fdopen(slave) as keyboard, os.fdopen(master):
        monkeypatch.setattr("sys.stdin", keyboard)
        display, _ = terminal(40)
        assert echoes()
        with pytest.raises(KeyboardInterrupt), display.streaming():
            assert not echoes()
            raise KeyboardInterrupt
        assert echoes()


# Text of documents


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n b", "a b"),
        ("sol\u00addiers\u200b", "soldiers"),  # one alone is left out, as everywhere
        ("क्\u200dष نمی\u200cگویند", "क्\u200dष نمی\u200cگویند"),
        ("b\u200b\u2060\ufeffc", "b‹3 hidden characters›c"),
        ("b\U000e0041\U000e0042\U000e0043\U000e0044c", "b‹4 hidden characters›c"),
        ("\u202e42\u202c", "\\u202e42\\u202c"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]8;;http://x.invalid\x07y", "\\x1b]8;;http://x.invalid\\x07y"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_one_line_shows_what_would_be_hidden(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(st.text())
def test_one_line_sends_nothing_to_a_terminal(text: str) -> None:
    shown = one_line(text)
    assert not re.search(
        "[\x00-\x1f\x7f-\x9f\u00ad\u200b\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]", shown
    )


@given(st.text())
def test_json_is_lossless_and_without_hidden_characters(text: str) -> None:
    written = to_json({"quote": text})
    assert json.loads(written) == {"quote": text}
    assert not re.search(
        "[\x00-\x1f\x7f-\x9f\u00ad\u200b\u200e\u202a-\u202e\ufeff\U000e0000-\U000e0fff]", written
    )


def test_json_keeps_joiners_readable() -> None:
    text = "क्\u200dष \u2764\ufe0f"
    assert text in to_json({"quote": text})
    assert to_json({"q": "\U000e0041"}) == '{"q": "\\udb40\\udc41"}'
