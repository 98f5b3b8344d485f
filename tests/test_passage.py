"""A quote in its context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.datatypes import Answer, Chunk, Citation, Evidence, Quote
from rag.errors import UsageError
from rag.passage import WINDOW, numbered, passage_of, pick

TEXT = "One is here. Two is here. Three is here. Four is here. Five is here. " * 2


def quote_of(text: str, start: int, end: int) -> Quote:
    chunk = Chunk("c", "d", "a.txt", 0, len(text), None, text)
    return Quote(chunk, start, end, text[start:end])


def test_three_sentences_on_either_side() -> None:
    start = TEXT.index("Five")
    passage = passage_of(quote_of(TEXT, start, start + 13), TEXT)
    assert passage.before == "Two is here. Three is here. Four is here. "
    assert passage.after == " One is here. Two is here. Three is here."
    assert (passage.cut_before, passage.cut_after) == (True, True)


def test_the_edges_of_a_document() -> None:
    passage = passage_of(quote_of("Only this.", 0, 10), "Only this.")
    assert (passage.before, passage.after) == ("", "")
    assert (passage.cut_before, passage.cut_after) == (False, False)


def test_hindi_sentences() -> None:
    text = "एक बात है। दो बातें हैं। तीन बातें हैं।"
    start = text.index("दो")
    passage = passage_of(quote_of(text, start, start + len("दो बातें हैं।")), text)
    assert (passage.before, passage.after) == ("एक बात है। ", " तीन बातें हैं।")


def test_a_document_that_was_indexed_anew_gives_the_chunk() -> None:
    chunk = Chunk("c", "d", "a.txt", 100, 130, 3, "Before it. The quote. After.")
    passage = passage_of(Quote(chunk, 111, 121, "The quote."), "something else entirely")
    assert (passage.before, passage.after) == ("Before it. ", " After.")
    assert passage_of(Quote(chunk, 111, 121, "The quote."), "").before == "Before it. "


@given(st.text(min_size=1), st.data())
def test_before_quote_and_after_are_a_slice(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    passage = passage_of(quote_of(text, start, end), text)
    assert text[:start].endswith(passage.before)
    assert text[end:].startswith(passage.after)


def test_a_long_text_without_sentences_is_cut() -> None:
    text = "x" * 5000
    passage = passage_of(quote_of(text, 2500, 2510), text)
    assert 0 < len(passage.before) <= WINDOW
    assert 0 < len(passage.after) <= WINDOW


def test_numbers_are_those_of_citations_or_of_what_came_closest() -> None:
    quote = quote_of(TEXT, 0, 12)
    cited = Citation(1, "a.txt", None, quote)
    answer = Answer("q", "en", "One [1]", (cited,), (), (Evidence(1, quote, 0.5),), 0.9)
    assert pick(answer, 1) is cited
    with pytest.raises(UsageError, match=r"There is no citation 2\. There is 1\."):
        pick(answer, 2)
    refused = Answer("q", "en", "", (), (), (Evidence(1, quote, 0.5), Evidence(2, quote, 0.4)), 0)
    assert [c.number for c in numbered(refused)] == [1, 2]
    with pytest.raises(UsageError, match=r"no sentence among those found 3\. There is 1, 2\."):
        pick(refused, 3)
    with pytest.raises(UsageError, match=r"found 1$"):
        pick(Answer("q", "en", "", (), (), (), 0), 1)
