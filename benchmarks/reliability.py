"""What was broken on purpose, and what survived: makes docs/reliability.md.

    python benchmarks/reliability.py SHARED [PART…] [--minutes 10] [--targets T…] [--only-write]

Parts (all by default): kills disk changing readers flips blowups searches offline long fuzz.
SHARED is a folder with xquad/xquad.en.half.json and seeds/. Faults are those of `tests/faults`;
`searches`, `offline` and `long` use the real models. What a part finds is kept in
docs/reliability.json with its date, and the tables are written from that. `fuzz` takes
`--minutes` of the processor for each of eight targets, adds them to those of before, and leaves
new seeds in tests/faults/seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
KEPT, TABLES = ROOT / "docs" / "reliability.json", ROOT / "docs" / "reliability.md"
COUNTS = {"kills": 200, "disk": 60, "changing": 40, "readers": 60, "flips": 400}
TARGETS = ("reading", "pdf", "language", "chunking", "citing", "questions", "manifest", "weights")
BIN = Path(sys.executable).parent
Found = dict[str, Any]


def fault(part: str) -> Found:
    """Run a program of `tests/faults` in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            f"faults.{part}",
            f"{folder}/world",
            str(COUNTS[part]),
            "7",
        ]
        return told(command)


def told(command: list[str], **env: str) -> Found:
    """Run a program in the tests' folder; return the JSON that it prints at the end."""
    ran = subprocess.run(
        command, cwd=TESTS, capture_output=True, text=True, check=False, env={**os.environ, **env}
    )
    if ran.returncode or not ran.stdout.strip():
        sys.exit(f"{' '.join(command)}\n{ran.stderr[-3000:]}")
    if ran.stderr.strip():
        print(ran.stderr[-1500:], file=sys.stderr)
    return dict(json.loads(ran.stdout.strip().splitlines()[-1]))


