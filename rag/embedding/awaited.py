"""An embedder whose name is known and which is loaded when it is asked for a vector.

Most of what `rag index` is run for finds nothing to embed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from rag.embedding.core import Embedder, Vectors


class Awaited:
    """An `Embedder` that `load` makes at the first use of more than its identity."""

    def __init__(self, identity: str, load: Callable[[], Embedder]) -> None:
        self.identity = identity
        self._load = load

    @cached_property
    def _embedder(self) -> Embedder:
        return self._load()

    @property
    def dimension(self) -> int:
        """The length of a vector; see `Embedder`."""
        return self._embedder.dimension

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions; see `Embedder`."""
        return self._embedder.embed_queries(texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed pieces of documents; see `Embedder`."""
        return self._embedder.embed_passages(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens; see `Embedder`."""
        return self._embedder.count_tokens(texts)
