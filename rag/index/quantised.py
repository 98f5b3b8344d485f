"""Search among many vectors: inverted lists of bytes find candidates, floats rank them.

An inverted file (Jégou, Douze and Schmid 2011, "Product Quantization for Nearest Neighbor
Search") with a byte a dimension (scalar quantisation of the residuals) finds ten times as
many candidates as are asked for; their stored vectors give the true cosines.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import StoreCorrupt
from rag.index import stored
from rag.index.lists import write_parts
from rag.index.schema import REBUILD
from rag.index.stored import VectorFile
from rag.index.vectors import (
    Ids,
    SearchedVectors,
    Vectors,
    cosines,
    read,
    selector,
)

LISTS = 4
"""So many times the square root of the count of vectors is the number of lists."""
GROWTH = 4
"""An index that has grown so many times since its lists were made gets new ones."""
SAMPLE = 50
"""Vectors a list that its centre is made of."""
MOST_SAMPLED = 200_000
"""More are not looked at for all centres together (they lie in memory, 307 MB)."""
RANGED = 20_000
"""Vectors that tell the range of each dimension, by which it is put into a byte."""
CANDIDATES, FEWEST = 10, 200
LOOKED_AT, LEAST_LOOKED_AT = 1 / 32, 64
"""The share of the lists that a search looks at, and their least number.

Recall@10 of real questions is then .998 at 100,000 vectors and 1.000 at a million (benchmarks/
LOG.md). Measuring it on the index's own vectors asks for too few: questions lie farther away.
"""
EXACT_WITHIN = 20_000
"""Among so few ids the stored vectors are compared one by one."""


class QuantisedVectors(SearchedVectors):
    """An inverted file over stored vectors; nearly exact, its cosines are."""

    def __init__(self, index: Any, ids: Ids, vectors: Vectors) -> None:
        self._index = index
        self._ids, self._sizes = ids, stored.by_size(ids)
        self._stored = vectors
        self.dimension = int(index.d)

    @classmethod
    def load(cls, folder: Path, name: str) -> QuantisedVectors:
        """Open the files that `write_lists` and a `VectorFile` left; raises `StoreCorrupt`."""
        path = folder / f"{name}.faiss"
        index = read(path, mapped=True)
        check_kind(index, path)
        ids = stored.read_ids(folder, name)
        vectors = stored.mapped(folder, name, len(ids), int(index.d))
        if int((ids > 0).sum()) != int(index.ntotal):
            raise StoreCorrupt(f"{path} and the stored vectors do not agree", REBUILD)
        return cls(index, ids, vectors)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def lists(self) -> int:
        """The number of lists."""
        return int(self._index.nlist)

    @property
    def looked_at(self) -> int:
        """The number of lists that a search looks at."""
        return int(self._index.nprobe)

    def vectors(self, ids: Sequence[int]) -> Vectors:
        """Return the stored vectors; see `SearchedVectors`."""
        return np.ascontiguousarray(self._stored[stored.places_of(self._ids, self._sizes, ids)])

    def _nearest(
        self, vector: Vectors, k: int, within: Collection[int] | None
    ) -> list[tuple[int, float]]:
        if within is not None and len(within) <= EXACT_WITHIN:
            candidates = [int(i) for i in within]
        else:
            candidates = self._candidates(vector, max(CANDIDATES * k, FEWEST), within)
        scores = cosines(self.vectors(candidates), vector)
        best = np.argsort(-scores, kind="stable")[:k]
        return [(candidates[place], float(scores[place])) for place in best]

    def _candidates(self, vector: Vectors, count: int, within: Collection[int] | None) -> list[int]:
        import faiss

        lists = int(self._index.nprobe)
        chosen = None if within is None else selector(within)
        while True:
            params = faiss.SearchParametersIVF(nprobe=lists, sel=chosen)  # type: ignore[call-arg]
            count = min(count, len(self))
            found = self._index.search(vector.reshape(1, -1), count, params=params)[1][0]
            found = found[found != -1]
            # A filter may leave little in the nearest lists.
            if within is None or len(found) == count or lists >= self._index.nlist:
                return sorted(found.tolist())
            lists *= 4


def check_kind(index: Any, path: Path) -> None:
    """Raise `StoreCorrupt` unless the index is an inverted file."""
    import faiss

    if not isinstance(index, faiss.IndexIVFScalarQuantizer):
        raise StoreCorrupt(f"{path} is a FAISS index of another kind", REBUILD)


def write_lists(file: VectorFile, path: Path) -> None:
    """Make the lists of all vectors of a file; the same vectors give the same lists."""
    import faiss

    count = int((file.ids > 0).sum())
    lists = max(1, round(LISTS * count**0.5))
    centres = faiss.IndexFlatIP(file.dimension)
    index = faiss.IndexIVFScalarQuantizer(
        centres, file.dimension, lists, faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT, True,
    )  # fmt: skip
    # FAISS would tell users that it wants 39 vectors a centre.
    index.cp.min_points_per_centroid = 1
    sample = _sample(file, min(SAMPLE * lists, MOST_SAMPLED))
    index.train_q1(  # type: ignore[attr-defined]
        len(sample), faiss.swig_ptr(sample), False, faiss.METRIC_INNER_PRODUCT
    )
    # The centres are known now. For how far vectors lie from them fewer are enough, and FAISS
    # holds what it looks at twice more.
    index.train(np.ascontiguousarray(sample[:: -(-len(sample) // RANGED)]))
    del sample
    index.nprobe = min(lists, max(LEAST_LOOKED_AT, round(LOOKED_AT * lists)))
    write_parts(index, file.blocks(), path)


def update_lists(
    file: VectorFile, removed: Sequence[int], first: int, old: Path, new: Path
) -> None:
    """Remove vectors from lists, and add those of the file from place `first` on.

    Lists that were made for many fewer vectors are made anew.
    """
    index = read(old, mapped=True)
    check_kind(index, old)
    if int((file.ids > 0).sum()) > GROWTH * (int(index.nlist) / LISTS) ** 2:
        write_lists(file, new)
        return
    write_parts(index, file.blocks(first), new, read(old, mapped=True), removed)


def _sample(file: VectorFile, count: int) -> Vectors:
    """Return some of the vectors, always the same."""
    kept = np.flatnonzero(file.ids > 0)
    if len(kept) > count:
        kept = np.sort(np.random.default_rng(len(kept)).choice(kept, count, replace=False))
    chosen = np.zeros(len(file.ids), dtype=np.bool_)
    chosen[kept] = True
    wanted = file.ids[chosen]
    found, end = np.empty((len(wanted), file.dimension), dtype=np.float32), 0
    for ids, rows in file.blocks():
        part = rows[np.isin(ids, wanted, assume_unique=True)]
        found[end : end + len(part)] = part
        end += len(part)
    return found
