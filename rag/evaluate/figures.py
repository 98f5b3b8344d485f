"""Which plots a run gets, and from which numbers.

Turns judged results into the series that `plots` draws: retrieval curve, risk–coverage,
calibration, latency.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rag.evaluate import plots, statistics
from rag.evaluate.metrics import CUTS, risk_coverage
from rag.evaluate.plots import Axes, Series
from rag.evaluate.results import Result
from rag.evaluate.summary import sure_and_lost

MOST_BINS = 10
LEAST_IN_BIN = 5
DEPTH = max(CUTS)


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its title and a line that tells how to read it."""

    title: str
    svg: str
    reading: str


def figures(results: Sequence[Result]) -> list[Figure]:
    """Draw every plot for which there are numbers."""
    makers: tuple[Callable[[Sequence[Result]], Figure | None], ...] = (
        _retrieval,
        _risk,
        _calibration,
        _latency,
    )
    return [figure for make in makers if (figure := make(results)) is not None]


def _retrieval(results: Sequence[Result]) -> Figure | None:
    asked = [r for r in results if r.question.answerable]
    files = [
        [path in r.question.sources for path in r.ranking]
        for r in asked
        if r.ranking and r.question.sources
    ]
    sentences = [[bool(e.holds) for e in r.evidence] for r in asked if r.evidence_known]
    series = [
        Series(name, style, _found_within(marks))
        for name, style, marks in (("file", "a", files), ("evidence sentence", "b", sentences))
        if marks
    ]
    if not series:
        return None
    axes = Axes("looked at the first k", "share found", (1, DEPTH), (0, 1), range(1, DEPTH + 1))
    reading = (
        "How often the right file, and a sentence that holds the answer, is among the first k."
    )
    return Figure("Retrieval", plots.lines(axes, series), reading)


def _found_within(marks: Sequence[Sequence[bool]]) -> list[tuple[float, float]]:
    return [(float(k), float(np.mean([any(m[:k]) for m in marks]))) for k in range(1, DEPTH + 1)]


def _risk(results: Sequence[Result]) -> Figure | None:
    pairs = sure_and_lost(results)
    if len(pairs) < 2:
        return None
    curve = risk_coverage(*zip(*pairs, strict=True))
    points = [((k + 1) / len(curve), risk) for k, risk in enumerate(curve)]
    replies = [r.reply for r in results if r.reply is not None]
    share = sum(not reply.refused for reply in replies) / len(replies)
    axes = Axes("share of questions answered", "risk")
    mark = plots.vertical(axes, share, f"answered {share:.2f}")
    reading = (
        "Mean loss (1 − F1) if only the surest share were answered; lower is better. "
        "A refused question counts as lost, so the right end is an upper bound."
    )
    svg = plots.lines(axes, [Series("risk", "a", points, dots=False)], mark)
    return Figure("Risk and coverage", svg, reading)


def _calibration(results: Sequence[Result]) -> Figure | None:
    shown = [
        (r.reply.confidence, float(any(e.holds for e in r.evidence[: r.shown])))
        for r in results
        if r.reply is not None and (r.evidence_known or not r.question.answerable)
    ]
    right = [
        (r.reply.confidence, r.scores.get("right", 0.0))
        for r in results
        if r.reply is not None and not r.reply.refused
        if "right" in r.scores or not r.question.answerable
    ]
    series = [
        _reliability(name, style, pairs)
        for name, style, pairs in (
            ("answer is shown", "b", shown),
            ("given answer is right", "a", right),
        )
        if len(pairs) >= LEAST_IN_BIN
    ]
    if not series:
        return None
    axes = Axes("confidence", "share")
    reading = "On the diagonal, confidence means what it says. Bars are 95% intervals."
    return Figure("Calibration", plots.lines(axes, series, plots.diagonal(axes)), reading)


def _reliability(name: str, style: str, pairs: Sequence[tuple[float, float]]) -> Series:
    """Cut pairs `(confidence, yes or no)` into bins of equal size."""
    ordered = sorted(pairs)
    count = max(1, min(MOST_BINS, len(ordered) // LEAST_IN_BIN))
    points, bars = [], []
    for part in np.array_split(np.asarray(ordered), count):
        estimate = statistics.share([float(v) for v in part[:, 1]])
        points.append((float(part[:, 0].mean()), estimate.value))
        bars.append((estimate.low or 0.0, 1.0 if estimate.high is None else estimate.high))
    return Series(name, style, points, bars)


def _latency(results: Sequence[Result]) -> Figure | None:
    whole = [r.scores["seconds"] for r in results if "seconds" in r.scores]
    values = whole or [r.search_seconds for r in results]
    if len(values) < 2:
        return None
    marks = [(f"p{p}", float(np.percentile(values, p))) for p in (50, 95)]
    what = "seconds a question" if whole else "seconds a search"
    reading = "Time of one question, with the median and the 95th percentile."
    return Figure("Latency", plots.histogram(values, what, marks), reading)
