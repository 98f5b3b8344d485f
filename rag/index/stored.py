"""Vectors in a file: appended while an index is made, read row by row afterwards.

Two files: `NAME.f32` holds the vectors, float32, one after the other, and `NAME.ids` the id
of each, int64, ascending; a removed vector has its id negated and zeros in its place. So an
addition is written at the end, a removal where it lies, and an id is found by bisection.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from rag.errors import StoreCorrupt
from rag.index.schema import REBUILD
from rag.index.vectors import Ids, VectorIndex, Vectors

BLOCK = 16_384
"""So many vectors are read at once: 25 MB of 384 dimensions."""

_ID = np.dtype("<i8")
_VALUE = np.dtype("<f4")


def vector_file(folder: Path, name: str) -> Path:
    """Return the file of the vectors."""
    return folder / f"{name}.f32"


def id_file(folder: Path, name: str) -> Path:
    """Return the file of their ids."""
    return folder / f"{name}.ids"


def read_ids(folder: Path, name: str) -> Ids:
    """Read the ids, those of removed vectors negated; raises OSError."""
    return np.fromfile(id_file(folder, name), dtype=_ID).astype(np.int64)


def mapped(folder: Path, name: str, count: int, dimension: int) -> Vectors:
    """Return the vectors, shape `(count, dimension)`, read from the file when looked at.

    Raises OSError, and `StoreCorrupt` where the file holds another number of them.
    """
    path = vector_file(folder, name)
    if path.stat().st_size != count * dimension * _VALUE.itemsize:
        raise StoreCorrupt(f"{path} does not hold {count} vectors", REBUILD)
    return np.memmap(path, dtype=_VALUE, mode="r", shape=(count, dimension))


def by_size(ids: Ids) -> Ids:
    """Return ids without the sign of removal: the very array where nothing was removed."""
    return np.abs(ids) if len(ids) and ids.min() < 0 else ids


def places_of(ids: Ids, sizes: Ids, wanted: Sequence[int]) -> Ids:
    """Return where ids lie among those of a file, `sizes` being what `by_size` gives for them.

    Raises KeyError for one that is not there.
    """
    asked = np.asarray(wanted, dtype=np.int64)
    places = np.searchsorted(sizes, asked)
    if len(asked) and (not len(ids) or (ids[np.minimum(places, len(ids) - 1)] != asked).any()):
        raise KeyError("a vector that is not stored")
    return places


class VectorFile:
    """The vectors of an index that is being made; not safe against a crash by itself."""

    def __init__(self, folder: Path, name: str, dimension: int) -> None:
        self.folder, self.name, self.dimension = folder, name, dimension
        path = vector_file(folder, name)
        path.touch(mode=0o600)
        self._file: BinaryIO = path.open("r+b", buffering=0)
        known = id_file(folder, name).exists()
        self._ids = read_ids(folder, name) if known else np.zeros(0, dtype=np.int64)
        self._count = len(self._ids)  # there may be room for more
        self._gaps = bool((self._ids < 0).any())
        self._row = dimension * _VALUE.itemsize

    @property
    def ids(self) -> Ids:
        """The id of each vector in the file; see the module."""
        return self._ids[: self._count]

    def append(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add vectors under ascending ids that are larger than all before; raises OSError."""
        if vectors.shape != (len(ids), self.dimension):
            raise ValueError(f"{vectors.shape} vectors for {len(ids)} ids of {self.dimension}")
        self._file.seek(0, os.SEEK_END)
        self._write(vectors.astype(_VALUE, copy=False))
        start, self._count = self._count, self._count + len(ids)
        if self._count > len(self._ids):  # half as many again: each id is copied a few times
            room = np.empty(self._count * 3 // 2, dtype=np.int64)
            room[:start] = self._ids[:start]
            self._ids = room
        self._ids[start : self._count] = ids

    def remove(self, ids: Sequence[int]) -> None:
        """Forget vectors; raises KeyError for one that is not there, and OSError."""
        places = self._places(ids)
        nothing = np.zeros(self.dimension, dtype=_VALUE)
        for place in places.tolist():
            self._file.seek(place * self._row)
            self._write(nothing)
        self.ids[places] *= -1
        self._gaps = self._gaps or bool(len(places))

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Return vectors of shape `(len(ids), dimension)`; raises KeyError and OSError."""
        found = np.empty((len(ids), self.dimension), dtype=_VALUE)
        for row, place in zip(found, self._places(ids).tolist(), strict=True):
            self._file.seek(place * self._row)
            self._file.readinto(row.data)  # type: ignore[attr-defined]
        return found

    def blocks(self, first: int = 0) -> Iterator[tuple[Ids, Vectors]]:
        """Yield the ids and vectors from place `first` on, a block at a time."""
        ids = self.ids
        for start in range(first, len(ids), BLOCK):
            part = ids[start : start + BLOCK]
            self._file.seek(start * self._row)
            rows = np.empty((len(part), self.dimension), dtype=_VALUE)
            self._file.readinto(rows.data)  # type: ignore[attr-defined]
            kept = part > 0
            yield (part, rows) if kept.all() else (part[kept], rows[kept])

    def compact(self) -> None:
        """Close the gaps that removed vectors left; raises OSError."""
        end = 0
        ids = self.ids
        for kept, rows in self.blocks():
            self._file.seek(end * self._row)
            self._write(rows)
            end += len(kept)
        self._file.truncate(end * self._row)
        self._ids = ids[ids > 0]
        self._count, self._gaps = len(self._ids), False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def write_ids(self) -> None:
        """Write the ids; raises OSError."""
        self.ids.astype(_ID, copy=False).tofile(id_file(self.folder, self.name))

    def discard(self) -> None:
        """Close and delete the files; raises OSError."""
        self._file.close()
        vector_file(self.folder, self.name).unlink()
        id_file(self.folder, self.name).unlink(missing_ok=True)

    def _places(self, ids: Sequence[int]) -> Ids:
        return places_of(self.ids, np.abs(self.ids) if self._gaps else self.ids, ids)

    def _write(self, values: Vectors) -> None:
        data = memoryview(np.ascontiguousarray(values).tobytes())
        while data:  # a raw file may take less than it is given
            data = data[self._file.write(data) :]


def exact(file: VectorFile) -> VectorIndex:
    """Make the exact index of all vectors of a file."""
    parts = list(file.blocks())
    vectors = np.concatenate(
        [np.zeros((0, file.dimension), dtype=np.float32), *(rows for _, rows in parts)]
    )
    ids = [i for kept, _ in parts for i in kept.tolist()]
    return VectorIndex.build(vectors, ids, file.dimension)
