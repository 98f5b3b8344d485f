"""Judged results to the numbers of a run, each with its interval and its size.

The summary is a plain object, ready for JSON:

    {"questions": 60, "answerable": 48, "outcomes": {"right": 31, …},
     "overall": {"f1": {"value": …, "low": …, "high": …, "n": 48}, …},
     "pairs": {"en→hi": {…}, …}}

A metric of which no question has a say is left out. Knows no file and no display.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rag.evaluate import statistics
from rag.evaluate.catalogue import METRICS, Metric
from rag.evaluate.metrics import aurc
from rag.evaluate.results import Result
from rag.evaluate.scoring import OUTCOMES, judged, loss
from rag.evaluate.statistics import Estimate


def summarise(results: Sequence[Result]) -> dict[str, Any]:
    """Judge the results anew and sum them up."""
    found = [judged(r) for r in results]
    counts = Counter(r.outcome for r in found)
    pairs = sorted({r.pair for r in found})
    return {
        "questions": len(found),
        "answerable": sum(r.question.answerable for r in found),
        "outcomes": {name: counts[name] for name in OUTCOMES if counts[name]},
        "overall": _table(found),
        "pairs": {pair: _table([r for r in found if r.pair == pair]) for pair in pairs},
    }


def _table(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    found = ((name, estimate(metric, results)) for name, metric in METRICS.items())
    return {name: asdict(value) for name, value in found if value is not None}


def estimate(metric: Metric, results: Sequence[Result]) -> Estimate | None:
    """Return one metric over judged results; `None` where none of them has a say."""
    if metric.statistic == "aurc":
        pairs = sure_and_lost(results)
        return statistics.paired(aurc, *zip(*pairs, strict=True)) if pairs else None
    values = [r.scores[metric.key] for r in results if metric.key in r.scores]
    if not values:
        return None
    if metric.statistic == "max":
        return Estimate(max(values), None, None, len(values))
    if metric.statistic == "mean":
        return statistics.mean(values) if metric.unit else statistics.share(values)
    return statistics.percentile(values, float(metric.statistic[1:]))


def sure_and_lost(results: Sequence[Result]) -> list[tuple[float, float]]:
    """Return `(confidence, loss)` of each question that has both."""
    return [
        (r.reply.confidence, lost)
        for r in results
        if r.reply is not None and (lost := loss(r)) is not None
    ]
