"""multilingual-e5-small without waiting: llama.cpp for little text, PyTorch for much.

Importing sentence-transformers takes seconds, so a question does not: it is embedded by
llama.cpp from a GGUF file of the same weights, and so are the first passages of a run. Only
where there is so much to index that PyTorch makes up for its start is it loaded. The two
give vectors of cosine .9999 and more to each other, and are one embedder to an index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rag.embedding.core import E5_PROMPTS, Embedder, Vectors, counted
from rag.embedding.encoder import Encoder
from rag.embedding.tokens import Tokenizer
from rag.embedding.transformer import SentenceTransformerEmbedder
from rag.models import ENCODER, WORDS, ModelFile
from rag.processor import physical_cores

# Beyond so many tokens of passages the faster way has made up for its start: at 3,700 and
# 11,500 tokens a second, and 6 seconds of importing, after 33,000 (benchmarks/LOG.md).
LITTLE = 33_000


class LightEmbedder:
    """An `Embedder` on an `Encoder` with mean pooling, marked as E5 wants it.

    `bulk` makes the embedder for much text, of the same weights; `None` where llama.cpp
    does it all.
    """

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Tokenizer,
        identity: str,
        bulk: Callable[[], Embedder] | None = None,
        little: int = LITTLE,
    ) -> None:
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.identity = identity
        self.dimension = encoder.size
        self._load_bulk = bulk
        self._bulk: Embedder | None = None
        self._left = little

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions; see `Embedder`."""
        return self._pooled([self._input("query", text) for text in texts])

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed pieces of documents; see `Embedder`."""
        if self._bulk is None:
            inputs = [self._input("document", text) for text in texts]
            self._left -= sum(map(len, inputs))
            if self._left >= 0 or self._load_bulk is None:
                return self._pooled(inputs)
            self._bulk = self._load_bulk()
        return self._bulk.embed_passages(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens; see `Embedder`."""
        return counted(texts, self.tokenizer.counts)

    def _input(self, kind: str, text: str) -> list[int]:
        return self.tokenizer.single(f"{E5_PROMPTS[kind]}{text}")

    def _pooled(self, inputs: Sequence[Sequence[int]]) -> Vectors:
        if not inputs:
            return np.zeros((0, self.dimension), dtype=np.float32)
        means = np.stack([states.mean(axis=0) for states in self.encoder.states(inputs)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return np.ascontiguousarray(means, dtype=np.float32)


def load_embedder(
    file: ModelFile, *, offline: bool = False, threads: int = 0
) -> LightEmbedder | SentenceTransformerEmbedder:
    """Load an embedder by the quickest way that its files allow.

    A folder of ours has the encoder for llama.cpp beside the one for PyTorch; any other
    embedder is left to sentence-transformers. Raises `ModelCorrupt`.
    """
    folder = Path(file.path)
    if not (folder / ENCODER).is_file():
        return SentenceTransformerEmbedder.load(file, offline=offline)
    return LightEmbedder(
        Encoder.load(folder / ENCODER, folder / WORDS, threads=threads or physical_cores()),
        Tokenizer.load(folder),
        file.identity,
        lambda: SentenceTransformerEmbedder.load(file, offline=offline, fast=True),
    )
