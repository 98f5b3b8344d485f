"""What a generator emphasises, and what is left as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.emphasis import emphasised


@pytest.mark.parametrize(
    ("text", "shown", "styled"),
    [
        ("**15,000** troops [1]", "15,000 troops [1]", ["15,000"]),
        ("कुल *सैनिक* थे", "कुल सैनिक थे", ["सैनिक"]),
        ("the `rag index` command", "the rag index command", ["rag index"]),
        ("**a *b* c**", "a b c", ["a ", "b", " c"]),
        ("**not closed", "**not closed", []),
        ("2 * 3 * 4", "2 * 3 * 4", []),
        ("snake_case_name", "snake_case_name", []),
        ("[bold]x[/bold] <b>y</b> &amp; [a](b)", "[bold]x[/bold] <b>y</b> &amp; [a](b)", []),
        ("# no heading\n- no list", "# no heading\n- no list", []),
        ("", "", []),
    ],
)
def test_emphasis_is_style(text: str, shown: str, styled: list[str]) -> None:
    result = emphasised(text)
    assert result.plain == shown
    assert [result.plain[s.start : s.end] for s in result.spans] == styled


def test_marks_of_a_document_stay() -> None:
    assert emphasised("the **kwargs and *args", ["takes **kwargs and *args"]).plain == (
        "the **kwargs and *args"
    )
    assert emphasised("a *b* c", ["no marks"]).plain == "a b c"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="*_`")))
def test_without_marks_nothing_changes(text: str) -> None:
    assert emphasised(text).plain == text
