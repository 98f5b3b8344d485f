"""What is measured: every metric's name, group, direction and meaning.

One list for the table, the report, the comparison and the thresholds. It computes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag.errors import UsageError

Statistic = Literal["mean", "p50", "p95", "max", "aurc"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of the summary.

    `key` names the score of a question that it sums up by `statistic`; `higher` says
    which way is better; `unit` is empty for shares, which lie in [0, 1].
    """

    name: str
    group: str
    title: str
    key: str
    statistic: Statistic = "mean"
    higher: bool = True
    unit: str = ""


def _retrieval() -> list[Metric]:
    ranks = {f"recall@{k}": f"recall@{k}" for k in (1, 3, 5, 10)}
    ranks |= {"mrr": "MRR", "ndcg@10": "nDCG@10"}
    documents = [Metric(n, "documents found", t, n) for n, t in ranks.items()]
    evidence = [
        Metric(f"evidence_{n}", "evidence found", t, f"evidence_{n}") for n, t in ranks.items()
    ]
    shown = Metric("evidence_shown", "evidence found", "answer is shown", "evidence_shown")
    return [*documents, *evidence, shown]


def _cost() -> list[Metric]:
    group = "cost"
    times = {"first_seconds": "first words", "seconds": "whole", "search_seconds": "search"}
    found = [
        Metric(f"{key}_{s}", group, f"{title}, {s}", key, s, higher=False, unit="s")
        for key, title in times.items()
        for s in ("p50", "p95")
    ]
    found += [
        Metric(key, group, title, key, higher=False, unit="tokens")
        for key, title in (("prompt_tokens", "prompt"), ("generated_tokens", "generated"))
    ]
    return [*found, Metric("memory_mb", group, "peak memory", "memory_mb", "max", False, "MB")]


METRICS = {
    m.name: m
    for m in (
        *_retrieval(),
        Metric("right", "answers", "right", "right"),
        Metric("claim_precision", "answers", "claims right", "claim_precision"),
        Metric("f1", "answers", "token F1", "f1"),
        Metric("exact", "answers", "exact match", "exact"),
        Metric("contains", "answers", "contains gold", "contains"),
        Metric("gold_shown", "answers", "gold in answer or quote", "gold_shown"),
        Metric("squad2_f1", "answers", "F1 with refusals (SQuAD 2.0)", "squad2_f1"),
        Metric("asker_language", "answers", "in the asker's language", "asker_language"),
        Metric("cited", "citations", "answers with a quote", "cited"),
        Metric("quotes_exact", "citations", "quotes exact", "quotes_exact"),
        Metric("citation_precision", "citations", "precision by file", "citation_precision"),
        Metric("citation_recall", "citations", "recall by file", "citation_recall"),
        Metric("refusal_precision", "refusals", "precision", "refusal_precision"),
        Metric("refusal_recall", "refusals", "recall", "refusal_recall"),
        Metric("false_refusals", "refusals", "false refusals", "false_refusals", higher=False),
        Metric("aurc", "refusals", "AURC", "loss", "aurc", higher=False),
        *_cost(),
    )
}


def metric(name: str) -> Metric:
    """Return the metric of that name; raises `UsageError` listing all."""
    if name not in METRICS:
        raise UsageError(f"There is no metric {name!r}", f"Known: {', '.join(METRICS)}.")
    return METRICS[name]
