"""The line editor: keys, history, completion; on prompt_toolkit's pipe instead of a terminal."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ScriptedGenerator
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.utils import get_cwidth

import rag.session
from rag.answer import Answerer
from rag.display import Display
from rag.models import ModelFile, SilentProgress
from rag.repl import Repl
from rag.repl.commands import Talk
from rag.repl.prompting import KEPT, BoundedHistory, LineCompleter, Prompt
from rag.session import Session
from rag.settings import Settings

ENTER, ALT_ENTER, CTRL_C, CTRL_D, UP = "\r", "\x1b\r", "\x03", "\x04", "\x1b[A"


@pytest.fixture
def talk(
    make_answerer: Callable[..., Answerer], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Talk:
    answerer = make_answerer(ScriptedGenerator("15,000"))
    for name, identity in (
        ("resolve_embedder", answerer.embedder.identity),
        ("resolve_generator", answerer.generator.identity),
    ):
        file = ModelFile(name, name, None, identity)
        monkeypatch.setattr(rag.session, name, lambda *_, file=file: file)
    session = Session(settings, SilentProgress())
    session.__dict__.update(index=answerer.index, embedder=answerer.embedder, answerer=answerer)
    return Talk(session, Display())


@pytest.fixture
def pipe() -> Iterator[PipeInput]:
    with create_pipe_input() as made:
        yield made


Type = Callable[[str], Prompt]


@pytest.fixture
def typed(talk: Talk, pipe: PipeInput, tmp_path: Path) -> Type:
    """Type keys into a new editor; its history is the same each time."""

    def make(keys: str) -> Prompt:
        pipe.send_text(keys)
        return Prompt(talk, tmp_path / "state" / "history", input=pipe, output=DummyOutput())

    return make


def test_enter_sends(typed: Type) -> None:
    assert typed(f"कितने सैनिक भेजे?{ENTER}")("? ") == "कितने सैनिक भेजे?"


def test_alt_enter_breaks_the_line(typed: Type) -> None:
    assert typed(f"how many{ALT_ENTER}troops?{ENTER}")("? ") == "how many\ntroops?"


def test_pasted_lines_stay_one_question(typed: Type) -> None:
    assert typed(f"\x1b[200~one\ntwo 🙂\x1b[201~{ENTER}")("? ") == "one\ntwo 🙂"


def test_ctrl_c_clears_the_line_and_ctrl_d_leaves(typed: Type) -> None:
    prompt = typed(f"half a quest{CTRL_C}")
    with pytest.raises(KeyboardInterrupt):
        prompt("? ")
    with pytest.raises(EOFError):
        typed(CTRL_D)("? ")


def test_a_question_of_many_lines_is_answered(
    talk: Talk, typed: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = typed(f"how many{ALT_ENTER}troops were sent?{ENTER}{CTRL_D}")
    assert Repl(talk.session, talk.display, prompt).run() == 0
    assert "15,000 [1]" in capsys.readouterr().out


def test_the_history_goes_on_in_the_next_session(typed: Type, tmp_path: Path) -> None:
    first = f"उत्तर{ALT_ENTER}कोरिया?"
    assert typed(f"{first}{ENTER}")("? ") == "उत्तर\nकोरिया?"
    assert typed(f"{UP}{ENTER}")("? ") == "उत्तर\nकोरिया?"


def test_the_history_is_the_users_own(typed: Type, tmp_path: Path) -> None:
    typed(f"secret?{ENTER}")("? ")
    file = tmp_path / "state" / "history"
    assert "secret?" in file.read_text(encoding="utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_history_is_bounded(tmp_path: Path) -> None:
    notes: list[str] = []
    history = BoundedHistory(tmp_path / "history", notes.append)
    for number in range(2 * KEPT + 1):
        history.store_string(f"question\n{number}")
    again = BoundedHistory(tmp_path / "history", notes.append)
    entries = list(again.load_history_strings())
    assert len(entries) == KEPT
    assert (entries[0], entries[-1]) == (f"question\n{2 * KEPT}", f"question\n{KEPT + 1}")
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["history"]
    assert notes == []


def test_a_history_that_cannot_be_used_is_one_note(
    talk: Talk, pipe: PipeInput, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for place in (tmp_path / "file" / "history", tmp_path):  # below a file; a folder
        pipe.send_text(f"one?{ENTER}two?{ENTER}")
        prompt = Prompt(talk, place, input=pipe, output=DummyOutput())
        assert (prompt("? "), prompt("? ")) == ("one?", "two?")
        err = capsys.readouterr().err
        assert err.count("what you ask is not kept") == 1
        assert err.count("\n") == 1


def test_a_history_that_fails_later_is_one_note(tmp_path: Path) -> None:
    notes: list[str] = []
    history = BoundedHistory(tmp_path / "a" / "history", notes.append)
    (tmp_path / "a" / "history").unlink()
    (tmp_path / "a").rmdir()
    history.store_string("one")
    history.store_string("two")
    assert len(notes) == 1
    assert "history cannot be used: No such file or directory" in notes[0]


def test_bytes_that_are_no_text_are_kept_as_marks(tmp_path: Path) -> None:
    history = BoundedHistory(tmp_path / "history", lambda _: None)
    history.store_string("a\udcffb")
    assert list(history.load_history_strings()) == ["a?b"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (":sou", [(":sources", -4)]),
        (":in सै", [("सैनिक.txt", -2)]),
        ("how many", []),
        (":index x {}/pap", [("ers", 0)]),
        (":save {}/pap", [("ers", 0), ("ers.txt", 0)]),
        ("what is {}/pap", []),
    ],
)
def test_tab_completes(
    talk: Talk, tmp_path: Path, line: str, expected: list[tuple[str, int]]
) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers.txt").write_text("", encoding="utf-8")
    document = Document(line.format(tmp_path))
    found = LineCompleter(talk).get_completions(document, CompleteEvent())
    assert sorted((c.text, c.start_position) for c in found) == expected


def test_vowel_signs_take_a_cell(typed: Type) -> None:
    typed("")
    # Two letters and two vowel signs (category Mc); in the second word one is Mn, and takes none.
    assert get_cwidth("कोरा") == 4
    assert get_cwidth("कुरा") == 3
