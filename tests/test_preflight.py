"""A fresh machine that lacks something is told in one line what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "preflight.sh"

# A python that answers as the real one would, but for what a test takes away.
FAKE = """#!/bin/sh
case "$*" in
    *"sys.version_info"*) exit {old} ;;
    *"ensurepip"*) exit {venv} ;;
    --version) echo "Python 3.9.2" ;;
esac
"""


def run(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(SCRIPT), str(folder / "venv")],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHON": sys.executable, **env},
        capture_output=True,
        text=True,
    )


def fake_python(folder: Path, *, old: int = 0, venv: int = 0) -> str:
    path = folder / "python"
    path.write_text(FAKE.format(old=old, venv=venv), encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    for part in parts:
        assert part in done.stderr


def test_no_python(tmp_path: Path) -> None:
    one_line(run(tmp_path, PYTHON="python9"), "no python9", "apt-get install python3")


def test_old_python(tmp_path: Path) -> None:
    one_line(run(tmp_path, PYTHON=fake_python(tmp_path, old=1)), "Python 3.9.2 is too old", "3.11")


def test_no_venv(tmp_path: Path) -> None:
    done = run(tmp_path, PYTHON=fake_python(tmp_path, venv=1))
    one_line(done, "venv", "apt-get install python3-venv")


def test_no_compiler(tmp_path: Path) -> None:
    one_line(run(tmp_path, CXX="no-such-c++"), "compiler", "apt-get install build-essential")


def test_no_room(tmp_path: Path) -> None:
    done = run(tmp_path, RAG_NEEDS_GB="999999999", CXX="true", CC="true")
    one_line(done, "GB free", "999999999 GB are needed")


def test_nothing_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path, RAG_NEEDS_GB="0", CXX="true", CC="true")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("question", ["", None])
def test_make_ask_without_a_question(question: str | None) -> None:
    if not (ROOT / ".venv" / ".run").exists():
        pytest.skip("make has not installed the project here")
    words = ["make", "ask"] + ([] if question is None else [f"Q={question}"])
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert 'Run: make ask Q="how many troops were sent?"' in done.stderr
