"""Lines for terminals: broken at spaces, never within a letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.display import at_spaces


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
