"""An `Embedder` on any sentence-transformers model, on PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.embedding.core import E5_PROMPTS, Vectors, counted
from rag.errors import ModelCorrupt
from rag.models import ModelFile
from rag.processor import multiplies_bfloat16

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = 32


@dataclass(frozen=True, slots=True)
class Backbone:
    """The encoder under an embedder (a `transformers` model) and its fast tokenizer."""

    encoder: Any
    tokenizer: Any


@contextmanager
def loading(corrupt: Callable[[Exception], ModelCorrupt]) -> Iterator[None]:
    """Load a model of sentence-transformers within, quietly.

    What the libraries raise for files that make no model becomes the error that `corrupt`
    makes of it.
    """
    # Progress bars and advice of the libraries would mix with our own output.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from safetensors import SafetensorError
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except (
        OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, SafetensorError,
    ) as error:  # fmt: skip
        raise corrupt(error) from error


class SentenceTransformerEmbedder:
    """An `Embedder` on any sentence-transformers model, on the CPU.

    `half` multiplies in bfloat16, which is 2.4 times as fast where the processor can it, to
    vectors of cosine .99999 (benchmarks/LOG.md); sums and norms stay in float32.
    """

    def __init__(self, model: SentenceTransformer, identity: str, *, half: bool = False) -> None:
        dimension = model.get_embedding_dimension()
        if not dimension:
            raise ModelCorrupt(f"{identity} does not say how long its vectors are")
        self._model = model
        self.identity = identity
        self.dimension = int(dimension)
        self._half = half

    @classmethod
    def load(
        cls, file: ModelFile, *, offline: bool = False, fast: bool = False
    ) -> SentenceTransformerEmbedder:
        """Load a folder or a hub name; `fast` multiplies in bfloat16 where that is faster.

        Raises `ModelCorrupt` where sentence-transformers cannot make a model of it.
        """
        local = Path(file.path).exists()

        def corrupt(error: Exception) -> ModelCorrupt:
            return ModelCorrupt(
                f"The embedder {file.name} at {file.path} cannot be loaded: {error}",
                "Name another with --embedder, or run: rag models pull multilingual-e5-small",
            )

        with loading(corrupt):
            from sentence_transformers import SentenceTransformer

            model = SentenceTransformer(
                file.path,
                device="cpu",
                local_files_only=offline or local,
                trust_remote_code=False,
            )
        _give_prompts(model, file.name)
        return cls(model, file.identity, half=fast and multiplies_bfloat16())

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions; see `Embedder`."""
        return self._encode(self._model.encode_query, texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed pieces of documents; see `Embedder`."""
        return self._encode(self._model.encode_document, texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens; see `Embedder`."""
        return counted(texts, self._counts)

    def _counts(self, texts: list[str]) -> list[int]:
        found = self._model.tokenizer(texts, add_special_tokens=False, verbose=False)
        return [len(ids) for ids in found["input_ids"]]

    def backbone(self) -> Backbone:
        """Return the encoder that makes the vectors; it is shared, not copied."""
        return Backbone(self._model[0].auto_model, self._model.tokenizer)

    def _encode(self, encode: Any, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        with self._precision():
            vectors = encode(
                list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
            )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    def _precision(self) -> AbstractContextManager[object]:
        if not self._half:
            return nullcontext()
        import torch

        return torch.autocast("cpu", dtype=torch.bfloat16)


def _give_prompts(model: SentenceTransformer, name: str) -> None:
    """Set the E5 marks where an E5 model's own configuration does not carry them."""
    if "e5" in Path(name).name.lower() and not any((model.prompts or {}).values()):
        model.prompts = dict(E5_PROMPTS)
