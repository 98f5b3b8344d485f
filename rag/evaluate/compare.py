"""Two runs question by question: what got better, what worse, and whether by chance.

Only questions that both runs asked in the same words are paired. A p-value says how
likely so large a difference is if nothing changed; of twenty metrics one falls below
0.05 by luck alone. Knows no display.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rag.errors import EvaluationError
from rag.evaluate import statistics
from rag.evaluate.catalogue import METRICS, Metric
from rag.evaluate.metrics import aurc
from rag.evaluate.results import Result
from rag.evaluate.scoring import OUTCOMES, judged, loss
from rag.evaluate.statistics import Estimate

Pair = tuple[Result, Result]
_RANK = {"good": 2, "fair": 1, "bad": 0}


@dataclass(frozen=True, slots=True)
class Change:
    """A metric in both runs, over the questions of which it has a say in both.

    `difference` is after minus before; `p` comes from `test` and is `None` where there
    is no test for it.
    """

    metric: Metric
    before: float
    after: float
    difference: Estimate
    p: float | None
    test: str

    @property
    def gain(self) -> float:
        """By how much it got better; negative where it got worse."""
        return self.difference.value if self.metric.higher else -self.difference.value


@dataclass(frozen=True, slots=True)
class Comparison:
    """All changes, and the questions whose outcome flipped, as `(before, after)`."""

    paired: int
    only_before: int
    only_after: int
    changes: tuple[Change, ...]
    better: tuple[Pair, ...]
    worse: tuple[Pair, ...]


def compare(before: Sequence[Result], after: Sequence[Result]) -> Comparison:
    """Pair two runs; raises `EvaluationError` where they share no question."""
    first = {(r.question.id, r.question.text): judged(r) for r in before}
    second = {(r.question.id, r.question.text): judged(r) for r in after}
    shared = [key for key in first if key in second]
    if not shared:
        raise EvaluationError("The runs have no question in common", "Compare runs of one set.")
    pairs = [(first[key], second[key]) for key in shared]
    return Comparison(
        paired=len(shared),
        only_before=len(first) - len(shared),
        only_after=len(second) - len(shared),
        changes=tuple(_changes(pairs)),
        better=tuple(pair for pair in pairs if _step(pair) > 0),
        worse=tuple(pair for pair in pairs if _step(pair) < 0),
    )


def _step(pair: Pair) -> int:
    """Return how many steps of good, fair and bad the outcome rose; 0 without a verdict."""
    ranks = [_RANK.get(OUTCOMES[r.outcome].verdict) for r in pair]
    if ranks[0] is None or ranks[1] is None:
        return 0
    return ranks[1] - ranks[0]


def _changes(pairs: Sequence[Pair]) -> Iterator[Change]:
    for metric in METRICS.values():
        change = _aurc(metric, pairs) if metric.statistic == "aurc" else _change(metric, pairs)
        if change is not None:
            yield change


def _change(metric: Metric, pairs: Sequence[Pair]) -> Change | None:
    key = metric.key
    both = [(a.scores[key], b.scores[key]) for a, b in pairs if key in a.scores and key in b.scores]
    if not both or metric.statistic == "max":
        return None
    old, new = zip(*both, strict=True)
    if metric.statistic == "mean":
        difference = statistics.mean([b - a for a, b in both])
        p, test = _tested(old, new)
        return Change(metric, float(np.mean(old)), float(np.mean(new)), difference, p, test)
    percent = float(metric.statistic[1:])

    def between(a: Sequence[float], b: Sequence[float]) -> float:
        return float(np.percentile(b, percent) - np.percentile(a, percent))

    at = [float(np.percentile(values, percent)) for values in (old, new)]
    return Change(metric, at[0], at[1], statistics.paired(between, old, new), None, "")


def _tested(old: Sequence[float], new: Sequence[float]) -> tuple[float, str]:
    """Test yes/no outcomes by McNemar's test and everything else by permutation."""
    if {*old, *new} <= {0.0, 1.0}:
        return statistics.mcnemar([v == 1 for v in old], [v == 1 for v in new]), "McNemar"
    return statistics.permutation(old, new), "permutation"


def _aurc(metric: Metric, pairs: Sequence[Pair]) -> Change | None:
    rows = [
        (a.reply.confidence, lost_a, b.reply.confidence, lost_b)
        for a, b in pairs
        if a.reply and b.reply
        if (lost_a := loss(a)) is not None and (lost_b := loss(b)) is not None
    ]
    if not rows:
        return None

    def between(*columns: Sequence[float]) -> float:
        return aurc(columns[2], columns[3]) - aurc(columns[0], columns[1])

    columns = list(zip(*rows, strict=True))
    before, after = aurc(columns[0], columns[1]), aurc(columns[2], columns[3])
    return Change(metric, before, after, statistics.paired(between, *columns), None, "")


def comparison_object(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as a plain object for JSON."""
    return {
        "paired": comparison.paired,
        "only_before": comparison.only_before,
        "only_after": comparison.only_after,
        "changes": {c.metric.name: _change_object(c) for c in comparison.changes},
        "better": [_flip_object(pair) for pair in comparison.better],
        "worse": [_flip_object(pair) for pair in comparison.worse],
    }


def _change_object(change: Change) -> dict[str, Any]:
    d = change.difference
    return {
        "before": change.before,
        "after": change.after,
        "difference": d.value,
        "low": d.low,
        "high": d.high,
        "n": d.n,
        "p": change.p,
        "test": change.test,
    }


def _flip_object(pair: Pair) -> dict[str, Any]:
    before, after = pair
    return {
        "id": before.question.id,
        "question": before.question.text,
        "before": {"outcome": before.outcome, "answer": before.reply and before.reply.text},
        "after": {"outcome": after.outcome, "answer": after.reply and after.reply.text},
    }
