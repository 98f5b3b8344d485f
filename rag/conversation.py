"""Follow-up questions: what was asked before, put into words that stand alone.

"and how many of them died?" after "how many troops were sent?" is searched and read as
"and how many of them died? (troops were sent)". No generator is asked: the small one
cannot do it, and its Hindi is bad. What is added are the question that the thread began
with, the last one, and the last answer where it is a name and not a number: a number would
only find its own sentence again. The question comes first because its language decides
that of the answer.

This module knows no index and no display; whether a question leans is `rag.language`'s
matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rag.datatypes import Answer
from rag.language import asks_itself, language, leans_back, numbers, statement
from rag.retrieve import MAX_QUESTION_CHARS, checked

# What is added of one earlier question, and of an answer, in characters.
LONGEST_TOPIC = 300
LONGEST_NAME = 80
_LABEL = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True, slots=True)
class Understood:
    """A question as it was asked, and `text`, which is searched and read.

    `follows` are the earlier questions that it was understood with, oldest first; empty
    where it stands alone, and then `text` is the question.
    """

    question: str
    text: str
    follows: tuple[str, ...] = ()

    def asked(self, answer: Answer) -> Answer:
        """Return the answer to `text` as that to the question as it was asked."""
        if not self.follows:
            return replace(answer, question=self.question)
        return replace(answer, question=self.question, language=language(self.question))


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what was answered; `None` where only the question is known."""

    understood: Understood
    answer: Answer | None = None


def understand(question: str, turns: Sequence[Turn] = ()) -> Understood:
    """Understand a question from the turns before it, oldest first.

    Raises `UsageError` where it asks nothing.
    """
    question = checked(question)
    if not turns or not leans_back(question, language(turns[-1].understood.question)):
        return Understood(question, question)
    follows = tuple(dict.fromkeys(t.understood.question for t in (_root(turns), turns[-1])))
    topics = follows if not asks_itself(question) else tuple(map(statement, follows))
    added = [*(_cut(t, LONGEST_TOPIC) for t in topics), *_name(turns[-1])]
    text = f"{question} ({'; '.join(added)})"
    if len(text) > MAX_QUESTION_CHARS:
        return Understood(question, question)
    return Understood(question, text, follows)


def asked_before(questions: Iterable[str]) -> list[Turn]:
    """Return turns of questions alone, each understood from those before it."""
    turns: list[Turn] = []
    for question in questions:
        turns.append(Turn(understand(question, turns)))
    return turns


def _root(turns: Sequence[Turn]) -> Turn:
    """Return the turn that the thread of the last one began with."""
    return next((t for t in reversed(turns) if not t.understood.follows), turns[0])


def _name(turn: Turn) -> list[str]:
    """Return the answer where it is short and has no number: whom a pronoun may stand for."""
    said = _LABEL.sub("", turn.answer.text).strip() if turn.answer else ""
    return [said] if said and len(said) <= LONGEST_NAME and not numbers(said) else []


def _cut(text: str, length: int) -> str:
    """Return at most so many characters, cut at a space where there is one."""
    if len(text) <= length:
        return text
    return text[: max(text.rfind(" ", 0, length), 0) or length]
