"""Every command with every socket blocked: python -m faults.offline SEEDS [COMMAND…].

Without a command it runs all of them on the real models and prints what it found; with one it
is that command, in a process that has no network (where the system can take it away) and in
which looking up a host or opening a socket, but one between processes, is written down and fails.
"""

from __future__ import annotations

import ctypes
import json
import os
import pty
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

LOG = "RAG_FAULTS_LOG"
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


def without_network() -> bool:
    """Take the network away from this process; return whether the system did."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(_NEW_NETWORK | (_NEW_USER if os.getuid() else 0)) == 0


def block(log: Path) -> None:
    """Let every attempt at the network fail and be written down."""

    class Blocked(socket.socket):
        def __init__(self, family: int = -1, *rest: object, **more: object) -> None:
            if family not in (socket.AF_UNIX,):
                refuse(f"socket of family {family}")
            super().__init__(family, *rest, **more)

    def refuse(what: object, *_: object, **__: object) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")
        raise OSError(f"the network is blocked: {what}")

    socket.socket = Blocked
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        setattr(socket, name, lambda *a, name=name, **k: refuse(f"{name}{a}"))


def command(words: list[str]) -> None:
    """Be `ask` or `rag` without a network."""
    taken = without_network()
    block(Path(os.environ[LOG]))
    if not taken:
        print("the network could only be blocked in Python", file=sys.stderr)
    from rag.cli import ask_main, rag_main

    sys.argv = words
    {"ask": ask_main, "rag": rag_main}[words[0]]()


def started(words: list[str], log: Path, **streams: Any) -> subprocess.Popen[str]:
    """Begin a command without a network."""
    command_line = [sys.executable, "-m", "faults.offline", "-", *words]
    env = {**os.environ, LOG: str(log), "TERM": "xterm"}
    return subprocess.Popen(command_line, text=True, env=env, **streams)


def fine(words: list[str], typed: str, log: Path) -> bool:
    """Run a command to its end; return whether it was well."""
    pipe = subprocess.PIPE
    process = started(words, log, stdin=pipe, stdout=pipe, stderr=pipe)
    _, errors = process.communicate(typed)
    if process.returncode:
        print(words, process.returncode, errors[-500:], file=sys.stderr)
    return not process.returncode


def session(words: list[str], lines: list[str], log: Path) -> bool:
    """Type all lines ahead into a session on a terminal; return whether it ended well."""
    master, slave = pty.openpty()
    process = started(words, log, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, "".join(f"{line}\r" for line in lines).encode())
    shown = b""
    with suppress(OSError):  # the other end is closed
        while more := os.read(master, 65536):
            shown += more
    os.close(master)
    if process.wait() or b"[1]" not in shown:
        print(words, process.returncode, shown[-500:], file=sys.stderr)
        return False
    return True


def main(seeds: Path) -> dict[str, int]:
    """Run all commands; an attempt at the network or a failure is lost."""
    with tempfile.TemporaryDirectory() as folder:
        log, store = Path(folder) / "log", ["--store", f"{folder}/store"]
        questions = Path(folder) / "questions.jsonl"
        lines = (seeds / "questions.jsonl").read_text(encoding="utf-8").splitlines()[:4]
        questions.write_text("\n".join(lines) + "\n", encoding="utf-8")
        asked = "how many troops were sent?"
        commands = [
            (["rag", "index", "--rebuild", *store, str(seeds)], ""),
            (["rag", "search", *store, asked], ""),
            (["ask", "--only-search", *store, asked], ""),
            (["rag", "models", "list"], ""),
            (["ask", "--fresh", *store, asked], ""),
            (["ask", "--fresh", *store, "Where was Putin going to meet Trump?"], ""),
            (["ask", *store, "-"], f"{asked}\nWho is the king of France?\n"),
            (["ask", "--docs", str(seeds), asked], ""),
            (["rag", "eval", "run", *store, "--runs", f"{folder}/runs", str(questions)], ""),
            (["rag", "info", *store], ""),
            (["rag", "doctor", *store], ""),
            (["rag", "models", "verify"], ""),
        ]
        lost = 0
        for words, typed in commands:
            lost += not fine(words, typed, log)
        lost += not session(["ask", *store], ["who sent troops?", ":why", ":quit"], log)
        attempts = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        for line in attempts:
            print(line, file=sys.stderr)
        return {"tried": len(commands) + 1, "attempts at the network": len(attempts), "lost": lost}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        command(sys.argv[2:])
    else:
        print(json.dumps(main(Path(sys.argv[1]))))
