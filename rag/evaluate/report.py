"""A run as one HTML file that needs nothing else: no network, no library.

The page's frame, style and its few lines of script are in `report.html`; here are the
parts that depend on the run. Whatever comes from a document, a question or a model goes
through `formats.markup`. Reads no file but the template.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from rag.evaluate.catalogue import METRICS
from rag.evaluate.entries import entry
from rag.evaluate.figures import figures
from rag.evaluate.formats import interval, markup, number, with_unit
from rag.evaluate.results import Result
from rag.evaluate.scoring import OUTCOMES

HEADLINES = {
    "retrieval": ("recall@1", "ndcg@10", "evidence_shown", "search_seconds_p50"),
    "reading": (
        "right", "f1", "evidence_shown", "citation_recall", "false_refusals", "seconds_p50",
    ),
    "whole": (
        "right", "f1", "recall@1", "evidence_shown",
        "refusal_recall", "false_refusals", "aurc", "seconds_p50",
    ),
}  # fmt: skip
TITLES = {
    "recall@1": "right file first",
    "ndcg@10": "nDCG@10 by file",
    "evidence_shown": "answer is shown",
    "citation_recall": "right file cited",
    "right": "right answers",
    "refusal_recall": "unanswerable, refused",
    "false_refusals": "answerable, refused",
    "seconds_p50": "median time",
    "search_seconds_p50": "median search",
}


def render(
    results: Sequence[Result], summary: Mapping[str, Any], config: Mapping[str, Any], name: str
) -> str:
    """Return the page of judged results and their summary."""
    columns = _columns(summary)
    template = resources.files("rag.evaluate").joinpath("report.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        title=markup(name),
        subtitle=_subtitle(summary, config),
        cards=_cards(summary, str(config["level"])),
        strip=_strip(summary),
        figures="".join(
            f"<figure><figcaption>{f.title}</figcaption>{f.svg}<p>{f.reading}</p></figure>"
            for f in figures(results)
        ),
        tables=_tables(columns),
        width="wide" if len(columns) > 1 else "",
        filters=_filters(summary),
        entries="".join(entry(result) for result in results),
        config=markup(json.dumps(config, ensure_ascii=False, indent=1)),
    )


def _subtitle(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    files = ", ".join(
        dict.fromkeys(str(path).rsplit("/", 1)[-1] for path in config["files"].values())
    )
    parts = [
        f"{summary['questions']} questions ({summary['answerable']} answerable)",
        f"{config['documents']} documents",
        f"level: {config['level']}",
        files,
        str(config["embedder"]).partition("@")[0],
    ]
    if config["generator"]:
        parts.append(str(config["generator"]).partition("@")[0])
    return " · ".join(markup(part) for part in parts)


def _cards(summary: Mapping[str, Any], level: str) -> str:
    cards = []
    for name in HEADLINES[level]:
        row = summary["overall"].get(name)
        if row is None:
            continue
        metric = METRICS[name]
        bar = ""
        if metric.unit == "" and row["low"] is not None:
            low, high = 100 * row["low"], 100 * row["high"]
            bar = (
                f'<div class="range"><i style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
                f'<b style="left:{100 * row["value"]:.1f}%"></b></div>'
            )
        cards.append(
            f'<div class="card"><h3>{TITLES.get(name, metric.title)}</h3>'
            f'<p class="value">{with_unit(row["value"], metric.unit)}</p>{bar}'
            f'<p class="small">{interval(row, metric.unit)} <span>n = {row["n"]}</span></p></div>'
        )
    return "".join(cards)


def _strip(summary: Mapping[str, Any]) -> str:
    """Draw the outcomes as one bar."""
    parts = []
    for name, count in summary["outcomes"].items():
        outcome = OUTCOMES[name]
        parts.append(
            f'<i class="{name} {outcome.verdict}" style="flex-grow:{count}" '
            f'title="{outcome.title}: {count}"></i>'
        )
    return "".join(parts)


def _columns(summary: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the columns of the tables; one pair alone is the whole."""
    pairs = summary["pairs"] if len(summary["pairs"]) > 1 else {}
    return {"overall": summary["overall"], **pairs}


def _tables(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a table for each group of metrics, overall and by language pair."""
    rows: dict[str, list[str]] = {}
    for name, metric in METRICS.items():
        if any(name in column for column in columns.values()):
            cells = "".join(_cell(column.get(name), metric.unit) for column in columns.values())
            note = metric.unit or ("" if metric.higher else "lower is better")
            title = f"{metric.title} <small>({note})</small>" if note else metric.title
            row = f'<tr title="{name}"><th scope="row">{title}</th>{cells}</tr>'
            rows.setdefault(metric.group, []).append(row)
    head = "".join(f'<th scope="col">{markup(name)}</th>' for name in columns)
    head = f"<thead><tr><td></td>{head}</tr></thead>" if len(columns) > 1 else ""
    return "".join(
        f'<div class="table" tabindex="0"><h3>{group}</h3>'
        f"<table>{head}<tbody>{''.join(lines)}</tbody></table></div>"
        for group, lines in rows.items()
    )


def _cell(row: Mapping[str, Any] | None, unit: str) -> str:
    if row is None:
        return "<td>–</td>"
    value, n = number(row["value"], unit), row["n"]
    return f"<td>{value}<small>{interval(row, unit)}</small><small>n = {n}</small></td>"


def _filters(summary: Mapping[str, Any]) -> str:
    buttons = [
        f'<button type="button" data-outcome="" aria-pressed="true">all '
        f"<b>{summary['questions']}</b></button>"
    ]
    for name, count in summary["outcomes"].items():
        outcome = OUTCOMES[name]
        buttons.append(
            f'<button type="button" data-outcome="{name}" aria-pressed="false">'
            f'<i class="{name} {outcome.verdict}"></i>{outcome.title} <b>{count}</b></button>'
        )
    return "".join(buttons)
