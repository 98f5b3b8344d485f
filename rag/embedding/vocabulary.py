"""A SentencePiece model for a short text, without loading all pieces.

SentencePiece sorts its 250,000 pieces each time it loads them, for a third of a second. But
only those that stand in a text somewhere can have a part in how it is cut: of all ways to put the
text together of pieces the likeliest is taken (Kudo 2018, "Subword Regularization", section 3).
So a model of just these cuts the text alike, with the unlikeliest piece of all, by which
SentencePiece reckons what a character without a piece costs. A trie finds them.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelCorrupt
from rag.models import BASE, LONGEST_PIECE, PIECES, PLACES, TRIE


class Vocabulary:
    """The pieces in files that `rag.models.e5_pieces` wrote: mapped, and looked up by need."""

    def __init__(
        self, folder: Path, base: bytes, trie: Any, places: NDArray[np.uint32], pieces: mmap.mmap
    ) -> None:
        from sentencepiece import SentencePieceProcessor

        self._folder = folder
        self._make = SentencePieceProcessor
        self._base = base
        self._trie = trie
        self._places = places
        self._pieces = pieces
        always = self._make(model_proto=base)
        self._normalize = always.normalize
        # The marks have their ids for places; the piece behind them is one of the trie.
        *marks, unlikeliest = always.id_to_piece(list(range(len(always))))
        self._marks: list[str] = marks
        self._unlikeliest = int(trie[unlikeliest])

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Map the files; raises `ModelCorrupt`."""
        import marisa_trie

        try:
            trie = marisa_trie.Trie()
            trie.load(str(folder / TRIE))
            places = np.load(folder / PLACES, mmap_mode="r", allow_pickle=False)
            if places.dtype != np.uint32 or places.shape != (len(trie), 3):
                raise ValueError(f"{PLACES} holds {places.dtype} of shape {places.shape}")
            with (folder / PIECES).open("rb") as file:
                pieces = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return cls(folder, (folder / BASE).read_bytes(), trie, places, pieces)
        except (OSError, ValueError, RuntimeError, KeyError, EOFError) as error:
            raise no_tokenizer(folder, error) from error

    def model_for(self, texts: Sequence[str]) -> tuple[Any, list[int]]:
        """Return a `SentencePieceProcessor` for these texts, and the id of each of its pieces.

        Raises `ModelCorrupt` where the files were damaged meanwhile.
        """
        found: set[int] = set()
        prefixes = self._trie.iter_prefixes_with_ids
        for text in texts:
            seen = self._normalize(text)
            for start in range(len(seen)):
                found.update(key for _, key in prefixes(seen[start : start + LONGEST_PIECE]))
        found.discard(self._unlikeliest)
        rows = self._places[[self._unlikeliest, *found]].tolist()
        parts = [self._pieces[start:end] for _, start, end in rows[1:]]
        ids = [*range(len(self._marks)), *(place for place, _, _ in rows)]
        try:
            return self._make(model_proto=b"".join([self._base, *parts])), ids
        except RuntimeError as error:
            raise no_tokenizer(self._folder / PIECES, error) from error


def no_tokenizer(place: Path, error: Exception) -> ModelCorrupt:
    """Word what is wrong with a tokenizer's files."""
    return ModelCorrupt(
        f"{place} is no tokenizer: {error}",
        "Fetch it again: rag models pull multilingual-e5-small",
    )
