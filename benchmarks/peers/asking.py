"""The driver's side of the conversation with a peer: `serving.py` has the other.

All times are taken here: from the start of the process, or from the moment a question is
written, to the moment a line arrives.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

LINES = {"indexed", "loaded", "first", "answer", "failed"}


class PeerError(Exception):
    """A peer failed, fell silent or said what is no line of the conversation."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A line of a peer, and when it came (`time.perf_counter`)."""

    at: float
    said: str
    more: Mapping[str, Any]


def parse(line: str, at: float) -> Heard:
    """Read a line; raises `PeerError` for one that is none of the conversation."""
    try:
        value = json.loads(line)
        said = value.pop("said")
    except (ValueError, AttributeError, KeyError, TypeError):
        said, value = None, {}
    if said not in LINES:
        raise PeerError(f"this is no line of the conversation: {line.strip()[:80]!r}")
    if said == "failed":
        raise PeerError(str(value.get("why", "it does not say why")))
    return Heard(at, said, value)


class Conversation:
    """A peer's process. `started` is when it was started; leaving the context ends it."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, patience: float
    ) -> None:
        self._patience = patience
        self._log = log.open("ab")
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        self._lines: queue.Queue[tuple[float, bytes]] = queue.Queue()
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), daemon=True
        )
        self._reader.start()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                self._lines.put((time.perf_counter(), line))
        self._lines.put((time.perf_counter(), b""))

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        if error is not None:
            self._process.kill()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._log.close()

    def order(self, do: str, **more: str) -> float:
        """Send an order; return when."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerError(f"it ended early; see {self._log.name}") from error
        return time.perf_counter()

    def hear(self, said: str) -> Heard:
        """Wait for this line; raises `PeerError` for any other, for silence and for an end."""
        heard = self._hear()
        if heard.said != said:
            raise PeerError(f"it said {heard.said!r} where {said!r} was due")
        return heard

    def hear_answer(self) -> tuple[float, Heard]:
        """Wait for an answer; return when its first words came, and the answer."""
        heard = self._hear()
        if heard.said == "answer":  # an empty one
            return heard.at, heard
        if heard.said != "first":
            raise PeerError(f"it said {heard.said!r} where an answer was due")
        return heard.at, self.hear("answer")

    def _hear(self) -> Heard:
        try:
            at, line = self._lines.get(timeout=self._patience)
        except queue.Empty as error:
            raise PeerError(f"nothing was heard for {self._patience:.0f} s") from error
        if not line:
            raise PeerError(f"it ended early; see {self._log.name}")
        return parse(line.decode("utf-8", "replace"), at)
