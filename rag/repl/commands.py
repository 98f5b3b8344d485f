"""What begins with a colon: one table that `:help`, completion and the loop read.

Each command is a function of the talk and of what stands after its name.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from rag.conversation import Turn, Understood, understand
from rag.datatypes import Answer, Filter
from rag.display import Display
from rag.errors import UsageError
from rag.filtering import filter_of
from rag.models import names
from rag.repl import saving, showing
from rag.session import Session

CLEAR = "-"
Kind = Literal["", "name", "number", "language", "model", "folder", "file"]


@dataclass(slots=True)
class Talk:
    """A session and what was said in it; `over` says that the user wants to leave."""

    session: Session
    display: Display
    turns: list[Turn] = field(default_factory=list)
    over: bool = False

    def last(self) -> tuple[Turn, Answer]:
        """Return the last turn that was answered; raises `UsageError` before there is one."""
        for turn in reversed(self.turns):
            if turn.answer is not None:
                return turn, turn.answer
        raise UsageError("Nothing was asked yet", "Ask a question first.")


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it takes, what it does, and what completion offers after it."""

    name: str
    takes: str
    tells: str
    do: Callable[[Talk, str], None]
    kind: Kind = ""
    also: tuple[str, ...] = ()


def run(talk: Talk, line: str) -> None:
    """Do what a line with a colon says; raises `RagError`."""
    name, _, rest = line.strip().partition(" ")
    command = find(name)
    if command is None:
        near = get_close_matches(name, [c.name for c in COMMANDS], n=1, cutoff=0.7)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"There is no command {name}", f"{hint}:help lists them.")
    if rest.strip() and not command.takes:
        raise UsageError(f"{name} takes nothing after it")
    command.do(talk, rest.strip())


def find(name: str) -> Command | None:
    """Return the command of that name, `None` where there is none."""
    return next((c for c in COMMANDS if name == c.name or name in c.also), None)


def answer(talk: Talk, question: str) -> None:
    """Answer a question as it follows from the talk, and remember both."""
    _answer(talk, understand(question, talk.turns), fresh=False)


def _answer(talk: Talk, understood: Understood, *, fresh: bool) -> None:
    display, session = talk.display, talk.session
    display.understood(understood.follows)
    with display.streaming() as show:
        said = understood.asked(session.ask(understood.text, show, fresh=fresh))
    display.answer(said)
    display.remembered(said, ":fresh")
    display.stale(session.stale(said))
    talk.turns.append(Turn(understood, said))


def _fresh(talk: Talk, _: str) -> None:
    turn, _said = talk.last()
    _answer(talk, turn.understood, fresh=True)
    talk.turns.remove(turn)


def _help(talk: Talk, _: str) -> None:
    usages = [(f"{c.name} {c.takes}".strip(), c.tells) for c in COMMANDS]
    talk.display.line("Ask in any language; a question may lean on the one before.")
    showing.show_table(talk.display, usages)
    talk.display.line("Alt-Enter breaks a line, Tab completes, Ctrl-C stops an answer.")


def _quit(talk: Talk, _: str) -> None:
    talk.over = True


def _info(talk: Talk, _: str) -> None:
    session = talk.session
    manifest = session.manifest
    talk.display.info(
        {
            "store": session.settings.store,
            "documents": manifest.documents,
            "chunks": manifest.chunks,
            "embedder": manifest.embedder,
            "generator": session.generator_identity,
            "looking in": _looking(session),
            "questions": len(talk.turns),
        }
    )


def _sources(talk: Talk, _: str) -> None:
    showing.show_sources(talk.session, talk.display, talk.last()[1])


def _open(talk: Talk, argument: str) -> None:
    number = argument.strip("[]") or "1"
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise UsageError(f":open {argument} is no number of a citation", "Write: :open 1")
    showing.show_passage(talk.session, talk.display, talk.last()[1], int(number))


def _why(talk: Talk, _: str) -> None:
    showing.show_why(talk.session, talk.display, talk.last()[0])


