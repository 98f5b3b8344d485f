"""`ask`: one question, many from standard input, or the interactive loop."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli import common
from rag.errors import UsageError
from rag.filtering import filter_of

if TYPE_CHECKING:
    from rag.conversation import Turn
    from rag.datatypes import Answer
    from rag.display import Display
    from rag.session import Session

EXAMPLE = 'Ask like this: ask "how many troops were sent?"'

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from rag import __version__

        typer.echo(f"ask {__version__}")
        raise typer.Exit


@app.command()
def ask(
    question: Annotated[
        list[str] | None,
        typer.Argument(help="The question; `-` reads one a line from standard input."),
    ] = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    k: common.TopK = None,
    docs: Annotated[
        Path | None,
        typer.Option(
            "--docs",
            help="Ask over this folder or file, indexed on the fly into a store of its own.",
            show_default=False,
        ),
    ] = None,
    pattern: common.Pattern = None,
    language: common.Language = None,
    since: common.Since = None,
    until: common.Until = None,
    store: common.Store = None,
    embedder: common.EmbedderName = None,
    generator: common.GeneratorName = None,
    reranker: common.RerankerName = None,
    strictness: common.Strictness = None,
    offline: common.Offline = None,
    follows: Annotated[
        list[str] | None,
        typer.Option(
            "--follows",
            metavar="QUESTION",
            help="What was asked before, so that the question may lean on it; oldest first.",
            show_default=False,
        ),
    ] = None,
    sources: Annotated[
        bool, typer.Option("--sources", help="List the sources with full paths, too.")
    ] = False,
    opened: Annotated[
        list[int] | None,
        typer.Option(
            "--open", metavar="N", help="Show citation N in its context, too.", show_default=False
        ),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Tell how the answer came about.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Save questions and answers: .md, .txt, .json or .jsonl.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Let --save write over a file.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Answer anew, even what was asked before."),
    ] = False,
    only_search: Annotated[
        bool,
        typer.Option("--only-search", help="Show what the question finds, and answer nothing."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Ask your documents: a short answer, cited, with the sentences that prove it.

    Without a question it opens an interactive session. Exit codes: 0 answered, 1 error,
    2 usage, 3 the documents do not say.
    """
    screen = common.Screen(quiet=quiet, as_json=as_json)
    with common.reporting(screen):
        questions = _questions(question)
        more = More(tuple(follows or ()), sources, tuple(opened or ()), why, save, overwrite, fresh)
        if only_search:
            more.check_search(questions)
        more.check(questions, screen)
        if docs is not None and store is not None:
            raise UsageError("--docs keeps a store of its own", "Leave out --store or --docs.")
        wanted = filter_of(pattern, language, since, until)
        settings = common.load_settings(
            k=k,
            store=store,
            embedder=embedder,
            generator=generator,
            reranker=reranker,
            strictness=strictness,
            offline=offline,
        )
        from rag.session import Session

        progress = common.progress_of(screen)
        session = (
            Session.over(docs, settings, progress, wanted)
            if docs
            else Session(settings, progress, wanted)
        )
        if questions is None:
            from rag.repl import Repl

            raise typer.Exit(Repl(session, screen.display).run())
        if only_search:
            raise typer.Exit(common.search(questions, session, screen.display))
        raise typer.Exit(_answer_all(questions, session, screen, more))


