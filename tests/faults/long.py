"""Five hundred questions in one session, and in one evaluation: python -m faults.long SHARED.

Hindi over Hindi, every tenth question in English, so that the generator translates. Memory that
is not of files, and open handles, are those of the process after a fifth of the questions and
at its end. The first questions are asked again at the end, anew: their answers must be the same.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

QUESTIONS, AGAIN, WARM = 500, 20, 100
Seen = tuple[float, int]


def seen(process: int | str = "self") -> Seen:
    """Return the megabytes of a process that are not of files, and its open handles."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"RssAnon:\s*(\d+)", status)
    return int(found[1]) / 1024 if found else 0, len(list(Path(f"/proc/{process}/fd").iterdir()))


def asked(shared: Path) -> list[str]:
    """Return the questions."""
    found = []
    for language in ("hi", "en"):
        path = shared / "xquad" / f"xquad.{language}.half.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        paragraphs = [p for article in value["data"] for p in article["paragraphs"]]
        found.append([qa["question"] for p in paragraphs for qa in p["qas"]])
    return [found[number % 10 == 9][number] for number in range(QUESTIONS)]


def paragraphs(shared: Path, folder: Path) -> None:
    """Write the Hindi paragraphs as files."""
    folder.mkdir()
    value = json.loads((shared / "xquad" / "xquad.hi.half.json").read_text(encoding="utf-8"))
    texts = [p["context"] for article in value["data"] for p in article["paragraphs"]]
    for number, text in enumerate(texts):
        (folder / f"{number:03}.txt").write_text(text, encoding="utf-8")


def session(shared: Path, folder: Path) -> dict[str, Any]:
    """Ask in one interactive session."""
    from rag.display import Display
    from rag.models import SilentProgress
    from rag.repl import Repl
    from rag.session import Session
    from rag.settings import Settings

    settings = Settings.load({"store": folder / "store", "documents": folder / "d"})
    talk = Session(settings, SilentProgress())
    talk.index_documents([folder / "d"])
    looks: list[Seen] = []

    def typed(lines: Sequence[str]) -> Iterator[str]:
        for number, line in enumerate(lines):
            if number in (WARM, len(lines) - 1):
                looks.append(seen())
            yield line

    lines = typed(asked(shared))

    def read(_: str) -> str:
        line = next(lines, None)
        if line is None:
            raise EOFError
        return line

    repl = Repl(talk, Display(quiet=True), read)
    repl.run()
    first = repl._talk.turns[:AGAIN]
    again = [talk.ask(turn.understood.text, fresh=True) for turn in first]
    changed = sum(
        one.answer is None or one.answer.text != other.text
        for one, other in zip(first, again, strict=True)
    )
    return row(looks, changed)


def evaluation(shared: Path, folder: Path) -> dict[str, Any]:
    """Run `rag eval` and look at it from outside."""
    sets = shared / "xquad"
    command = [
        str(Path(sys.executable).parent / "rag"), "eval", "run", str(sets / "xquad.hi.half.json"),
        "--limit", str(QUESTIONS), "--runs", str(folder / "runs"), "--quiet", "--fresh",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    warm, last = None, (0.0, 0)
    while process.poll() is None:
        time.sleep(0.25)
        done = [f for f in (folder / "runs").rglob("*.jsonl") if f.is_file()]
        count = max((f.read_bytes().count(b"\n") for f in done), default=0)
        try:
            look = seen(process.pid)
        except OSError:
            break
        if WARM <= count < QUESTIONS and look[0]:  # behind the last it sums up, which takes more
            last = look
        if count >= WARM and warm is None:
            warm = look
    if process.wait():
        raise SystemExit(f"rag eval ended with {process.returncode}")
    return row([warm or last, last], None)


def row(looks: Sequence[Seen], changed: int | None) -> dict[str, Any]:
    """Return a row of the table."""
    memory, handles = zip(*looks, strict=True)
    return {"questions": QUESTIONS, "memory": memory, "handles": handles, "changed": changed}


def main(shared: Path) -> dict[str, Any]:
    """Run both."""
    with tempfile.TemporaryDirectory() as folder:
        paragraphs(shared, Path(folder) / "d")
        command = [sys.executable, "-m", "faults.long", str(shared), folder]
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        runs = {"one session": json.loads(ran.stdout.splitlines()[-1])}
        runs["one rag eval"] = evaluation(shared, Path(folder))
    return {"runs": runs, "lost": sum(r["changed"] or 0 for r in runs.values())}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(session(Path(sys.argv[1]), Path(sys.argv[2]))))
    else:
        print(json.dumps(main(Path(sys.argv[1]))))
