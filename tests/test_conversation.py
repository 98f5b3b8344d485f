"""Follow-up questions: what is searched and read instead, and what is left alone."""

from __future__ import annotations

import pytest

from rag.conversation import Turn, Understood, asked_before, understand
from rag.datatypes import Answer
from rag.errors import UsageError
from rag.language import language
from rag.retrieve import MAX_QUESTION_CHARS

TROOPS = "how many North Korean troops were sent?"
HINDI = "उत्तर कोरिया ने रूस में कितने सैनिक भेजे?"


def answered(question: str, text: str) -> Turn:
    answer = Answer(question, "en", text, (), (), (), 0.9)
    return Turn(Understood(question, question), answer)


@pytest.mark.parametrize(
    ("before", "question", "text"),
    [
        ([TROOPS], "and how many died?", "and how many died? (North Korean troops were sent)"),
        (
            [TROOPS],
            "how many of them died?",
            "how many of them died? (North Korean troops were sent)",
        ),
        (
            [HINDI],
            "और उनमें से कितने मारे गए?",
            "और उनमें से कितने मारे गए? (उत्तर कोरिया ने रूस में सैनिक भेजे)",
        ),
        ([HINDI], "how many of them died?", "how many of them died? (उत्तर कोरिया ने रूस में सैनिक भेजे)"),
        ([TROOPS], "और कब?", "और कब? (North Korean troops were sent)"),
        # A fragment asks nothing itself: the question it changes stays whole.
        ([TROOPS], "and in April?", f"and in April? ({TROOPS})"),
        ([HINDI], "और अप्रैल में?", f"और अप्रैल में? ({HINDI})"),
        # A thread is its first question and its last.
        (
            [TROOPS, "and how many of them died?", "और घायल?"],
            "and when was that?",
            "and when was that? (North Korean troops were sent; घायल)",
        ),
        # ... and a question that stands alone begins a new one.
        (
            [TROOPS, "and how many of them died?", "Who is Lavrov?"],
            "where did he arrive?",
            "where did he arrive? (Lavrov)",
        ),
        ([TROOPS], "who repaired the dam?", "who repaired the dam?"),
        ([], "and how many of them died?", "and how many of them died?"),
    ],
)
def test_what_is_searched(before: list[str], question: str, text: str) -> None:
    understood = understand(question, asked_before(before))
    assert understood.text == text
    assert understood.question == question
    assert bool(understood.follows) == (text != question)


@pytest.mark.parametrize("before", [TROOPS, HINDI])
@pytest.mark.parametrize("question", ["and how many of them died?", "और उनमें से कितने मारे गए?"])
def test_the_question_keeps_its_language(before: str, question: str) -> None:
    assert language(understand(question, asked_before([before])).text) == language(question)


def test_who_was_named_is_added() -> None:
    turn = answered("who arrived in Wonsan?", "Sergei Lavrov [1]")
    text = understand("whom did he meet?", [turn]).text
    assert text == "whom did he meet? (arrived in Wonsan; Sergei Lavrov)"


@pytest.mark.parametrize("said", ["15,000 [1]", "१५,००० सैनिक [1]", "", "word " * 40])
def test_a_number_or_a_long_answer_is_not(said: str) -> None:
    text = understand("and who sent them?", [answered("how many troops?", said)]).text
    assert text == "and who sent them? (troops)"


def test_the_answer_is_to_the_question_as_asked() -> None:
    understood = understand("और उनमें से कितने मारे गए?", asked_before([TROOPS]))
    answer = understood.asked(Answer(understood.text, "en", "600", (), (), (), 0.9))
    assert (answer.question, answer.language) == ("और उनमें से कितने मारे गए?", "hi")


def test_what_is_searched_is_bounded() -> None:
    long = "troops " * 280
    text = understand("and how many of them died?", asked_before([f"how many {long}?"])).text
    assert len(text) < 400
    assert text.endswith("troops)")
    most = f"and {'x' * (MAX_QUESTION_CHARS - 4)}"
    assert understand(most, asked_before([TROOPS])).text == most
    unbroken = understand("and who?", asked_before([f"how many {'ก' * 1900}"])).text
    assert len(unbroken) < 400


def test_an_empty_question_is_refused_here_too() -> None:
    with pytest.raises(UsageError):
        understand("?!", asked_before([TROOPS]))
    with pytest.raises(UsageError):
        asked_before([" "])
