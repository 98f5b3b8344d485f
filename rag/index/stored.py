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


def places_of(ids: Ids, wanted: Sequence[int]) -> Ids:
    """Return where ids lie among ascending ones (by size); raises KeyError for one that is not."""
    asked = np.asarray(wanted, dtype=np.int64)
    places = np.searchsorted(np.abs(ids), asked)
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
        self._more: list[Ids] = []
        self._row = dimension * _VALUE.itemsize

    @property
    def ids(self) -> Ids:
        """The id of each vector in the file; see the module."""
        if self._more:
            self._ids, self._more = np.concatenate([self._ids, *self._more]), []
        return self._ids

    def append(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add vectors under ascending ids that are larger than all before; raises OSError."""
        if vectors.shape != (len(ids), self.dimension):
            raise ValueError(f"{vectors.shape} vectors for {len(ids)} ids of {self.dimension}")
        added = np.asarray(ids, dtype=np.int64)
        self._file.seek(0, os.SEEK_END)
        self._write(vectors.astype(_VALUE, copy=False))
        self._more.append(added)

    def remove(self, ids: Sequence[int]) -> None:
        """Forget vectors; raises KeyError for one that is not there, and OSError."""
        places = places_of(self.ids, ids)
        nothing = np.zeros(self.dimension, dtype=_VALUE)
        for place in places.tolist():
            self._file.seek(place * self._row)
            self._write(nothing)
        self.ids[places] *= -1

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Return vectors of shape `(len(ids), dimension)`; raises KeyError and OSError."""
        found = np.empty((len(ids), self.dimension), dtype=_VALUE)
        for row, place in zip(found, places_of(self.ids, ids).tolist(), strict=True):
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
