"""The interactive session: what ends it, what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from conftest import Script, ScriptedGenerator

from rag.answer import Answerer
from rag.datatypes import Answer
from rag.display import Display
from rag.errors import GenerationError
from rag.prompts import Message
from rag.repl import Repl
from rag.settings import Settings


class FakeSession:
    """A session over a ready answerer."""

    def __init__(self, answerer: Answerer, settings: Settings) -> None:
        self.answerer, self.index, self.settings = answerer, answerer.index, settings
        self.generator_identity = "scripted@1"

    def ask(self, question: str, on_text: Callable[[str], None]) -> Answer:
        return self.answerer.ask(question, on_text)

    def stale(self, _: Answer) -> list[str]:
        return []


Talk = Callable[..., tuple[str, str]]


@pytest.fixture
def talk(
    make_answerer: Callable[..., Answerer], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> Talk:
    """Type lines into a session; return what it wrote to each stream."""

    def run(script: Script | ScriptedGenerator, *lines: str | BaseException) -> tuple[str, str]:
        typed = iter(lines)

        def read(_: str) -> str:
            line = next(typed, EOFError())
            if isinstance(line, BaseException):
                raise line
            return line

        session = FakeSession(make_answerer(script), settings)
        assert Repl(session, Display(), read).run() == 0  # type: ignore[arg-type]
        written = capsys.readouterr()
        return written.out, written.err

    return run


def test_question_in_answer_out(talk: Talk) -> None:
    out, err = talk("15,000", "how many troops were sent?", ":quit")
    assert "15,000 [1]" in out
    assert "[1] सैनिक.txt" in out
    assert "3 documents" in err


def test_the_end_of_input_ends_it(talk: Talk) -> None:
    assert "15,000" not in talk("15,000")[0]


def test_ctrl_c_at_the_prompt_keeps_the_session(talk: Talk) -> None:
    out, _ = talk("15,000", KeyboardInterrupt(), "how many troops were sent?")
    assert "15,000 [1]" in out


def test_ctrl_c_stops_the_answer_and_keeps_the_session(talk: Talk) -> None:
    calls = 0

    def script(_: Sequence[Message]) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyboardInterrupt
        return "15,000"

    out, err = talk(script, "how many troops?", "how many troops were sent?")
    assert "Stopped." in err
    assert out.count("15,000 [1]") == 1


def test_a_failure_is_a_line_and_keeps_the_session(talk: Talk) -> None:
    def fail(_: Sequence[Message]) -> str:
        raise GenerationError("llama.cpp stopped: no reason")

    _, err = talk(fail, "how many troops were sent?", "?!", ":help")
    assert "Error: llama.cpp stopped: no reason" in err
    assert "Error: The question is empty" in err


def test_commands(talk: Talk) -> None:
    out, err = talk("x", ":help", ":info", ":dance")
    assert ":quit" in out
    assert "scripted@1" in out
    assert "There is no command :dance; :help lists them." in err
