"""Limits that a run must keep, for CI: `metric=value` from the command line, and checks.

Knows no display: it says in a line what was broken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rag.errors import UsageError
from rag.evaluate.catalogue import metric
from rag.evaluate.compare import Comparison


def limits(given: Sequence[str]) -> dict[str, float]:
    """Read `metric=value` texts; raises `UsageError` naming what is wrong."""
    found: dict[str, float] = {}
    for text in given:
        name, sign, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not sign or not math.isfinite(value):
            raise UsageError(f"{text!r} is not of the form metric=value", "Such as f1=0.5")
        found[metric(name.strip()).name] = value
    return found


def broken(
    summary: Mapping[str, Any], least: Mapping[str, float], most: Mapping[str, float]
) -> list[str]:
    """Say which metrics of a summary lie below their least or above their most value.

    A metric that was not measured breaks its limit: what is not looked at is not good.
    """
    lines = []
    for word, bounds in (("under", least), ("over", most)):
        for name, bound in bounds.items():
            lines += _outside(summary, name, bound, word)
    return lines


def _outside(summary: Mapping[str, Any], name: str, bound: float, word: str) -> list[str]:
    row = summary["overall"].get(name)
    if row is None:
        return [f"{name} was not measured, so it is not known to keep {bound:g}"]
    value = row["value"]
    if value < bound if word == "under" else value > bound:
        return [f"{name} is {value:.4g}, {word} {bound:g}"]
    return []


def regressions(comparison: Comparison, allowed: Mapping[str, float]) -> list[str]:
    """Say which metrics got worse by more than is allowed for them."""
    changes = {change.metric.name: change for change in comparison.changes}
    lines = []
    for name, most in allowed.items():
        if name not in changes:
            lines.append(f"{name} was not measured in both runs")
        elif -changes[name].gain > most:
            change = changes[name]
            lines.append(
                f"{name} went from {change.before:.4g} to {change.after:.4g}, "
                f"worse by more than {most:g}"
            )
    return lines
