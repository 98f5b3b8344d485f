"""A generation in the making: the old one's files copied, then removed from and added to.

What an update costs is copying files; nothing that stays is read, embedded or indexed
again. The old generation is only read. The order is: `remove`, `move`, `add`, `settle`,
then vectors for all that is `pending`, then `finish`. Knows no embedder and no pointer.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from rag.boilerplate import boilerplate
from rag.index import quantised, stored, vectors
from rag.index.entries import Entry, Part
from rag.index.quantised import QuantisedVectors
from rag.index.rows import CHUNKS, SENTENCES, Gone, Pending, Rows, packed
from rag.index.stored import VectorFile
from rag.index.vectors import SearchedVectors, VectorIndex, Vectors

TEXT = "text.sqlite"
TABLES = (CHUNKS, SENTENCES)
# Removed vectors keep their place in the file until they are this share of it.
_GAPS = 0.25


def index_file(folder: Path, name: str) -> Path:
    """Return the FAISS file of `chunks` or `sentences`."""
    return folder / f"{name}.faiss"


def load_vectors(folder: Path, name: str) -> SearchedVectors:
    """Open the vectors of `chunks` or `sentences`; raises `StoreCorrupt` and OSError."""
    if stored.vector_file(folder, name).exists():
        return QuantisedVectors.load(folder, name)
    return VectorIndex.load(index_file(folder, name))


class Draft:
    """A new generation in a folder, made from the one in another folder or from nothing.

    Methods raise OSError where the disk fails.
    """

    def __init__(self, folder: Path, old: Path | None, dimension: int) -> None:
        if old is not None:
            shutil.copyfile(old / TEXT, folder / TEXT)
        # On a full disk each of these may fail, and the others must not stay open.
        with ExitStack() as undo:
            self._rows = undo.enter_context(closing(Rows.open(folder / TEXT)))
            self._vectors = {
                name: undo.enter_context(closing(VectorDraft(folder, name, dimension, old)))
                for name in TABLES
            }
            undo.pop_all()

    def remove(self, paths: Collection[str]) -> None:
        """Forget the documents of those names."""
        self._forget(self._rows.remove(paths))

    def move(self, sources: Mapping[str, str]) -> None:
        """Write down where documents, by name, lie now."""
        self._rows.move(sources)

    def add(self, part: Part) -> None:
        """Take in a document; its vectors come later."""
        self._rows.add(part)

    def add_entry(self, entry: Entry) -> None:
        """Take in a document with its vectors."""
        chunks, sentences = self._rows.add(entry.part, entry.boilerplate)
        self._vectors[CHUNKS].append(chunks, entry.chunk_vectors)
        self._vectors[SENTENCES].append(sentences, entry.sentence_vectors)

    def settle(self) -> None:
        """Decide what is boilerplate, now that all documents are there.

        It is a matter of the whole collection: a new document can change what is ranked of
        an old one, whose chunks and sentences are then pending again.
        """
        documents, outlines, before = self._rows.outlines()
        for document, skipped, old in zip(documents, boilerplate(outlines), before, strict=True):
            if packed(skipped) != old:
                self._forget(self._rows.mark(document, skipped))

    def _forget(self, gone: Gone) -> None:
        self._vectors[CHUNKS].remove(gone.chunks)
        self._vectors[SENTENCES].remove(gone.sentences)

    def count_pending(self) -> int:
        """Count the rows that need a vector."""
        return self._rows.count_pending()

    def pending(self, size: int) -> Iterator[tuple[str, list[Pending]]]:
        """Yield `(table, rows)` of what needs a vector, so many rows at a time, in order.

        Each group must have been given to `store` before the next one is asked for.
        """
        for table in TABLES:
            for window in self._rows.pending(table, size):
                yield table, window

    def known(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        """Return the vectors that this generation has already for texts of those names."""
        found: dict[bytes, Vectors] = {}
        for table in TABLES:
            file = self._vectors[table]
            rows = self._rows.rows_of(table, [k for k in keys if k not in found], file.last)
            found.update(zip(rows, file.vectors(list(rows.values())), strict=True))
        return found

    def store(self, table: str, rows: Sequence[Pending], found: Vectors) -> None:
        """Add the vectors of pending rows, shape `(len(rows), dimension)`."""
        self._vectors[table].append([row.id for row in rows], found)

    def finish(self) -> tuple[int, int, int]:
        """Write everything; return the counts of documents, chunks and ranked sentences."""
        self._rows.fill_keywords()
        counts = self._rows.count()
        self._rows.finish()
        for file in self._vectors.values():
            file.finish()
        return counts

    def close(self) -> None:
        """Close the files as they are, finished or not."""
        self._rows.close()
        for file in self._vectors.values():
            file.close()


class VectorDraft:
    """The vectors of one table in the making."""

    def __init__(self, folder: Path, name: str, dimension: int, old: Path | None) -> None:
        self._target = index_file(folder, name)
        self._lists: Path | None = None
        self._removed: list[int] = []
        if old is not None and stored.vector_file(old, name).exists():
            self._lists = index_file(old, name)
            for path in (stored.vector_file, stored.id_file):
                shutil.copyfile(path(old, name), path(folder, name))
        with ExitStack() as undo:
            self._file = undo.enter_context(closing(VectorFile(folder, name, dimension)))
            if old is not None and self._lists is None:
                exact = VectorIndex.load(index_file(old, name))
                ids = exact.ids().tolist()
                self._file.append(ids, exact.vectors(ids))
            undo.pop_all()
        self._first = len(self._file.ids)

    @property
    def last(self) -> int:
        """The largest id that has, or had, a vector."""
        return int(abs(self._file.ids[-1])) if len(self._file.ids) else 0

    def append(self, ids: Sequence[int], found: Vectors) -> None:
        """Add vectors under ascending ids; see `VectorFile`."""
        self._file.append(ids, found)

    def remove(self, ids: Sequence[int]) -> None:
        """Forget vectors of the old generation."""
        self._file.remove(ids)
        self._removed.extend(ids)

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Return vectors of shape `(len(ids), dimension)`."""
        return self._file.vectors(ids)

    def finish(self) -> None:
        """Write the index: exact up to `BORDER` vectors, inverted lists beyond."""
        present = self._file.ids > 0
        if int(present.sum()) <= vectors.BORDER:
            stored.exact(self._file).save(self._target)
            self._file.discard()
            return
        first = self._first
        if np.count_nonzero(present) < (1 - _GAPS) * len(present):
            first = int(present[:first].sum())
            self._file.compact()
        if self._lists is None:
            quantised.write_lists(self._file, self._target)
        else:
            quantised.update_lists(self._file, self._removed, first, self._lists, self._target)
        self._file.write_ids()

    def close(self) -> None:
        """Close the file as it is."""
        self._file.close()
