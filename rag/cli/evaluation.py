"""`rag eval`: run a question set, compare two runs. Parse, call, display, no logic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rag.cli import common

if TYPE_CHECKING:
    from rag.display import Display
    from rag.evaluate.scoring import Level

BROKEN = 1
_LIMIT = "METRIC=VALUE"


class RunByDefault(TyperGroup):
    """A group whose command `run` need not be named: `rag eval QUESTIONS` is a run."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before arguments that name no command."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=RunByDefault,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure how good the answers are: rag eval QUESTIONS, then rag eval compare A B.",
)

FailUnder = Annotated[
    list[str] | None,
    typer.Option("--fail-under", metavar=_LIMIT, help="Exit with 1 where it is lower."),
]
FailOver = Annotated[
    list[str] | None,
    typer.Option("--fail-over", metavar=_LIMIT, help="Exit with 1 where it is higher."),
]


@app.command("run")
def run(
    questions: Annotated[
        Path, typer.Argument(help="A .jsonl or .csv of questions, or SQuAD-shaped .json.")
    ],
    questions_from: Annotated[
        Path | None,
        typer.Option(help="Ask the questions of this parallel .json, by id.", show_default=False),
    ] = None,
    gold_from: Annotated[
        Path | None,
        typer.Option(
            help="Take the gold answers of this parallel .json; by default of the file that asks.",
            show_default=False,
        ),
    ] = None,
    docs: Annotated[
        Path | None,
        typer.Option(
            "--docs",
            help="A folder or file, or a SQuAD-shaped .json whose paragraphs are the documents. "
            "By default the paragraphs of QUESTIONS, or your own index.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="`retrieval` (no generator) or `reading` (gold passage given).",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Draw so many questions.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    unanswerable: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of questions to lose their documents.")
    ] = 0.0,
    name: Annotated[str, typer.Option(help="Last part of the run's folder.")] = "",
    runs: Annotated[Path, typer.Option(help="Where runs are kept.")] = Path("runs"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Take up no unfinished run.")] = False,
    fail_under: FailUnder = None,
    fail_over: FailOver = None,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    k: common.TopK = None,
    store: common.Store = None,
    embedder: common.EmbedderName = None,
    generator: common.GeneratorName = None,
    strictness: common.Strictness = None,
    offline: common.Offline = None,
) -> None:
    """Ask every question and measure; an interrupted run goes on where it stopped.

    Exit codes: 0 done, 1 error or a broken limit, 2 usage.
    """
    from rag.display import Display

    display = Display(quiet=quiet, as_json=as_json)
    with common.reporting(display):
        from rag.evaluate.evaluation import Plan, Tools, evaluate, prepare
        from rag.evaluate.runs import REPORT
        from rag.evaluate.sets import Files
        from rag.evaluate.terminal import BarWatcher, show_summary
        from rag.evaluate.thresholds import broken, limits

        least, most = limits(fail_under or []), limits(fail_over or [])
        settings = common.load_settings(
            k=k,
            store=store,
            embedder=embedder,
            generator=generator,
            strictness=strictness,
            offline=offline,
        )
        plan = Plan(
            files=Files(questions, questions_from, gold_from, docs),
            level=_level(only),
            limit=limit,
            seed=seed,
            unanswerable=unanswerable,
            name=name,
            runs=runs,
            fresh=fresh,
        )
        prepare(plan)  # so that a mistake in a file is told before anything is fetched
        progress = common.progress_of(display)
        tools = Tools.real(settings, progress)
        done = evaluate(plan, settings, tools, progress, BarWatcher(display.err, quiet))
        if as_json:
            display.json({"run": str(done.folder), **done.summary})
        else:
            show_summary(done.summary, done.folder, REPORT, display.out)
        raise typer.Exit(_verdict(display, broken(done.summary, least, most)))


def _level(only: str | None) -> Level:
    from rag.errors import UsageError

    if only is None:
        return "whole"
    if only == "retrieval" or only == "reading":
        return "retrieval" if only == "retrieval" else "reading"
    raise UsageError(f"--only {only} is no level", "Levels: retrieval, reading.")


def _verdict(display: Display, lines: list[str]) -> int:
    from rag.errors import RagError

    for line in lines:
        display.error(RagError(line))
    return BROKEN if lines else 0


@app.command("compare")
def compare(
    before: Annotated[Path, typer.Argument(help="A run's folder.")],
    after: Annotated[Path, typer.Argument(help="Another run's folder.")],
    fail_under: FailUnder = None,
    fail_over: FailOver = None,
    regression: Annotated[
        list[str] | None,
        typer.Option(metavar=_LIMIT, help="Exit with 1 where it got worse by more than this."),
    ] = None,
    as_json: common.AsJson = False,
) -> None:
    """Tell question by question what got better and worse from BEFORE to AFTER.

    Limits are those of AFTER. Exit codes: 0 done, 1 error or a broken limit, 2 usage.
    """
    from rag.display import Display

    display = Display(as_json=as_json)
    with common.reporting(display):
        from rag.evaluate.compare import compare as compared
        from rag.evaluate.compare import comparison_object
        from rag.evaluate.runs import Run
        from rag.evaluate.terminal import show_comparison
        from rag.evaluate.thresholds import broken, limits, regressions

        least, most = limits(fail_under or []), limits(fail_over or [])
        allowed = limits(regression or [])
        first, second = Run.load(before), Run.load(after)
        first.summary()  # only finished runs
        comparison = compared(first.results, second.results)
        lines = broken(second.summary(), least, most) + regressions(comparison, allowed)
        if as_json:
            display.json({**comparison_object(comparison), "broken": lines})
        else:
            show_comparison(comparison, display.out)
        raise typer.Exit(_verdict(display, lines))


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    as_json: common.AsJson = False,
) -> None:
    """Judge a finished run once more, with this version's metrics, and show it."""
    from rag.display import Display

    display = Display(as_json=as_json)
    with common.reporting(display):
        from rag.evaluate.evaluation import render_again
        from rag.evaluate.runs import REPORT
        from rag.evaluate.terminal import show_summary

        done = render_again(folder)
        if as_json:
            display.json({"run": str(done.folder), **done.summary})
        else:
            show_summary(done.summary, done.folder, REPORT, display.out)
