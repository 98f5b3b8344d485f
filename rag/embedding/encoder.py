"""A BERT encoder in llama.cpp: token ids in, one vector a token out.

It reads a GGUF file that holds layers and no vocabulary, and the word embeddings from another
(`rag.models.e5_gguf` says why), starts in a tenth of a second and
needs no PyTorch. Texts of one call go through in batches of whole texts. Updates of low
rank (Hu et al. 2021, "LoRA") can be put on: another context over the same weights, which are
mapped from the page cache and loaded once. It knows no pooling and no head.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.embedding.tokens import LONGEST
from rag.embedding.words import Words
from rag.errors import ModelCorrupt
from rag.llamacpp import load_updates, load_weights, put_on

States = NDArray[np.float32]

# Tokens that go through at once. All attend to all before the mask is applied, so twice as
# many cost more than twice (benchmarks/LOG.md: 3,730 tokens/s at 512, 2,940 at 2,048); and
# the longest input must fit.
BATCH = LONGEST
MOST_TEXTS = 64


class Encoder:
    """A loaded encoder; `size` is the length of its vectors.

    Calls from several threads wait for each other. The weights live as long as any encoder
    over them.
    """

    def __init__(self, weights: _Weights, adapter: Path | None = None) -> None:
        from llama_cpp import llama_cpp as library

        self._weights = weights
        self._lock = threading.Lock()
        parameters = library.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = BATCH
        parameters.n_seq_max = MOST_TEXTS
        parameters.n_threads = parameters.n_threads_batch = weights.threads
        parameters.embeddings = True
        parameters.pooling_type = library.LLAMA_POOLING_TYPE_NONE
        # Twice as fast as without for batches of several texts, to the same vectors.
        parameters.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self._context = library.llama_init_from_model(weights.model, parameters)
        if not self._context:
            raise weights.corrupt("it makes no context")
        self.size = int(library.llama_model_n_embd(weights.model))
        self._batch = library.llama_batch_init(BATCH, self.size, 1)
        self._inputs = np.ctypeslib.as_array(self._batch.embd, shape=(BATCH, self.size))
        # Last made, first freed, at the end of the process, too: the weights go last.
        weakref.finalize(self, library.llama_batch_free, self._batch)
        weakref.finalize(self, library.llama_free, self._context)
        if adapter is not None:
            put_on(self._context, [load_updates(weights.model, adapter)])

    @classmethod
    def load(cls, file: Path, words: Path, *, threads: int) -> Encoder:
        """Map a GGUF file and word embeddings; raises `ModelCorrupt` where they are of no use."""
        return cls(_Weights(file, Words.load(words), threads))

    def adapted(self, adapter: Path) -> Encoder:
        """Return an encoder over the same weights with updates; raises `ModelCorrupt`."""
        return Encoder(self._weights, adapter)

    def states(self, inputs: Sequence[Sequence[int]]) -> list[States]:
        """Return the last layer's states of each input, shape `(tokens, size)`.

        An input has 1 to 512 tokens. Raises ValueError for another length, IndexError for a
        token that is none.
        """
        if any(not 0 < len(ids) <= BATCH for ids in inputs):
            raise ValueError(f"an input has 1 to {BATCH} tokens")
        found: list[States] = [np.empty((0, self.size), np.float32)] * len(inputs)
        with self._lock:
            for places in batches([len(ids) for ids in inputs]):
                results = self._encode([inputs[place] for place in places])
                for place, result in zip(places, results, strict=True):
                    found[place] = result
        return found

    def _encode(self, inputs: Sequence[Sequence[int]]) -> list[States]:
        from llama_cpp import llama_cpp as library

        batch, place = self._batch, 0
        for number, ids in enumerate(inputs):
            self._inputs[place : place + len(ids)] = self._weights.words.of(ids)
            for position in range(len(ids)):
                batch.pos[place] = position
                batch.n_seq_id[place] = 1
                batch.seq_id[place][0] = number
                batch.logits[place] = 1
                place += 1
        batch.n_tokens = place
        if library.llama_encode(self._context, batch):
            raise RuntimeError("llama.cpp could not encode a batch")
        pointer = library.llama_get_embeddings(self._context)
        values = np.ctypeslib.as_array(pointer, shape=(place, self.size)).copy()
        ends = np.cumsum([len(ids) for ids in inputs])[:-1]
        return np.split(values, ends)


class _Weights:
    """The mapped file, freed when nothing uses it any more."""

    def __init__(self, file: Path, words: Words, threads: int) -> None:
        self.file = file
        self.words = words
        self.threads = threads
        self.model: Any = load_weights(file)
        from llama_cpp import llama_cpp as library

        if not self.model:
            raise self.corrupt("it is missing or no model")
        weakref.finalize(self, library.llama_model_free, self.model)

    def corrupt(self, why: str) -> ModelCorrupt:
        return ModelCorrupt(
            f"llama.cpp cannot load the encoder {self.file}: {why}",
            "Fetch it again: rag models pull multilingual-e5-small",
        )


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Share inputs out to batches, by their places; the long ones come first."""
    batch: list[int] = []
    total = 0
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (total + lengths[place] > BATCH or len(batch) == MOST_TEXTS):
            yield batch
            batch, total = [], 0
        batch.append(place)
        total += lengths[place]
    if batch:
        yield batch
