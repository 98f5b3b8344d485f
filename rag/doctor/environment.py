"""Python, the packages, the native libraries, and room on the disk."""

from __future__ import annotations

import importlib
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from rag.doctor.finding import Finding, is_there
from rag.errors import REINSTALL
from rag.settings import Settings

PACKAGE = "rag-ask"
# Libraries with compiled parts: that they are installed does not say that they load.
NATIVE = ("llama_cpp", "faiss", "sentencepiece", "marisa_trie", "numpy")
# An index in the making needs some room beside the one in use.
ROOM = 500_000_000


def examine_environment(settings: Settings) -> Iterator[Finding]:
    """Look at what the program runs on."""
    yield from _packages()
    yield from _libraries()
    for folder in sorted({settings.store, settings.models}):
        yield from _room(folder)


def _packages() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    try:
        wanted = [Requirement(line) for line in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:
        yield Finding("environment", "warning", f"{PACKAGE} is not installed, only run", REINSTALL)
        return
    wrong = []
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} is {found}, not {requirement.specifier}")
    for what in wrong:
        yield Finding("environment", "broken", what, REINSTALL)
    if not wrong:
        own = metadata.version(PACKAGE)
        yield Finding("environment", "sound", f"{PACKAGE} {own} on Python {python}, its packages")


def _libraries() -> Iterator[Finding]:
    broken = False
    for name in NATIVE:
        try:
            importlib.import_module(name)
        except (ImportError, OSError, RuntimeError) as error:
            broken = True
            # The library's name on PyPI is not that of its module.
            yield Finding("environment", "broken", f"{name} does not load: {error}", REINSTALL)
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE words USING fts5(body)")
    except sqlite3.OperationalError as error:
        broken = True
        yield Finding(
            "environment",
            "broken",
            f"The SQLite {sqlite3.sqlite_version} of this Python has no full text search: {error}",
            "Use a Python whose SQLite was built with FTS5.",
        )
    finally:
        db.close()
    if not broken:
        yield Finding("environment", "sound", f"native libraries: {', '.join(NATIVE)}, SQLite FTS5")


def _room(folder: Path) -> Iterator[Finding]:
    there = next(path for path in (folder, *folder.absolute().parents) if is_there(path))
    free = shutil.disk_usage(there).free
    if free < ROOM:
        what = f"The disk that holds {folder} has only {free / 1e6:.0f} MB free"
        yield Finding("environment", "warning", what, "Make room before the next rag index.")
