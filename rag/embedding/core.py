"""The `Embedder` protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

E5_PROMPTS = {"query": "query: ", "document": "passage: "}
COUNTED_AT_ONCE = 1000  # of a book all encodings at once would fill the memory


class Embedder(Protocol):
    """Turns texts into unit vectors.

    Both methods return float32 of shape `(len(texts), dimension)`, each row of L2 norm 1.
    `identity` names the weights; an index refuses an embedder with another identity.
    """

    identity: str

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions."""
        ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed pieces of documents."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, without marks and special tokens."""
        ...


def counted(texts: Sequence[str], count: Callable[[list[str]], list[int]]) -> list[int]:
    """Count the tokens of many texts, some at a time."""
    counts: list[int] = []
    for start in range(0, len(texts), COUNTED_AT_ONCE):
        counts += count(list(texts[start : start + COUNTED_AT_ONCE]))
    return counts