@dataclass(frozen=True, slots=True)
class More:
    """What is wanted besides the answer: what a session's commands do, as flags."""

    follows: tuple[str, ...] = ()
    sources: bool = False
    opened: tuple[int, ...] = ()
    why: bool = False
    save: Path | None = None
    overwrite: bool = False
    fresh: bool = False

    def check(self, questions: Sequence[str] | None, screen: common.Screen) -> None:
        """Raise `UsageError` where flags contradict each other or there is no question."""
        printed = {"--sources": self.sources, "--open": self.opened, "--why": self.why}
        given = [flag for flag, wanted in printed.items() if wanted]
        single = {"--follows": self.follows, "--open": self.opened}
        of_one = [flag for flag, wanted in single.items() if wanted]
        if given and (screen.as_json or screen.quiet):
            other = "--json tells it all already" if screen.as_json else "--quiet forbids it"
            raise UsageError(f"{given[0]} prints more than the answer, and {other}")
        if self.overwrite and self.save is None:
            raise UsageError("--overwrite is for --save", "Add --save FILE.")
        asked = [*given, *of_one, *(["--save"] if self.save else [])]
        if questions is None and asked:
            raise UsageError(
                f"{asked[0]} goes with a question", "In a session, :help lists what there is."
            )
        if questions is not None and len(questions) > 1 and of_one:
            raise UsageError(f"{of_one[0]} goes with one question, not with {len(questions)}")

    def check_search(self, questions: Sequence[str] | None) -> None:
        """Raise `UsageError` for what a search without an answer has not."""
        if questions is None:
            raise UsageError("--only-search goes with a question", EXAMPLE)
        told = {
            "--follows": self.follows,
            "--sources": self.sources,
            "--open": self.opened,
            "--why": self.why,
            "--save": self.save,
            "--fresh": self.fresh,
        }
        if given := [flag for flag, wanted in told.items() if wanted]:
            raise UsageError(f"{given[0]} is about an answer, and --only-search gives none")

    def show(self, session: Session, display: Display, turn: Turn, answer: Answer) -> None:
        """Print what is wanted besides the answer."""
        from rag.repl import showing

        if self.sources:
            display.line("")
            showing.show_sources(session, display, answer)
        for number in self.opened:
            display.line("")
            showing.show_passage(session, display, answer, number)
        if self.why:
            display.line("")
            showing.show_why(session, display, turn)


def _questions(words: list[str] | None) -> list[str] | None:
    """Return the questions, `None` for the interactive session; raises `UsageError`."""
    if words and words != ["-"]:
        from rag.retrieve import checked

        return [checked(" ".join(words))]
    if not words and _is_terminal():
        return None
    try:
        lines = sys.stdin.read().splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"Standard input is not UTF-8: {error}", EXAMPLE) from error
    questions = [line.strip() for line in lines if line.strip()]
    if not questions:
        raise UsageError(
            "There is no question, neither as an argument nor on standard input", EXAMPLE
        )
    return questions


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _answer_all(questions: list[str], session: Session, screen: common.Screen, more: More) -> int:
    """Answer each; return 0 if any was answered, else 3."""
    from rag.conversation import Turn, asked_before, understand

    path = _target(more)  # what cannot be saved is better known before seconds of work
    before = asked_before(more.follows)
    session.expect(understand(questions[0], before).text, fresh=more.fresh)
    from rag.repl import saving

    display, turns = screen.display, []
    for number, question in enumerate(questions):
        if len(questions) > 1 and not display.as_json:
            display.question(question, first=number == 0)
        understood = understand(question, before)
        display.understood(understood.follows)
        with display.streaming() as show:
            answer = understood.asked(session.ask(understood.text, show, fresh=more.fresh))
        turns.append(Turn(understood, answer))
        _show(turns[-1], answer, session, display, indent=2 if len(questions) == 1 else None)
        more.show(session, display, turns[-1], answer)
    if path is not None:
        saving.save(path, turns, session, overwrite=more.overwrite)
        display.note(f"Saved in {path}.")
    return 0 if any(t.answer and not t.answer.refused for t in turns) else common.REFUSED


def _target(more: More) -> Path | None:
    if more.save is None:
        return None
    from rag.repl import saving

    mend = "Add --overwrite to write over it."
    return saving.target(str(more.save), overwrite=more.overwrite, mend=mend)


def _show(
    turn: Turn, answer: Answer, session: Session, display: Display, *, indent: int | None
) -> None:
    from rag.repl import saving

    if display.as_json:
        display.json(saving.turn_object(turn, answer, session), indent=indent)
    else:
        display.answer(answer)
        display.remembered(answer, "--fresh")
    display.stale(session.stale(answer))


def ask_main() -> None:
    """Entry point of `ask`."""
    common.run(app)
