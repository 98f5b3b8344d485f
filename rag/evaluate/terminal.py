"""Evaluations in the terminal: progress on standard error, tables on standard output.

Like `rag.display`, one of the few places that print. Text of questions and answers is
shown without control characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from rag.evaluate.catalogue import METRICS
from rag.evaluate.compare import Change, Comparison, Pair
from rag.evaluate.formats import interval, number, signed
from rag.evaluate.results import Result
from rag.evaluate.runs import Run
from rag.evaluate.scoring import OUTCOMES
from rag.reading import printable

CLEAR = 0.05
MOST_FLIPS = 20
# Of the tables, in characters.
FIRST_WIDTH, COLUMN_WIDTH = 32, 38
COMPARISON_WIDTH = 90
_COLOURS = {"good": "green", "fair": "yellow", "bad": "red", "none": ""}


class BarWatcher:
    """Shows how many questions are done and how they came out; see `Watcher`.

    Where standard error is no terminal, a line at each tenth.
    """

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._counts: Counter[str] = Counter()
        self._done = self._total = 0
        self._bar: Progress | None = None

    def begin(self, run: Run, total: int) -> None:
        """Say where the run lies and open the bar."""
        self._done, self._total = len(run.results), total
        if self._quiet:
            return
        folder = printable(str(run.folder))
        self._line(
            f"Going on with {folder}: {self._done} of {total} done" if self._done else folder
        )
        if not self._console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("Asking"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
        )
        self._bar.add_task("", total=total, completed=self._done)
        self._bar.start()

    def asked(self, result: Result) -> None:
        """Count one more."""
        self._done += 1
        self._counts[result.outcome] += 1
        words = ", ".join(f"{n} {OUTCOMES[name].title}" for name, n in self._counts.most_common(3))
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, description=words)
        elif (
            not self._quiet
            and 10 * self._done // self._total > 10 * (self._done - 1) // self._total
        ):
            self._line(f"{self._done} of {self._total}: {words}")

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)


def show_summary(summary: Mapping[str, Any], folder: Path, report: str, console: Console) -> None:
    """Print every metric with its interval, overall and by language pair.

    Side by side where that fits or goes into a pipe, else one below the other.
    """
    columns = {f"all {summary['questions']} questions": summary["overall"]}
    if len(summary["pairs"]) > 1:
        columns |= summary["pairs"]
    width = FIRST_WIDTH + COLUMN_WIDTH * len(columns)
    if width <= console.width or not console.is_terminal:
        _print_wide(_table(columns), width, console)
    else:
        for name, rows in columns.items():
            console.print(_table({name: rows}))
    console.print(_outcomes(summary["outcomes"]), soft_wrap=True)
    console.print(Text(f"Report: {printable(str(folder / report))}"), soft_wrap=True)


def _print_wide(table: Table, width: int, console: Console) -> None:
    """Print a table whole, even beyond the edge: a cut number is worse than a wrapped line."""
    wide = Console(
        file=console.file,
        width=max(width, console.width),
        force_terminal=console.is_terminal,
        highlight=False,
    )
    wide.print(table)


def _table(columns: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for name in columns:
        for title in (name, "95%", "n"):
            table.add_column(title, justify="right", no_wrap=True)
    group = ""
    for name, metric in METRICS.items():
        if not any(name in rows for rows in columns.values()):
            continue
        if metric.group != group:
            group = metric.group
            table.add_row(Text(group, style="dim"))
        cells = [c for rows in columns.values() for c in _cells(rows.get(name), metric.unit)]
        unit = f" ({metric.unit})" if metric.unit else ""
        table.add_row(f"  {metric.title}{unit}", *cells)
    return table


def _cells(row: Mapping[str, Any] | None, unit: str) -> list[str]:
    if row is None:
        return ["–", "", ""]
    return [number(row["value"], unit), interval(row, unit), str(row["n"])]


def _outcomes(counts: Mapping[str, int]) -> Text:
    text = Text()
    for name, count in counts.items():
        outcome = OUTCOMES[name]
        text.append(f"{count} {outcome.title}", style=_COLOURS[outcome.verdict])
        text.append("  ")
    return text


def show_comparison(comparison: Comparison, console: Console) -> None:
    """Print the changes of every metric, then the questions that flipped."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"{comparison.paired} questions in both", no_wrap=True)
    for title in ("before", "after", "change", "95%", "p", "n"):
        table.add_column(title, justify="right", no_wrap=True)
    group = ""
    for change in comparison.changes:
        if change.metric.group != group:
            group = change.metric.group
            table.add_row(Text(group, style="dim"))
        table.add_row(*_change_row(change))
    _print_wide(table, COMPARISON_WIDTH, console)
    if comparison.only_before or comparison.only_after:
        console.print(
            f"Left out: {comparison.only_before} only before, {comparison.only_after} only after.",
            soft_wrap=True,
        )
    _flips("Better", comparison.better, "green", console)
    _flips("Worse", comparison.worse, "red", console)


def _change_row(change: Change) -> list[str | Text]:
    metric, unit = change.metric, change.metric.unit
    d = change.difference
    style = ""
    if d.low is not None and d.high is not None and (d.low > 0 or d.high < 0):
        style = "green" if change.gain > 0 else "red"
    between = "–"
    if d.low is not None and d.high is not None:
        between = f"{signed(d.low, metric)} … {signed(d.high, metric)}"
    p = "" if change.p is None else "<.001" if change.p < 0.001 else f"{change.p:.3f}"
    return [
        f"  {metric.title}{f' ({unit})' if unit else ''}",
        number(change.before, unit),
        number(change.after, unit),
        Text(signed(d.value, metric), style=style),
        between,
        Text(p, style="bold" if change.p is not None and change.p < CLEAR else ""),
        str(d.n),
    ]


def _flips(title: str, pairs: Sequence[Pair], style: str, console: Console) -> None:
    console.print(Text(f"{title}: {len(pairs)}", style=f"bold {style}"))
    for before, after in pairs[:MOST_FLIPS]:
        was, now = OUTCOMES[before.outcome].title, OUTCOMES[after.outcome].title
        console.print(
            Text(f"  {_line(before.question.id)}  {was} → {now}: {_line(before.question.text)}"),
            soft_wrap=True,
        )
        if before.reply and after.reply:
            said = [_line(reply.text) or "(refused)" for reply in (before.reply, after.reply)]
            console.print(Text(f"      {' → '.join(said)}", style="dim"), soft_wrap=True)
    if len(pairs) > MOST_FLIPS:
        console.print(f"  … and {len(pairs) - MOST_FLIPS} more; all are in --json")


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
