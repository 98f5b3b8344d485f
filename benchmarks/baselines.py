"""Makes the tables of our baselines: python benchmarks/baselines.py XQUAD [GROUP …].

Groups: retrieval, reading, whole, seeds; all of them without a name. Each run is one
`rag eval` (printed, so that it can be given by hand), kept in runs/; interrupted, it goes
on when given again. Prints Markdown. XQUAD is a folder with xquad.{hi,en}.{half,test}.json.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAIRS = ("hi→hi", "en→hi", "en→en")
SAMPLE = ("--seed", "1", "--unanswerable", "0.2")
SHOWN = {
    "retrieval": ("recall@1", "recall@5", "ndcg@10", "evidence_recall@1", "evidence_shown"),
    "reading": (
        "right", "f1", "exact", "evidence_shown", "false_refusals", "refusal_recall", "seconds_p50",
    ),
    "whole": (
        "right", "f1", "exact", "gold_shown", "recall@1", "citation_precision", "quotes_exact",
        "false_refusals", "refusal_recall", "aurc", "seconds_p50", "seconds_p95",
    ),
}  # fmt: skip


def commands(xquad: Path) -> dict[str, dict[str, list[str]]]:
    """Return the arguments of each run, by group and row."""

    def over(pair: str, part: str) -> list[str]:
        asked, read = pair.split("→")
        args = [str(xquad / f"xquad.{read}.{part}.json")]
        if asked != read:
            args += ["--questions-from", str(xquad / f"xquad.{asked}.{part}.json")]
        if part != "half":
            args += ["--docs", str(xquad / f"xquad.{read}.half.json")]
        return args

    return {
        "retrieval": {p: [*over(p, "half"), "--only", "retrieval"] for p in PAIRS},
        "reading": {p: [*over(p, "test"), "--only", "reading", *SAMPLE] for p in PAIRS},
        "whole": {p: [*over(p, "test"), *SAMPLE] for p in PAIRS},
        "seeds": {
            "seeds": [str(ROOT / "seeds/questions.jsonl"), "--docs", str(ROOT / "seeds")],
        },
    }


def run(group: str, row: str, args: list[str]) -> dict[str, Any]:
    """Run one evaluation and return its summary."""
    name = f"{group}-{row}".replace("→", "-")
    command = ["rag", "eval", *args, "--name", name, "--json"]
    print(f"$ {shlex.join(command)}", file=sys.stderr, flush=True)
    rag = str(Path(sys.executable).with_name("rag"))
    done = subprocess.run([rag, *command[1:]], check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def cell(row: dict[str, Any] | None) -> str:
    """Write a value with its interval and size."""
    if row is None:
        return "–"
    if row["low"] is None:
        return f"{row['value']:.3f} ({row['n']})"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] ({row['n']})"


def table(title: str, shown: tuple[str, ...], rows: dict[str, dict[str, Any]]) -> str:
    """Write a Markdown table: a column for each metric."""
    lines = [f"### {title}: value [95% interval] (n)", "", "| | " + " | ".join(shown) + " |"]
    lines.append("|---|" + "---|" * len(shown))
    for row, summary in rows.items():
        cells = " | ".join(cell(summary["overall"].get(name)) for name in shown)
        lines.append(f"| {row} | {cells} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Run the groups that were named."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    groups = commands(Path(sys.argv[1]))
    for group in sys.argv[2:] or groups:
        rows = {row: run(group, row, args) for row, args in groups[group].items()}
        for summary in list(rows.values()) if group == "seeds" else []:
            rows |= {pair: {"overall": part} for pair, part in summary["pairs"].items()}
        print(table(group, SHOWN.get(group, SHOWN["whole"]), rows), flush=True)


if __name__ == "__main__":
    main()
