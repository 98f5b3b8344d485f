"""Inverted lists larger than memory: made a part at a time, put together on the disk.

FAISS writes an index from memory only, where each vector takes a byte a dimension and eight
for its id. Here at most `PART` vectors and a block are there at once: the lists of a part are
written, and read one by one when all are put together in one file. That file is FAISS's own:
what FAISS writes of an index without vectors, with other lists at its end ("ilar" in
faiss/impl/index_write.cpp).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.index.vectors import Ids, Vectors

PART = 262_144
"""Vectors of a part: 103 MB of 384 dimensions."""

Codes = NDArray[np.uint8]
Lists = Callable[[int], tuple[Codes, Ids]]
"""Returns for the number of a list the bytes of its vectors and their ids."""
# Four letters, the numbers of lists and of bytes a vector, how sizes are told, how many follow.
_TAIL = np.dtype([("kind", "S4"), ("lists", "<u8"), ("code", "<u8"), ("told", "S4"), ("n", "<u8")])


def write_parts(
    index: Any,
    blocks: Iterable[tuple[Ids, Vectors]],
    path: Path,
    old: Any = None,
    removed: Sequence[int] = (),
) -> None:
    """Write a trained inverted file: the vectors of `old` but those removed, then of `blocks`.

    `index` is emptied; `old` has the same lists and is only read. Raises OSError.
    """
    _empty(index)
    gone = np.unique(np.asarray(removed, dtype=np.int64))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        parts: list[Lists] = [] if old is None else [partial(_list, old)]
        parts += _parts(index, blocks, Path(folder))
        sizes = np.zeros(int(index.nlist), dtype="<u8")
        with path.open("wb") as file:
            file.write(_head(index, sizes))
            for number in range(len(sizes)):
                found = [_kept(*lists(number), gone) for lists in parts]
                for codes, _ in found:
                    file.write(codes.tobytes())
                for _, ids in found:
                    file.write(ids.astype("<i8", copy=False).tobytes())
                    sizes[number] += len(ids)
            file.seek(0)
            file.write(_head(index, sizes))


def _parts(index: Any, blocks: Iterable[tuple[Ids, Vectors]], folder: Path) -> Iterator[Lists]:
    """Yield the lists of some of the vectors; the index is empty again after each."""
    count = 0
    for ids, rows in blocks:
        if len(ids):
            index.add_with_ids(rows, ids)
        if index.ntotal >= PART:
            yield _moved(index, folder / str(count))
            count += 1
    if index.ntotal:
        yield _moved(index, folder / str(count))


def _moved(index: Any, path: Path) -> Lists:
    """Move an index's lists to a file.

    A file of FAISS would hold the centres, too, and so would what reads it.
    """
    sizes = []
    with path.open("wb") as file:
        for number in range(int(index.nlist)):
            codes, ids = _list(index, number)
            file.write(codes.tobytes())
            file.write(ids.astype("<i8", copy=False).tobytes())
            sizes.append(len(ids))
    index.reset()
    width = int(index.code_size)
    starts = np.concatenate([[0], np.cumsum(np.array(sizes, dtype=np.int64) * (width + 8))])

    def lists(number: int) -> tuple[Codes, Ids]:
        with path.open("rb") as file:
            file.seek(starts[number])
            codes = np.frombuffer(file.read(sizes[number] * width), dtype=np.uint8)
            return codes, np.frombuffer(file.read(sizes[number] * 8), dtype="<i8")

    return lists


def _empty(index: Any) -> None:
    """Take the vectors out of an index, whose lists may be mapped."""
    import faiss

    lists: Any = faiss.ArrayInvertedLists(index.nlist, index.code_size)
    index.replace_invlists(lists, True)
    lists.this.disown()  # they are the index's now
    index.ntotal = 0


def _list(index: Any, number: int) -> tuple[Codes, Ids]:
    """Return the bytes of a list's vectors and their ids, in FAISS's own memory."""
    import faiss

    lists = index.invlists
    size = lists.list_size(number)
    if not size:
        return np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64)
    codes = faiss.rev_swig_ptr(lists.get_codes(number), size * lists.code_size)
    return codes, faiss.rev_swig_ptr(lists.get_ids(number), size)


def _kept(codes: Codes, ids: Ids, gone: Ids) -> tuple[Codes, Ids]:
    """Return the bytes and the ids of a list, but those that are gone (ascending)."""
    if not len(gone) or not len(ids):
        return codes, ids
    places = np.minimum(np.searchsorted(gone, ids), len(gone) - 1)
    kept = gone[places] != ids
    return codes.reshape(len(ids), -1)[kept], ids[kept]


def _head(index: Any, sizes: NDArray[np.uint64]) -> bytes:
    """Return what comes before the lists in a file; its length does not depend on the sizes."""
    import faiss

    index.ntotal = int(sizes.sum())
    writer = faiss.VectorIOWriter()
    faiss.write_index(index, writer)
    data = faiss.vector_to_array(writer.data).tobytes()
    tail = np.array((b"ilar", len(sizes), index.code_size, b"full", len(sizes)), dtype=_TAIL)
    if data[-_TAIL.itemsize :][:20] != tail.tobytes()[:20]:
        raise RuntimeError("FAISS writes inverted lists in another form")
    return data[: -_TAIL.itemsize] + tail.tobytes() + sizes.tobytes()
