"""Questions and texts to scores: the `Reranker` protocol and its cross-encoder.

Optional: nothing is loaded unless a reranker is named. A cross-encoder reads question and
text together (Nogueira and Cho 2019, "Passage Re-ranking with BERT"): slower than vectors,
and often better. This module knows no index.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rag.embedding.transformer import NO_PICKLES, loading
from rag.errors import ModelCorrupt
from rag.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

BATCH = 16


class Reranker(Protocol):
    """Scores texts for a question; higher is better, the scale is the model's own."""

    identity: str

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one score a text."""
        ...


class CrossEncoderReranker:
    """A `Reranker` on any sentence-transformers CrossEncoder, on the CPU."""

    def __init__(self, model: CrossEncoder, identity: str) -> None:
        self._model = model
        self.identity = identity

    @classmethod
    def load(cls, name: str, *, offline: bool = False) -> CrossEncoderReranker:
        """Load a folder or a hub name; raises `ModelCorrupt` where that is no cross-encoder."""

        def corrupt(error: Exception) -> ModelCorrupt:
            reason = str(error).strip().partition("\n")[0]
            return ModelCorrupt(
                f"The reranker {name} cannot be loaded: {reason}",
                "Name a cross-encoder's folder or hub name with --reranker, or leave it out.",
            )

        with loading(corrupt):
            from sentence_transformers import CrossEncoder

            model = CrossEncoder(
                name,
                device="cpu",
                local_files_only=offline or Path(name).exists(),
                trust_remote_code=False,
                model_kwargs=NO_PICKLES,
            )
        return cls(model, name)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Score texts; see `Reranker`."""
        if not texts:
            return []
        pairs = [(question, text) for text in texts]
        found = self._model.predict(pairs, batch_size=BATCH, show_progress_bar=False)
        return [float(score) for score in np.asarray(found).reshape(len(texts), -1)[:, -1]]


def reranker_of(settings: Settings) -> Reranker | None:
    """Load the reranker that the settings name; `None` where they name none."""
    name = settings.reranker
    return CrossEncoderReranker.load(name, offline=settings.offline) if name else None