def _narrow(part: str) -> Callable[[Talk, str], None]:
    """Return the command that sets one part of the filter."""

    def do(talk: Talk, argument: str) -> None:
        session = talk.session
        if argument:
            value = "" if argument == CLEAR else _unquoted(argument)
            session.narrow(filter_of(**{**asdict(session.wanted), part: value}, mark=":"))
        talk.display.line(f"Looking in {_looking(session)}.")
        if session.wanted != Filter():
            set_ = " ".join(f"{name} {CLEAR}" for name in _set_commands(session.wanted))
            talk.display.note(f"Cleared by {set_}")

    return do


def _set_commands(wanted: Filter) -> list[str]:
    names_ = (":in", ":lang", ":since", ":until")
    return [name for name, value in zip(names_, astuple(wanted), strict=True) if value]


def _looking(session: Session) -> str:
    count = session.manifest.documents
    if session.wanted == Filter():
        return f"all {count} documents"
    passing = len(session.text.select(session.wanted))
    return f"{passing} of {count} documents: {session.wanted}"


def _model(talk: Talk, argument: str) -> None:
    session, display = talk.session, talk.display
    if argument:
        display.line(f"Answers come from {session.use_generator(_unquoted(argument))} now.")
        return
    display.line(f"Answers come from {session.settings.generator}.")
    display.note(f"Others: {', '.join(names('generator'))}, or the path of a GGUF file")


def _index(talk: Talk, argument: str) -> None:
    try:
        folders = [Path(part).expanduser() for part in shlex.split(argument)]
    except (ValueError, RuntimeError) as error:  # a quote that is not closed; ~ of no user
        raise UsageError(f":index {argument} names no folders: {error}") from error
    report = talk.session.reindex(folders)
    talk.display.index_report(report, str(talk.session.settings.store))


def _save(*, overwrite: bool) -> Callable[[Talk, str], None]:
    def do(talk: Talk, argument: str) -> None:
        talk.last()
        name = _unquoted(argument)
        if not name:
            raise UsageError("There is no file to save to", "Write it like this: :save talk.md")
        mend = f"To write over it: :save! {name}"
        path = saving.target(name, overwrite=overwrite, mend=mend)
        saving.save(path, talk.turns, talk.session, overwrite=overwrite)
        count = sum(turn.answer is not None for turn in talk.turns)
        talk.display.line(f"{count} answer{'' if count == 1 else 's'} saved in {path}.")

    return do


def _new(talk: Talk, _: str) -> None:
    talk.turns.clear()
    talk.display.note("What was asked is forgotten; the next question stands alone.")


def _unquoted(argument: str) -> str:
    """Return a name without the quotes around it, as a shell would take it."""
    quoted = len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "'\""
    return argument[1:-1] if quoted else argument


COMMANDS = (
    Command(":sources", "", "where the last answer comes from, with full paths", _sources),
    Command(":open", "[N]", "the sentence of citation N in its context", _open, "number"),
    Command(":why", "", "how the last answer came about", _why),
    Command(":in", "[GLOB]", "only in files of such a name; - lifts it", _narrow("pattern"),
            "name"),
    Command(":lang", "[CODE]", "only in documents in this language", _narrow("language"),
            "language"),
    Command(":since", "[DATE]", "only in those of this day (2025-08-13), month or year or later",
            _narrow("since")),
    Command(":until", "[DATE]", "only in those of this day or earlier", _narrow("until")),
    Command(":fresh", "", "answer the last question anew, where it was answered before", _fresh),
    Command(":new", "", "forget what was asked: no follow-up to it", _new),
    Command(":save", "FILE", "save the conversation: .md, .txt, .json, .jsonl",
            _save(overwrite=False), "file"),
    Command(":save!", "FILE", "save it over a file that is there", _save(overwrite=True), "file"),
    Command(":index", "[FOLDER…]", "bring the index up to date, or index these instead",
            _index, "folder"),
    Command(":model", "[NAME|FILE]", "which generator answers; another one", _model, "model"),
    Command(":info", "", "what is in the index", _info),
    Command(":help", "", "this list", _help, also=(":h", ":?")),
    Command(":quit", "", "leave", _quit, also=(":q", ":exit")),
)  # fmt: skip
