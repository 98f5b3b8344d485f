"""An `Embedder` on any sentence-transformers model, on PyTorch."""

from __future__ import annotations

import os
import time
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

# A batch has so many texts, or characters: a thousand tokens or so, whose numbers stay in the
# processor's cache. Paragraphs are embedded twice as fast so as in batches of 32, which is the
# library's own (benchmarks/LOG.md).
MOST_TEXTS, MOST_CHARACTERS = 32, 4000
# Both ways are tried on so many passages, cut after so many characters: a second or two.
TRIED, TRIED_CHARACTERS = 16, 400

# A pickle can run code when it is loaded.
NO_PICKLES = {"use_safetensors": True}


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

    `half` multiplies in bfloat16, to vectors of cosine .99999; sums and norms stay in float32.
    `None` tries both on the first passages, and takes what is quicker here: of processors that
    can it some are 2.4 times as fast so, and others need half as much time again
    (benchmarks/LOG.md).
    """

    def __init__(
        self, model: SentenceTransformer, identity: str, *, half: bool | None = False
    ) -> None:
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
                model_kwargs=NO_PICKLES,
            )
        _give_prompts(model, file.name)
        return cls(model, file.identity, half=None if fast and multiplies_bfloat16() else False)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions; see `Embedder`."""
        return self._encode(self._model.encode_query, texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed pieces of documents; see `Embedder`."""
        if self._half is None and texts:
            some = [text[:TRIED_CHARACTERS] for text in texts[:TRIED]]
            self._half = self._seconds(some, half=True) < self._seconds(some, half=False)
        return self._encode(self._model.encode_document, texts)

    def _seconds(self, texts: Sequence[str], *, half: bool) -> float:
        """Return how long it takes to embed passages in one way; the first time warms up."""
        self._half = half
        taken = []
        for _ in range(2):
            start = time.perf_counter()
            self._encode(self._model.encode_document, texts)
            taken.append(time.perf_counter() - start)
        return min(taken)

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
        found = np.empty((len(texts), self.dimension), dtype=np.float32)
        with self._precision():
            for places in batches([len(text) for text in texts]):
                found[places] = encode(
                    [texts[place] for place in places],
                    batch_size=len(places),
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
        return found

    def _precision(self) -> AbstractContextManager[object]:
        if not self._half:
            return nullcontext()
        import torch

        return torch.autocast("cpu", dtype=torch.bfloat16)


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Share texts out to batches, by their places; the long ones come first.

    Texts of a batch are filled up to its longest.
    """
    batch: list[int] = []
    longest = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (len(batch) == MOST_TEXTS or (len(batch) + 1) * longest > MOST_CHARACTERS):
            yield batch
            batch = []
        longest = longest if batch else lengths[place]
        batch.append(place)
    if batch:
        yield batch


def _give_prompts(model: SentenceTransformer, name: str) -> None:
    """Set the E5 marks where an E5 model's own configuration does not carry them."""
    if "e5" in Path(name).name.lower() and not any((model.prompts or {}).values()):
        model.prompts = dict(E5_PROMPTS)
