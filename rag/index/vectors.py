"""Unit vectors under the row ids of the database: exact search, and what every search shares.

Up to `BORDER` vectors are compared one by one (FAISS's flat index); more are searched by
`rag.index.quantised`. Knows the edges of FAISS: `k` is clamped to what is there, the -1 ids
of short result lists are dropped, ids are unique, and files are FAISS's own format, never a
pickle. Knows no database: of equal scores the order is asked for.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import StoreCorrupt
from rag.index.schema import REBUILD

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]
Order = Callable[[Sequence[int]], Mapping[int, Any]]
"""Returns for ids what to sort them by."""

BORDER = 50_000


def cosines(vectors: Vectors, vector: Vectors) -> Vectors:
    """Return the inner product of each row with `vector`, shape `(len(vectors),)`.

    Row by row: a matrix product rounds by the place of a row, and equal vectors must have
    equal scores wherever they lie.
    """
    found: Vectors = np.einsum("ij,j->i", vectors, vector, dtype=np.float32)
    return found


class SearchedVectors(ABC):
    """Unit vectors of one `dimension` that can be searched and read back."""

    dimension: int

    @abstractmethod
    def __len__(self) -> int:
        """Count the vectors."""

    @abstractmethod
    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the stored vectors, shape `(len(ids), dimension)`, in the order asked."""

    @abstractmethod
    def _nearest(
        self, vector: Vectors, k: int, within: Collection[int] | None
    ) -> list[tuple[int, float]]:
        """Return `k` pairs `(id, cosine)`, or all there are, best first; `0 < k <= len`."""

    def search(
        self,
        vector: Vectors,
        k: int,
        within: Collection[int] | None = None,
        order: Order | None = None,
    ) -> list[tuple[int, float]]:
        """Return at most `k` pairs `(id, cosine)` for a vector of shape `(dimension,)`.

        `within` are the only ids to look at. Best first; equal scores are ordered by what
        `order` returns for their ids, by id without it, also where they are cut at `k`: so
        results never depend on the order in which the vectors were added.
        """
        k = min(k, len(self))
        if k <= 0:
            return []
        wanted = k + 1
        while True:
            wanted = min(wanted, len(self))
            found = self._nearest(vector, wanted, within)
            # All that tie with the last one must be known before they can be cut.
            if len(found) < wanted or wanted == len(self) or found[-1][1] < found[k - 1][1]:
                return ordered(found, order)[:k]
            wanted *= 2


def ordered(found: Sequence[tuple[int, float]], order: Order | None) -> list[tuple[int, float]]:
    """Sort pairs `(id, score)`, best first; see `SearchedVectors.search` for `order`."""
    places: Mapping[int, Any] = {}
    if order is not None:
        scores = [score for _, score in found]
        tied = {s for s, after in pairwise(scores) if s == after}
        places = order([i for i, score in found if score in tied]) if tied else {}
    return sorted(found, key=lambda pair: (-pair[1], places.get(pair[0], pair[0])))


class VectorIndex(SearchedVectors):
    """Exact inner-product search over unit vectors, i.e. cosine similarity."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.dimension = int(index.d)

    @classmethod
    def build(cls, vectors: Vectors, ids: Sequence[int], dimension: int) -> VectorIndex:
        """Index `vectors` of shape `(len(ids), dimension)` under unique positive ids.

        Raises ValueError where the shapes do not agree or an id comes twice.
        """
        import faiss

        if vectors.shape != (len(ids), dimension):
            raise ValueError(f"{vectors.shape} vectors for {len(ids)} ids of {dimension}")
        if len(set(ids)) != len(ids):
            raise ValueError("an id comes twice")
        index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        if len(ids):
            order = np.argsort(np.asarray(ids, dtype=np.int64))
            index.add_with_ids(
                np.ascontiguousarray(vectors[order]), np.asarray(ids, dtype=np.int64)[order]
            )
        return cls(index)

    @classmethod
    def of(cls, index: Any, path: Path) -> VectorIndex:
        """Take what `read` read; raises `StoreCorrupt` for an index of another kind."""
        import faiss

        if not isinstance(index, faiss.IndexIDMap2):
            raise StoreCorrupt(f"{path} is a FAISS index of another kind", REBUILD)
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Read a file that `save` wrote; raises `StoreCorrupt`."""
        return cls.of(read(path), path)

    def save(self, path: Path) -> None:
        """Write the index; raises OSError."""
        write(self._index, path)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def ids(self) -> Ids:
        """Return all ids, ascending."""
        import faiss

        return np.sort(faiss.vector_to_array(self._index.id_map).astype(np.int64))

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the stored vectors; see `SearchedVectors`."""
        if not len(ids):
            return np.zeros((0, self.dimension), dtype=np.float32)
        found = self._index.reconstruct_batch(np.asarray(ids, dtype=np.int64))
        return np.ascontiguousarray(found, dtype=np.float32)

    def _nearest(
        self, vector: Vectors, k: int, within: Collection[int] | None
    ) -> list[tuple[int, float]]:
        params = None
        if within is not None:
            import faiss

            params = faiss.SearchParameters(sel=selector(within))  # type: ignore[call-arg]
        scores, ids = self._index.search(vector.reshape(1, -1), k, params=params)
        return [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i != -1]


def selector(within: Collection[int]) -> Any:
    """Return FAISS's filter that lets these ids pass."""
    import faiss

    return faiss.IDSelectorBatch(np.fromiter(within, dtype=np.int64, count=len(within)))


def read(path: Path, *, mapped: bool = False) -> Any:
    """Read a FAISS index, or leave its lists in the file; raises `StoreCorrupt`."""
    import faiss

    try:
        # Not downcast by hand: the result would not own its memory.
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP if mapped else 0)
    except RuntimeError as error:
        raise StoreCorrupt(f"{path} is not a FAISS index", REBUILD) from error


def write(index: Any, path: Path) -> None:
    """Write a FAISS index; raises OSError."""
    import faiss

    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        # FAISS tells the system's reason in words only.
        full = os.strerror(errno.ENOSPC) in str(error)
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, f"cannot write {path}: {error}") from error
