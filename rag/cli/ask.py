"""`ask`: one question, many from standard input, or the interactive loop."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli import common
from rag.errors import UsageError

if TYPE_CHECKING:
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
    offline: common.Offline = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Ask your documents: a short answer, cited, with the sentences that prove it.

    Without a question it opens an interactive session. Exit codes: 0 answered, 1 error,
    2 usage, 3 the documents do not say.
    """
    from rag.display import Display

    display = Display(quiet=quiet, as_json=as_json)
    with common.reporting(display):
        questions = _questions(question)
        if docs is not None and store is not None:
            raise UsageError("--docs keeps a store of its own", "Leave out --store or --docs.")
        wanted = common.filter_of(pattern, language, since, until)
        settings = common.load_settings(
            k=k,
            store=store,
            embedder=embedder,
            generator=generator,
            reranker=reranker,
            offline=offline,
        )
        from rag.session import Session

        progress = common.progress_of(display)
        session = (
            Session.over(docs, settings, progress, wanted)
            if docs
            else Session(settings, progress, wanted)
        )
        if questions is None:
            from rag.repl import Repl

            raise typer.Exit(Repl(session, display).run())
        raise typer.Exit(_answer_all(questions, session, display))


def _questions(words: list[str] | None) -> Iterable[str] | None:
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


def _answer_all(questions: Iterable[str], session: Session, display: Display) -> int:
    """Answer each; return 0 if any was answered, else 3."""
    from rag.display import answer_object

    questions = list(questions)
    answered = False
    for number, question in enumerate(questions):
        if len(questions) > 1 and not display.as_json:
            display.question(question, first=number == 0)
        with display.streaming() as show:
            answer = session.ask(question, show)
        stale = session.stale(answer)
        if display.as_json:
            display.json(
                answer_object(
                    answer,
                    manifest=session.index.manifest,
                    store=str(session.settings.store),
                    generator=session.generator_identity,
                    stale=stale,
                ),
                indent=2 if len(questions) == 1 else None,
            )
        else:
            display.answer(answer)
        display.stale(stale)
        answered = answered or not answer.refused
    return 0 if answered else common.REFUSED


def ask_main() -> None:
    """Entry point of `ask`."""
    common.run(app)