def searches(shared: Path) -> Found:
    """Twenty `ask --only-search` at once, and one alone; all must print the same."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store"
        subprocess.run([BIN / "rag", "index", "-q", "--store", store, shared / "seeds"], check=True)
        command = [BIN / "ask", "--only-search", "--store", store, "how many troops were sent?"]
        alone = subprocess.run(command, capture_output=True, check=True).stdout
        start = time.perf_counter()
        many = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(20)
        ]
        outputs = [process.communicate()[0] for process in many]
    same = sum(output == alone for output in outputs)
    seconds = round(time.perf_counter() - start, 1)
    return {"tried": len(many), "same": same, "lost": len(many) - same, "seconds": seconds}


def fuzz(minutes: float, targets: list[str]) -> Iterator[Found]:
    """Fuzz targets one after the other, so that each has a core; yield what is found so far."""
    for target in targets:
        seeds, seconds = TESTS / "faults" / "seeds" / target, round(60 * minutes)
        found = told([sys.executable, "-m", "faults.fuzz", target, str(seeds), str(seconds)])
        print(target, found, file=sys.stderr)
        before = kept().get("fuzz", {}).get("targets", {}).get(target, {})
        for name in ("minutes", "tried", "failed"):  # what was found before counts, too
            found[name] = round(found[name] + before.get(name, 0), 1)
        yield {"targets": {target: {**found, "on": today()}}}


def kept() -> Found:
    """Return what was found before."""
    return dict(json.loads(KEPT.read_text(encoding="utf-8"))) if KEPT.exists() else {}


def keep(name: str, found: Found) -> None:
    """Keep what a part found; other runs may have kept something meanwhile."""
    results = kept()
    if name == "fuzz":
        before = results.get(name, {}).get("targets", {})
        found = {"targets": {**before, **found["targets"]}}
    results[name] = {**found, "on": today()}
    KEPT.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def today() -> str:
    """Return the date."""
    return datetime.now(UTC).date().isoformat()


ROWS = {
    "kills": (
        "`kill -9` of `rag index` (new, add, change, delete) at random moments of its work",
        "tried",
    ),
    "disk": ("a full disk, and one that may not be written", "tried"),
    "changing": ("runs while documents are added, cut, grown, replaced and removed", "tried"),
    "readers": ("reads by four processes while an index is written", "reads"),
    "flips": ("one byte changed in an index, its pointer, an answer or a state", "tried"),
    "searches": ("`ask --only-search` twenty at a time", "tried"),
    "offline": ("commands with every socket blocked: index, search, ask, session, eval", "tried"),
}


def table(results: Mapping[str, Any]) -> str:
    """Write docs/reliability.md."""
    lines = [
        "# What was broken on purpose",
        "",
        "Made by `python benchmarks/reliability.py ../shared` from what it keeps in",
        "`reliability.json`; `tests/test_reliability.py` tries a few of the same faults each time.",
        "Lost: an answer from neither the whole old nor the whole new index, a complaint of `rag",
        "doctor`, something left over after the next run, a traceback, or a wrong answer.",
        "",
        "| fault | tried | survived | lost | more | on |",
        "|---|---|---|---|---|---|",
    ]
    for part, (name, counted) in ROWS.items():
        if part in results:
            found = results[part]
            tried, lost = found[counted], found["lost"]
            hidden = {counted, "lost", "on", "tried"}
            more = ", ".join(f"{key} {value}" for key, value in found.items() if key not in hidden)
            row = [name, f"{tried:,}", f"{tried - lost:,}", f"{lost:,}", more, found["on"]]
            lines.append(f"| {' | '.join(row)} |")
    lines += _blowups(results) + _long(results) + _fuzzed(results)
    return "\n".join(lines) + "\n"


def _blowups(results: Mapping[str, Any]) -> list[str]:
    if "blowups" not in results:
        return []
    lines = [
        "",
        f"**Documents made to be slow** ({results['blowups']['on']}): seconds to read, cut and",
        "index one of the size given and one of a tenth of it; growth is the ratio of the two, 10",
        "where time grows with size.",
        "",
        "| document | characters | a tenth, s | whole, s | growth |",
        "|---|---|---|---|---|",
    ]
    for name, (size, small, whole) in results["blowups"]["documents"].items():
        lines.append(f"| {name} | {size:,} | {small:.2f} | {whole:.2f} | {whole / small:.1f} |")
    return lines


def _long(results: Mapping[str, Any]) -> list[str]:
    if "long" not in results:
        return []
    found = results["long"]
    lines = [
        "",
        f"**Long runs** ({found['on']}): memory not of files and handles of one process, after",
        "a fifth of the questions and at the end.",
        "",
        "| run | questions | memory, MB | handles | answers changed |",
        "|---|---|---|---|---|",
    ]
    for name, row in found["runs"].items():
        first, last = row["memory"]
        grown = f"{first:.0f} → {last:.0f} ({100 * (last / first - 1):+.1f}%)"
        handles = "{} → {}".format(*row["handles"])
        changed = "not compared" if row["changed"] is None else row["changed"]
        lines.append(f"| {name} | {row['questions']} | {grown} | {handles} | {changed} |")
    return lines


def _fuzzed(results: Mapping[str, Any]) -> list[str]:
    if "fuzz" not in results:
        return []
    lines = [
        "",
        "**Fuzzing**, coverage-guided (atheris): a failure is any exception but the program's own",
        "errors, a broken promise of the target, more than 10 s, or more than 4 GB.",
        "",
        "| target | minutes of the processor | inputs | seeds kept | failures | on |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in results["fuzz"]["targets"].items():
        cells = [name, f"{row['minutes']:g}", f"{row['tried']:,}", row["seeds"], row["failed"]]
        lines.append(f"| {' | '.join(map(str, [*cells, row['on']]))} |")
    return lines


def main() -> None:
    """Run the parts that were named and write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--only-write", action="store_true")
    arguments = parser.parse_args()
    shared = arguments.shared.resolve()
    parts: dict[str, Callable[[], Found]] = {
        **{name: (lambda name=name: fault(name)) for name in COUNTS},
        "blowups": lambda: told([sys.executable, "-m", "faults.blowups"]),
        "searches": lambda: searches(shared),
        "offline": lambda: told([sys.executable, "-m", "faults.offline", str(ROOT / "seeds")]),
        "long": lambda: told([sys.executable, "-m", "faults.long", str(shared)]),
    }
    for name in () if arguments.only_write else arguments.parts or [*parts, "fuzz"]:
        start = time.perf_counter()
        if name == "fuzz":
            for found in fuzz(arguments.minutes, arguments.targets):
                keep(name, found)
        else:
            keep(name, parts[name]())
        print(name, kept()[name], f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    TABLES.write_text(table(kept()), encoding="utf-8")


if __name__ == "__main__":
    main()
