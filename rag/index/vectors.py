"""Unit vectors in FAISS under the row ids of the database.

Knows the edges of FAISS: `k` is clamped to what is there, the -1 ids of short result
lists are dropped, ids are unique, and files are FAISS's own format, never a pickle.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import StoreCorrupt

Vectors = NDArray[np.float32]

REBUILD = "Run: rag index --rebuild"


class VectorIndex:
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
            # Of equal scores FAISS keeps what was added first: the lowest id has to be.
            order = np.argsort(np.asarray(ids, dtype=np.int64))
            index.add_with_ids(
                np.ascontiguousarray(vectors[order]), np.asarray(ids, dtype=np.int64)[order]
            )
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Read a file that `save` wrote; raises `StoreCorrupt`."""
        import faiss

        try:
            # Not downcast by hand: the result would not own its memory.
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise StoreCorrupt(f"{path} is not a FAISS index", REBUILD) from error
        if not isinstance(index, faiss.IndexIDMap2):
            raise StoreCorrupt(f"{path} is a FAISS index of another kind", REBUILD)
        return cls(index)

    def save(self, path: Path) -> None:
        """Write the index; raises OSError."""
        import faiss

        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:
            # FAISS tells the system's reason in words only.
            full = os.strerror(errno.ENOSPC) in str(error)
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, f"cannot write {path}: {error}") from error

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(
        self, vector: Vectors, k: int, within: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return at most `k` pairs `(id, cosine)` for a vector of shape `(dimension,)`.

        `within` are the only ids to look at. Best first; equal scores are ordered by id,
        so that results never depend on the order in which the vectors were added.
        """
        k = min(k, len(self))
        if k <= 0:
            return []
        params = None
        if within is not None:
            import faiss

            selected = faiss.IDSelectorBatch(np.fromiter(within, dtype=np.int64))
            params = faiss.SearchParameters(sel=selected)  # type: ignore[call-arg]
        scores, ids = self._index.search(vector.reshape(1, -1), k, params=params)
        found = [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i != -1]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the stored vectors, shape `(len(ids), dimension)`, in the order asked."""
        if not ids:
            return np.zeros((0, self.dimension), dtype=np.float32)
        found = self._index.reconstruct_batch(np.asarray(ids, dtype=np.int64))
        return np.ascontiguousarray(found, dtype=np.float32)
