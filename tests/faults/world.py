"""Documents that change, an index of them, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from conftest import FakeEmbedder

from rag.doctor.store import examine_index
from rag.errors import StoreMissing
from rag.index import Index, leftovers
from rag.ingest import Report, index_documents
from rag.models import SilentProgress
from rag.settings import Settings

Contents = Mapping[str, str]
"""Digests of documents by name."""

OPERATIONS = ("new", "add", "change", "delete")
SUBJECTS = ("सैनिक", "river", "школа", "مدرسة", "dam", "城市", "report", "ทหาร")


@dataclass(frozen=True)
class World:
    """A folder of documents and the settings of their index."""

    documents: Path
    settings: Settings
    subjects: Sequence[str] = SUBJECTS

    @classmethod
    def make(
        cls, folder: Path, store: Path | None = None, subjects: Sequence[str] = SUBJECTS
    ) -> World:
        """Make one with twenty documents and no index."""
        documents = folder / "documents"
        documents.mkdir(parents=True)
        settings = Settings(
            store=store or folder / "store", documents=documents, models=folder, offline=True
        )
        world = cls(documents, settings, subjects)
        for number in range(20):
            world.write(f"{number:03}.txt", random.Random(number))
        return world

    def write(self, name: str, drawn: random.Random) -> None:
        """Write a document with sentences of its own."""
        lines = [
            f"{drawn.choice(self.subjects)} {drawn.choice(self.subjects)} number "
            f"{drawn.randrange(10**6)} here."
            for _ in range(drawn.randrange(3, 30))
        ]
        (self.documents / name).write_text("\n".join(lines), encoding="utf-8")

    def edit(self, operation: str, drawn: random.Random) -> None:
        """Add, change or delete some documents; `new` loses the index instead."""
        names = sorted(path.name for path in self.documents.iterdir())
        some = drawn.sample(names, min(len(names), drawn.randrange(1, 6)))
        if operation == "new":
            shutil.rmtree(self.settings.store, ignore_errors=True)
        elif operation == "add":
            for _ in range(drawn.randrange(1, 8)):
                self.write(f"{drawn.randrange(10**6):06}.txt", drawn)
        elif operation == "change":
            for name in some:
                self.write(name, drawn)
        elif len(names) > 10:
            for name in some:
                (self.documents / name).unlink()

    def there(self) -> Contents:
        """Return what lies in the folder."""
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.documents.iterdir()
        }

    def index(self) -> Report:
        """Bring the index in line with the folder."""
        return index_documents([self.documents], self.settings, FakeEmbedder(), SilentProgress())

    def indexed(self) -> Contents | None:
        """Return what the index holds, each text checked by its digest; `None` without one."""
        try:
            index = Index.load(self.settings.store)
        except StoreMissing:
            return None
        found = {}
        vector = np.asarray(FakeEmbedder().embed_queries(["river number here"])[0])
        try:
            for document, _ in index.text.each_document():
                digest = hashlib.sha256(document.text.encode()).hexdigest()
                if digest != document.id:
                    raise AssertionError(f"{document.path} is torn")
                found[document.path] = document.id
            for chunk, _ in index.search_chunks(vector, 5):
                index.text.chunk(chunk)
            index.search_sentences(vector, 5)
        finally:
            index.close()
        return found

    def broken(self) -> list[str]:
        """Return what the doctor calls broken."""
        found = examine_index(self.settings, SilentProgress())
        return [finding.what for finding in found if finding.gravity == "broken"]

    def left(self) -> list[str]:
        """Return the names of what an index does not need."""
        return [path.name for path in leftovers(self.settings.store)]


def report(main: Callable[[Path, int, int], object]) -> None:
    """Be a program: FOLDER COUNT SEED."""
    folder, count, seed = sys.argv[1:]
    print(json.dumps(main(Path(folder), int(count), int(seed))))


def killed(work: Callable[[], Any], seconds: float) -> bool:
    """Do something in a process of its own and kill it; return whether it was still at it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the work failed by itself")
    return os.WIFSIGNALED(status)
