"""The interactive session: what ends it, what does not, and what its commands do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from conftest import PLAIN_CALIBRATION, FakeEmbedder, FakeReader, Script, ScriptedGenerator

import rag.session
from rag.answer import Answerer
from rag.calibration import Calibration
from rag.display import Display
from rag.errors import GenerationError, ModelUnavailable
from rag.models import ModelFile, SilentProgress
from rag.prompts import Message
from rag.repl import Repl
from rag.repl.commands import COMMANDS, Talk
from rag.repl.completing import offers, paths_wanted
from rag.session import Session
from rag.settings import Settings

TROOPS = "how many troops were sent?"  # over a Hindi text: the reader's slice is shown
CAMPS = "how many people moved into relief camps?"  # English: the generator reads
QUOTE = "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं।"
NEXT = "दक्षिण कोरिया की ख़ुफ़िया एजेंसी ने यह जानकारी दी।"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calibration, "shipped", PLAIN_CALIBRATION.at)
    embedder = ModelFile("fake", "fake", None, FakeEmbedder().identity)
    monkeypatch.setattr(rag.session, "resolve_embedder", lambda *_: embedder)
    monkeypatch.setattr(
        rag.session, "resolve_generator", lambda spec, *_: ModelFile(spec, spec, None, f"{spec}@1")
    )


@pytest.fixture
def session(
    make_answerer: Callable[..., Answerer], settings: Settings
) -> Iterator[Callable[..., Session]]:
    """Make a session from a script and a reader: real but for all models."""
    with pytest.MonkeyPatch.context() as patch:

        def make(script: Script | ScriptedGenerator, reader: FakeReader | None = None) -> Session:
            answerer = make_answerer(script, reader)
            patch.setattr(rag.session.LlamaGenerator, "load", lambda *_, **__: answerer.generator)
            made = Session(settings, SilentProgress())
            made.__dict__.update(
                embedder=answerer.embedder, index=answerer.index, reader=answerer.reader
            )
            return made

        yield make


Talking = Callable[..., tuple[str, str]]


@pytest.fixture
def talk(session: Callable[..., Session], capsys: pytest.CaptureFixture[str]) -> Talking:
    """Type lines into a session; return what it wrote to each stream."""

    def run(
        script: Script | ScriptedGenerator,
        *lines: str | BaseException,
        reader: FakeReader | None = None,
    ) -> tuple[str, str]:
        typed = iter(lines)

        def read(_: str) -> str:
            line = next(typed, EOFError())
            if isinstance(line, BaseException):
                raise line
            return line

        assert Repl(session(script, reader), Display(), read).run() == 0
        written = capsys.readouterr()
        return written.out, written.err

    return run


def test_question_in_answer_out(talk: Talking) -> None:
    out, err = talk("15,000", TROOPS, ":quit")
    assert "15,000 [1]" in out
    assert "[1] सैनिक.txt" in out
    assert "3 documents" in err


def test_the_end_of_input_ends_it(talk: Talking) -> None:
    assert "15,000" not in talk("15,000")[0]


def test_nothing_is_read_after_quit(talk: Talking) -> None:
    assert "15,000" not in talk("15,000", ":q", TROOPS)[0]


def test_ctrl_c_at_the_prompt_keeps_the_session(talk: Talking) -> None:
    out, _ = talk("15,000", KeyboardInterrupt(), TROOPS)
    assert "15,000 [1]" in out


def test_ctrl_c_stops_the_answer_and_keeps_the_session(talk: Talking) -> None:
    calls = 0

    def script(_: Sequence[Message]) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyboardInterrupt
        return "8,500"

    out, err = talk(script, CAMPS, CAMPS, reader=FakeReader("8,500"))
    assert "Stopped." in err
    assert out.count("8,500 [1]") == 1


def test_a_failure_is_a_line_and_keeps_the_session(talk: Talking) -> None:
    def fail(_: Sequence[Message]) -> str:
        raise GenerationError("llama.cpp stopped: no reason")

    _, err = talk(fail, CAMPS, "?!", ":help", reader=FakeReader("8,500"))
    assert "Error: llama.cpp stopped: no reason" in err
    assert "Error: The question is empty" in err


def test_a_failure_of_the_system_is_a_line_too(talk: Talking) -> None:
    def fail(_: Sequence[Message]) -> str:
        raise OSError(5, "Input/output error", "/models/a.gguf")

    out, err = talk(fail, CAMPS, ":info", reader=FakeReader("8,500"))
    assert "Error: The system says: /models/a.gguf Input/output error" in err
    assert "3" in out


# Follow-ups


def test_a_follow_up_is_understood_and_said(talk: Talking) -> None:
    reader = FakeReader({"died": "600", "sent": "15,000"})
    out, err = talk("x", TROOPS, "and how many of them died in April?", reader=reader)
    assert f"(understood with: {TROOPS})" in err
    assert "15,000 [1]" in out
    assert "600 [1]" in out
    asked, _ = reader.reads[-1]
    assert asked == "and how many of them died in April? (troops were sent)"


def test_a_question_that_stands_alone_is_left_alone(talk: Talking) -> None:
    generator = ScriptedGenerator("8,500")
    reader = FakeReader({"people": "8,500", "sent": "15,000"})
    _, err = talk(generator, TROOPS, CAMPS, reader=reader)
    assert "understood" not in err
    assert reader.reads[-1][0] == CAMPS
    assert generator.prompts[-1][-1]["content"].endswith(f"\nQuestion: {CAMPS}")


def test_new_forgets(talk: Talking) -> None:
    _, err = talk("15,000", TROOPS, ":new", "and how many of them died?", ":new", ":why")
    assert "understood" not in err
    assert "Nothing was asked yet" in err


def test_a_stopped_question_is_not_leaned_on(talk: Talking) -> None:
    def point(question: str, _: str) -> str:
        if "sent" in question:
            raise KeyboardInterrupt
        return "600"

    _, err = talk("x", TROOPS, "and how many died?", reader=FakeReader(point))
    assert "Stopped." in err
    assert "understood" not in err


# Commands


def test_every_command_is_in_the_help(talk: Talking) -> None:
    out, _ = talk("x", ":help")
    flat = " ".join(out.split())
    for command in COMMANDS:
        assert f"{command.name} {command.takes}".strip() in flat
        assert command.tells in flat
    assert "Ctrl-C stops an answer" in out


def test_info(talk: Talking) -> None:
    out, _ = talk("x", ":info")
    assert "qwen2.5-coder-1.5b-instruct@1" in out
    assert "all 3 documents" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":dance", "There is no command :dance. :help lists them."),
        (":sorces", "There is no command :sorces. Did you mean :sources? :help lists them."),
        (":", "There is no command :. :help lists them."),
        (":why not", ":why takes nothing after it"),
        (":sources", "Nothing was asked yet. Ask a question first."),
        (":open", "Nothing was asked yet"),
        (":save a.md", "Nothing was asked yet"),
        (":index 'a", "names no folders: No closing quotation"),
        (":index /no/such", "There is no file or folder /no/such"),
        (":since yesterday", ":since yesterday is no date. Write it like this: :since 2025-08-13"),
        (":lang hindi", ":lang takes the code of a language. Write it like this: :lang hi"),
    ],
)
def test_a_command_that_cannot_be_done_is_one_line(talk: Talking, line: str, said: str) -> None:
    out, err = talk("x", line)
    errors = [written for written in err.splitlines() if written.startswith("Error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert out.strip() == ""


def test_sources_have_full_paths_and_copies(
    talk: Talking, small_documents: Path, settings: Settings
) -> None:
    text = (small_documents / "सैनिक.txt").read_text(encoding="utf-8")
    (small_documents / "copy.txt").write_text(f"{text}\nAnd more.", encoding="utf-8")
    out, _ = talk("15,000", ":index", TROOPS, ":sources")
    listed = out[out.rindex("[1] ") :]
    assert listed.splitlines()[0] == f"[1] सैनिक.txt, characters 0–{len(QUOTE)}"
    assert f"    {small_documents / 'सैनिक.txt'}" in listed
    assert f"    {small_documents / 'copy.txt'}" in listed


def test_open_shows_the_quote_in_its_context(talk: Talking) -> None:
    out, _ = talk("15,000", TROOPS, ":open 1")
    assert f"⟦{QUOTE}⟧ {NEXT}\n    अप्रैल की रिपोर्ट" in out
    assert f"[1] सैनिक.txt, characters 0–{len(QUOTE)}" in out


def test_open_without_a_number_is_the_first(talk: Talking) -> None:
    assert f"⟦{QUOTE}⟧" in talk("15,000", TROOPS, ":open")[0]


@pytest.mark.parametrize("number", ["2", "0", "x", "१", "99999999999999"])
def test_open_of_no_citation(talk: Talking, number: str) -> None:
    out, err = talk("15,000", TROOPS, f":open {number}")
    assert "Error: " in err
    assert "⟦" not in out


def test_open_of_a_refusal_is_what_came_closest(talk: Talking) -> None:
    out, _ = talk("x", TROOPS, ":open 1", ":sources", reader=FakeReader(""))
    assert f"⟦{QUOTE}⟧" in out
    assert "Closest found, not an answer:" in out


def test_open_tells_that_a_file_has_changed(talk: Talking, small_documents: Path) -> None:
    (small_documents / "सैनिक.txt").write_text("कुछ और।", encoding="utf-8")
    out, err = talk("15,000", TROOPS, ":open 1")
    assert f"⟦{QUOTE}⟧ {NEXT}" in out  # as it was indexed
    assert err.count("सैनिक.txt has changed since it was indexed") == 2


def test_open_after_the_document_is_gone(talk: Talking, small_documents: Path) -> None:
    def gone(*_: str) -> str:
        (small_documents / "सैनिक.txt").unlink(missing_ok=True)
        return "15,000"

    out, _ = talk("x", TROOPS, ":index", ":open 1", ":sources", reader=FakeReader(gone))
    assert f"⟦{QUOTE}⟧" in out
    assert "सैनिक.txt (no longer in the index)" in out


def test_escapes_of_documents_stay_inside(talk: Talking, small_documents: Path) -> None:
    evil = "North Korea sent 15,000 troops \x1b[31m\x1b]0;owned\x07 to Russia [bold]in[/bold] it."
    (small_documents / "सैनिक.txt").write_text(evil, encoding="utf-8")
    out, err = talk("15,000", ":index", TROOPS, ":open 1", ":why", ":sources")
    assert "\x1b" not in out + err
    assert "\x07" not in out + err
    assert "[bold]in[/bold] it." in out[out.index("⟦") :]


def test_why(talk: Talking) -> None:
    out, _ = talk("15,000", TROOPS, "and how many of them were sent?", ":lang hi", ":why")
    told = out[out.index("Understood as") :]
    assert "Understood as: and how many of them were sent? (troops were sent)" in told
    assert "Looked only in what passes --lang hi." in told
    assert "Answered from 1 sentence, with confidence 0.98." in told  # logistic(4)
    assert "Below 0.50 it would have been refused." in told
    assert "The generator" not in told  # nothing but digits: it was not needed
    assert "seconds (searching" in told
    assert "cited as [1]" in told
    assert f"“{QUOTE}”" in told


def test_why_of_what_the_generator_read(talk: Talking) -> None:
    out, _ = talk("8,500", CAMPS, ":why", reader=FakeReader("8,500"))
    assert "Answered from 1 sentence, with confidence 0.99." in out
    assert "already, and wrote" in out


def test_why_of_a_refusal(talk: Talking) -> None:
    out, _ = talk("x", TROOPS, ":why", "zebra quagga okapi?", ":why", reader=FakeReader(""))
    assert "Refused: confidence 0.02, and 0.50 is needed." in out  # logistic(-4) is .018
    assert "Refused without reading: the sentence closest in meaning has 0.00" in out


def test_a_filter_is_set_shown_and_lifted(talk: Talking) -> None:
    out, err = talk("15,000", ":lang HI", ":in river*", ":lang", ":lang -", ":in 'river*'", ":in -")
    assert "Looking in 1 of 3 documents: --lang hi." in out
    assert "No document passes --in river* --lang hi" in err
    assert out.count("Looking in 1 of 3 documents: --lang hi.") == 2  # it stays as it was
    assert "Looking in 1 of 3 documents: --in river*." in out
    assert out.count("Looking in all 3 documents.") == 2
    assert "Cleared by :lang -" in err


def test_a_filter_narrows_the_answers(talk: Talking) -> None:
    out, _ = talk("15,000", ":lang en", TROOPS, ":lang -", TROOPS)
    assert out.index("The documents do not say.") < out.index("15,000 [1]")


def test_the_prompt_shows_the_filter(session: Callable[..., Session]) -> None:
    prompts: list[str] = []
    lines = iter([":lang hi", ":lang -"])

    def read(prompt: str) -> str:
        prompts.append(prompt)
        return next(lines, ":quit")

    Repl(session("x"), Display(), read).run()
    assert prompts == ["? ", "[--lang hi] ? ", "? "]


def test_the_index_is_brought_up_to_date(talk: Talking, small_documents: Path) -> None:
    (small_documents / "new.txt").write_text(
        "South Korea built 12 schools for students in the city.", encoding="utf-8"
    )
    question = "how many schools were built for students?"
    out, err = talk("12", question, ":index", question, reader=FakeReader("12"))
    assert out.index("The documents do not say.") < out.index("12 [1]")
    assert "Documents: 1 added, 3 unchanged." in err


def test_other_folders_are_indexed(talk: Talking, tmp_path: Path) -> None:
    other = tmp_path / "other papers"
    other.mkdir()
    (other / "a.txt").write_text("The mayor sent 77 troops of ants.", encoding="utf-8")
    out, err = talk("77", f":index '{other}'", TROOPS, ":info", reader=FakeReader("77"))
    assert "77 [1]" in out
    assert "1 added, 3 forgotten" in err


def test_an_index_that_failed_leaves_the_old_one(talk: Talking, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out, err = talk("15,000", f":index {tmp_path / 'empty'}", TROOPS)
    assert "There are no documents in" in err
    assert "15,000 [1]" in out


def test_another_generator(
    session: Callable[..., Session],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def resolve(spec: str, *_: object) -> ModelFile:
        if spec == "nothing.gguf":
            raise ModelUnavailable("There is no file nothing.gguf", "Check the path.")
        return ModelFile(spec, spec, None, f"{spec}@1")

    loaded: list[str] = []

    def load(file: ModelFile, **_: object) -> ScriptedGenerator:
        loaded.append(file.name)
        return ScriptedGenerator("8,500")

    made = session("x", FakeReader("8,500"))
    monkeypatch.setattr(rag.session, "resolve_generator", resolve)
    monkeypatch.setattr(rag.session.LlamaGenerator, "load", load)
    lines = iter([CAMPS, ":index", ":model nothing.gguf", CAMPS, ":model 'other one'", CAMPS])
    Repl(made, Display(), lambda _: next(lines, ":quit")).run()
    out, err = capsys.readouterr()
    assert loaded == ["qwen2.5-coder-1.5b-instruct", "other one"]
    assert out.count("8,500 [1]") == 3
    assert "There is no file nothing.gguf" in err
    assert "Answers come from other one@1 now." in out


def test_the_generator_is_named(talk: Talking) -> None:
    out, err = talk("x", ":model")
    assert "Answers come from qwen2.5-coder-1.5b-instruct." in out
    assert "qwen2.5-coder-0.5b-instruct" in err


# Saving


def test_a_conversation_is_saved_as_markdown(talk: Talking, tmp_path: Path) -> None:
    path = tmp_path / "talk.md"
    reader = FakeReader({"died": "600", "*": "15,000"})
    out, _ = talk(
        "x",
        "how *many* troops were sent to <b>Russia</b>?",
        "and how many of them died in April?",
        "what is the password of the school?",
        f":save {path}",
        reader=reader,
    )
    assert f"3 answers saved in {path}." in out.replace("\n", "")
    text = path.read_text(encoding="utf-8")
    assert text.startswith(
        "## how \\*many\\* troops were sent to \\<b\\>Russia\\</b\\>?\n\n"
        f"15,000 \\[1\\]\n\n\\[1\\] सैनिक.txt\n\n> “{QUOTE}”\n"
    )
    assert "(understood with: how \\*many\\* troops" in text
    assert "## what is the password of the school?\n\nThe documents do not say.\n" in text


def test_a_conversation_is_saved_as_json_lines(talk: Talking, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    talk("15,000", TROOPS, "and how many troops did they send?", f":save '{path}'")
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (first["question"], first["answer"]) == (TROOPS, "15,000 [1]")
    assert (first["understood"], first["follows"]) == (None, [])
    assert first["citations"][0]["quote"] == QUOTE
    assert second["question"] == "and how many troops did they send?"
    assert second["understood"] == "and how many troops did they send? (troops were sent)"
    assert second["follows"] == [TROOPS]


def test_a_file_that_is_there_is_not_written_over(talk: Talking, tmp_path: Path) -> None:
    path = tmp_path / "talk.txt"
    path.write_text("mine", encoding="utf-8")
    _, err = talk("15,000", TROOPS, f":save {path}")
    assert f"{path} exists already. To write over it: :save! {path}" in err
    assert path.read_text(encoding="utf-8") == "mine"
    talk("15,000", TROOPS, f":save! {path}")
    assert path.read_text(encoding="utf-8").startswith(f"## {TROOPS}\n\n15,000 [1]\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "There is no file to save to"),
        ("talk.pdf", "talk.pdf says no format"),
        ("talk", "talk says no format"),
        ("/no/such/folder/talk.md", "cannot be written: No such file or directory"),
        ("~nobody-of-that-name/talk.md", "is no file name"),
        ("a\0b.md", "cannot be written: embedded null byte"),
        ("x" * 5000 + ".md", "is no file name"),
    ],
)
def test_a_file_that_cannot_be_saved(talk: Talking, name: str, said: str) -> None:
    _, err = talk("15,000", TROOPS, f":save {name}")
    assert said in err
    assert err.count("Error: ") == 1


# Completion


@pytest.fixture
def talking(session: Callable[..., Session]) -> Talk:
    return Talk(session("15,000"), Display())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (":s", [":sources", ":since ", ":save ", ":save! "]),
        (":q", [":quit"]),
        (":x", []),
        (":x y", []),
        ("how", []),
        ("", []),
        (":lang ", ["ar", "en", "hi", "-"]),
        (":lang e", ["en"]),
        (":in riv", ["river.txt"]),
        (":in सै", ["सैनिक.txt"]),
        (":in TXT", ["river.txt", "सैनिक.txt", "مدرسة.txt"]),
        (":model 1.5", ["qwen2.5-coder-1.5b-instruct"]),
        (":open ", []),
        (":why ", []),
    ],
)
def test_what_is_offered(talking: Talk, line: str, expected: list[str]) -> None:
    found = offers(line, talking)
    assert sorted(o.text for o in found) == sorted(expected)
    assert {o.length for o in found} <= {len(line.partition(" ")[2]) or len(line)} | {0}


def test_citations_are_offered(talking: Talk) -> None:
    from rag.repl.commands import answer

    answer(talking, TROOPS)
    assert [(o.text, o.tells) for o in offers(":open ", talking)] == [("1", "सैनिक.txt")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (":index a b", ("b", True)),
        (":index ", ("", True)),
        (":save ~/ta", ("~/ta", False)),
        (":model ./m", ("./m", False)),
        (":model qw", None),
        (":in a", None),
        (":save", None),
        ("how a", None),
    ],
)
def test_where_paths_are_offered(line: str, expected: tuple[str, bool] | None) -> None:
    assert paths_wanted(line) == expected
