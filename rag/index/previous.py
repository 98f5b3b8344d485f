"""The generation in use, as far as making the next one needs it: names, digests, vectors.

Opening it reads neither texts nor vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from rag.datatypes import Manifest
from rag.index import store as disk
from rag.index.database import Database
from rag.index.draft import TABLES, TEXT, load_vectors
from rag.index.vectors import SearchedVectors, Vectors
from rag.index.verifying import Trust


class Previous:
    """The generation that is about to be replaced."""

    def __init__(self, store: Path, folder: Path, manifest: Manifest, text: Database) -> None:
        self.folder = folder
        self.manifest = manifest
        self.text = text
        self._store = store

    @classmethod
    def open(cls, store: Path, *, unverified: bool = False) -> Previous:
        """Open the generation in use; files that look unchanged are trusted.

        `unverified` opens what is known to be damaged, for what can still be read. Raises
        `StoreMissing`, `StoreCorrupt` or `StoreMismatch`.
        """

        def opened() -> Previous:
            trust: Trust = "blindly" if unverified else "always"
            folder, manifest = disk.current(store, trust=trust)
            return cls(store, folder, manifest, Database.open(folder / TEXT))

        return disk.settled(store, opened)

    def verify(self, *, trust: Trust = "large") -> None:
        """Check every file as an index does before it is used; raises `StoreCorrupt`."""
        disk.current(self._store, trust=trust)

    def check(self, embedder: str, chunking: str) -> None:
        """Raise `StoreMismatch` unless it was made with these."""
        disk.check(self.manifest, embedder, chunking)

    def known(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Return the vectors that there are for texts of those names (`key_of`)."""
        found: dict[bytes, Vectors] = {}
        for table, index in self._vectors.items():
            rows = self.text.rows_of(table, [key for key in keys if key not in found])
            found.update(zip(rows, index.vectors(list(rows.values())), strict=True))
        return found

    @cached_property
    def _vectors(self) -> dict[str, SearchedVectors]:
        return {table: load_vectors(self.folder, table) for table in TABLES}

    def close(self) -> None:
        """Close the database file."""
        self.text.close()
