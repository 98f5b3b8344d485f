"""What needs a vector gets one: known ones are carried over, the rest is embedded.

The texts of many documents are taken together and embedded in batches of about equal
length, because a batch costs as much as its longest text in each place. Only a window of
texts and vectors is in memory at any time. Knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rag.embedding import Embedder, Vectors
from rag.index import Draft, Previous
from rag.models import Progress

BATCH = 64
WINDOW = 4096
"""Texts that are sorted by length at once."""


def embed_pending(
    draft: Draft, old: Previous | None, embedder: Embedder, progress: Progress, size: int
) -> None:
    """Give the draft all vectors that it lacks; `size` bytes are told as done on the way."""
    share = _Share(progress, draft.count_pending(), size)
    for table, rows in draft.pending(WINDOW):
        texts = {row.key: row.text for row in rows}
        known = draft.known(list(texts))
        missing = [key for key in texts if key not in known]
        if old is not None:
            known |= old.known(missing)
        new = {key: text for key, text in texts.items() if key not in known}
        share.advance(len(rows) - len(new))
        for keys, vectors in _embedded(new, embedder):
            known.update(zip(keys, vectors, strict=True))
            share.advance(len(keys))
        found = np.stack([known[row.key] for row in rows]).astype(np.float32, copy=False)
        draft.store(table, rows, found)
    share.finish()


def _embedded(
    texts: dict[bytes, str], embedder: Embedder
) -> Iterator[tuple[Sequence[bytes], Vectors]]:
    """Embed texts by name, longest first, so that a machine too small for them fails early."""
    order = sorted(texts, key=lambda key: -len(texts[key]))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        yield batch, embedder.embed_passages([texts[key] for key in batch])


class _Share:
    """Bytes told in proportion to the rows that are done."""

    def __init__(self, progress: Progress, rows: int, size: int) -> None:
        self._progress = progress
        self._rows = max(rows, 1)
        self._size = size
        self._done = 0
        self._told = 0

    def advance(self, rows: int) -> None:
        """Tell what so many more rows are worth."""
        self._done += rows
        self._tell(self._size * self._done // self._rows)

    def finish(self) -> None:
        """Tell the rest."""
        self._tell(self._size)

    def _tell(self, total: int) -> None:
        self._progress.advance(total - self._told)
        self._told = total
