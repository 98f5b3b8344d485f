"""The records of all peers to two Markdown tables: what it costs, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from judging import Record

QUALITY = {
    "right": "right",
    "exact": "exact match",
    "f1": "token F1",
    "citation_recall": "gold file cited",
    "citation_precision": "citation precision",
    "false_refusals": "answerable, refused",
    "refusal_recall": "unanswerable, refused",
}
COST = (
    "index, s", "cold: first words, s", "cold: whole answer, s", "warm: first words, s",
    "warm: whole answer, s", "peak while indexing, MB", "peak while asking, MB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A peer over a pair of languages."""

    title: str
    index: Sequence[Record]
    cold: Sequence[Record]
    warm: Sequence[Record]
    summary: Mapping[str, Any]


def cost(row: Row) -> list[str]:
    """Return the cells of what a peer took: medians, and peaks of memory."""
    return [
        _over(row.index, lambda r: r.seconds, max),
        _over(row.cold, lambda r: r.first_seconds, median),
        _over(row.cold, lambda r: r.seconds, median),
        _over(row.warm, lambda r: r.first_seconds, median),
        _over(row.warm, lambda r: r.seconds, median),
        _over(row.index, lambda r: r.peak_mb, max, "{:,.0f}"),
        _over([*row.cold, *row.warm], lambda r: r.peak_mb, max, "{:,.0f}"),
    ]


def _over(
    records: Sequence[Record],
    value: Callable[[Record], float | None],
    fold: Callable[[list[float]], float],
    form: str = "{:.1f}",
) -> str:
    values = [found for r in records if not r.why and (found := value(r)) is not None]
    return form.format(fold(values)) if values else "–"


def quality(row: Row) -> list[str]:
    """Return the cells of how good the answers are."""
    return [_share(row.summary["overall"].get(name)) for name in QUALITY]


def _share(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return "–"
    if value["low"] is None:
        return f"{value['value']:.2f}"
    return f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"


def failures(row: Row) -> str:
    """Say how many of a peer's measurements failed, and why the first did; '' for none."""
    failed = [r for r in (*row.index, *row.cold, *row.warm) if r.why]
    return f"{row.title}: {len(failed)} failed, first: {failed[0].why}" if failed else ""


def table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Write a Markdown table."""
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(c) + " |" for name, c in rows)])


def report(pair: str, rows: Sequence[Row]) -> str:
    """Write the tables of a pair."""
    counts = rows[0].summary
    told = [line for row in rows if (line := failures(row))]
    parts = [
        f"### {pair}: {counts['questions']} questions, {counts['answerable']} of them answerable",
        table(COST, [(row.title, cost(row)) for row in rows]),
        table(list(QUALITY.values()), [(row.title, quality(row)) for row in rows]),
        *told,
    ]
    return "\n\n".join(parts) + "\n"
