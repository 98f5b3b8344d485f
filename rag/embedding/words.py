"""The word embeddings of an encoder, row by row out of a mapped file.

They are most of its weights, and a text needs a row a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelCorrupt
from rag.models import BLOCK, dequantise


class Words:
    """An array of float16, or of uint8 Q4_0 blocks, one row a word of the vocabulary."""

    def __init__(self, rows: NDArray[np.float16] | NDArray[np.uint8]) -> None:
        self._rows = rows

    @classmethod
    def load(cls, file: Path) -> Words:
        """Map a `.npy` file; raises `ModelCorrupt`."""
        try:
            rows = np.load(file, mmap_mode="r", allow_pickle=False)
            if rows.ndim != 2 or rows.dtype not in (np.float16, np.uint8):
                raise ValueError(f"it holds {rows.dtype} of shape {rows.shape}")
            if rows.dtype == np.uint8 and rows.shape[1] % BLOCK.itemsize:
                raise ValueError("its rows are no whole blocks")
        except (OSError, ValueError, EOFError) as error:
            raise ModelCorrupt(
                f"{file} has no word embeddings: {error}",
                "Fetch it again: rag models pull multilingual-e5-small",
            ) from error
        return cls(rows)

    def of(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the embeddings of tokens, shape `(len(ids), size)`; raises IndexError."""
        found = np.ascontiguousarray(self._rows[np.asarray(ids, dtype=np.int64)])
        if found.dtype == np.uint8:
            return dequantise(found.reshape(-1).view(BLOCK)).reshape(len(ids), -1)
        return found.astype(np.float32)
