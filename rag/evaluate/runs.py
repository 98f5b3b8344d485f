"""Runs on disk: a folder for each, one line for each question, taken up after a crash.

    runs/20250813-101500-questions-whole/
        config.json       what was asked of what, with digests; the same means the same run
        environment.json  machine and versions, for the reader
        results.jsonl     one line a question, written as it finishes
        summary.json      the numbers; there only when the run is complete
        report.html       the same to look at

It knows no metric and no model.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rag.errors import EvaluationError
from rag.evaluate.results import Result, from_object, to_object

CONFIG, ENVIRONMENT, RESULTS = "config.json", "environment.json", "results.jsonl"
SUMMARY, REPORT, LOCK = "summary.json", "report.html", ".lock"
PACKAGES = ("rag-ask", "llama-cpp-python", "torch", "sentence-transformers", "faiss-cpu", "numpy")


class Run:
    """A run's folder; `results` are those of the questions that are done."""

    def __init__(self, folder: Path, config: Mapping[str, Any], results: Sequence[Result]) -> None:
        self.folder = folder
        self.config = config
        self.results = list(results)

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a run, finished or not; raises `EvaluationError` where it is none."""
        return cls(folder, _read_json(folder / CONFIG), _results(folder / RESULTS))

    @property
    def finished(self) -> bool:
        """Whether every question was asked."""
        return (self.folder / SUMMARY).is_file()

    def add(self, result: Result) -> None:
        """Append a question's line and bring it to the disk; raises OSError."""
        line = json.dumps(to_object(result), ensure_ascii=False)
        with (self.folder / RESULTS).open("a", encoding="utf-8", errors="surrogatepass") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.results.append(result)

    def finish(self, summary: Mapping[str, Any], report: str) -> None:
        """Write the report, then the summary, which says that the run is complete."""
        write_whole(self.folder / REPORT, report)
        write_whole(self.folder / SUMMARY, _pretty(summary))

    def summary(self) -> dict[str, Any]:
        """Read the summary; raises `EvaluationError` where the run has not finished."""
        if not self.finished:
            raise EvaluationError(
                f"{self.folder} has not finished", "Give its command again: it goes on from there."
            )
        return _read_json(self.folder / SUMMARY)


@contextmanager
def open_run(
    root: Path, name: str, config: Mapping[str, Any], *, fresh: bool = False
) -> Iterator[Run]:
    """Open the newest unfinished run of the same configuration, or a new one.

    The folder is locked meanwhile; one that another process works on is left alone.
    """
    run, lock = _unfinished(root, config) if not fresh else (None, None)
    if run is None or lock is None:
        run, lock = _new(root, name, config)
    try:
        yield run
    finally:
        lock.release()
        (run.folder / LOCK).unlink(missing_ok=True)


def _unfinished(root: Path, config: Mapping[str, Any]) -> tuple[Run, FileLock] | tuple[None, None]:
    folders = sorted(root.iterdir(), reverse=True) if root.is_dir() else []
    for folder in folders:
        if (folder / SUMMARY).exists() or not _same(folder / CONFIG, config):
            continue
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            _drop_torn_line(folder / RESULTS)
            return Run.load(folder), lock
        except BaseException:
            lock.release()
            raise
    return None, None


def _same(path: Path, config: Mapping[str, Any]) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")) == config)
    except (OSError, ValueError):
        return False  # no run's folder, or one that died at once


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line that was not written whole: its question is asked again."""
    if not path.is_file():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


def _new(root: Path, name: str, config: Mapping[str, Any]) -> tuple[Run, FileLock]:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    folder = root / f"{stamp}-{safe}"
    for again in range(2, 1000):
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder = root / f"{stamp}-{safe}-{again}"
    lock = FileLock(folder / LOCK)
    lock.acquire()
    write_whole(folder / ENVIRONMENT, _pretty(environment()))
    write_whole(folder / CONFIG, _pretty(config))
    return Run(folder, config, ()), lock


def environment() -> dict[str, str]:
    """Describe the machine and the versions that the numbers depend on."""
    versions = {name: _version(name) for name in PACKAGES}
    cores = str(os.cpu_count() or "")
    facts = {"python": platform.python_version(), "system": platform.platform(), "cores": cores}
    return facts | {"processor": _processor()} | versions


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a text file that is there whole or not at all; raises OSError."""
    half = path.with_name(f"{path.name}.new")
    with half.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def _pretty(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise EvaluationError(
            f"{path.parent} is no run's folder: it has no {path.name}", "Runs lie in runs/."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error


def _results(path: Path) -> list[Result]:
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="surrogatepass")
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            if line:
                found.append(from_object(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvaluationError(
                f"{path}, line {number} is damaged ({error})", "Start anew with --fresh."
            ) from error
    return found
