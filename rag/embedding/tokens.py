"""The tokenizer of E5 (XLM-RoBERTa's pieces), in SentencePiece.

PyTorch's way cuts with the library `tokenizers`, into the same pieces but in jumbles of marks
and for a space at the end, which nothing that is embedded has. Cutting to a length is done here,
on the tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.embedding.vocabulary import Vocabulary, no_tokenizer
from rag.models import LIST, PIECES

BEGIN, END = 0, 2  # <s>, </s>
LONGEST = 512  # tokens of an input, marks included
# Characters after which loading all pieces has paid: 4.3 millionths of a second a character
# against .4, and .33 s of loading (benchmarks/LOG.md).
LITTLE = 80_000


@dataclass(frozen=True, slots=True)
class Pieces:
    """The tokens of a text, and of each the characters `[start, end)` that it stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """Cuts texts; it adds no marks, and finds none in a text.

    A little text is cut by a small model made for it, and all pieces are loaded when there was
    more than `little` characters; both cut alike.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary, little: int = LITTLE) -> None:
        self._folder = folder
        self._vocabulary = vocabulary
        self._left = little
        self._lock = threading.Lock()
        self._loaded: Any = None

    @classmethod
    def load(cls, folder: Path, little: int = LITTLE) -> Tokenizer:
        """Open the tokenizer of a folder; raises `ModelCorrupt`."""
        return cls(folder, Vocabulary.load(folder), little)

    def pieces(self, text: str) -> Pieces:
        """Cut a text."""
        text = encodable(text)
        model, ids = self._model_for([text])
        found = model.encode(text, return_type="offset_mapping")
        return Pieces([ids[place] for place in found["ids"]], found["offsets"])

    def single(self, text: str) -> list[int]:
        """Return the input for one text: `<s> text </s>`, its end cut off where it is long."""
        text = encodable(text)
        model, ids = self._model_for([text])
        return [BEGIN, *(ids[place] for place in model.encode(text)[: LONGEST - 2]), END]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        texts = [encodable(text) for text in texts]
        model, _ = self._model_for(texts)
        return [len(places) for places in model.encode(texts)]

    def vocabulary(self) -> list[str]:
        """Return all pieces by their ids, common ones first; raises `ModelCorrupt`."""
        file = self._folder / LIST
        try:
            return file.read_bytes().decode().split("\n")
        except (OSError, ValueError) as error:
            raise no_tokenizer(file, error) from error

    def _model_for(self, texts: Sequence[str]) -> tuple[Any, Sequence[int]]:
        """Return a model that cuts these texts, and the ids of its pieces."""
        self._left -= sum(map(len, texts))
        if self._left >= 0:
            return self._vocabulary.model_for(texts)
        with self._lock:
            if self._loaded is None:
                self._loaded = _whole(self._folder / PIECES)
        return self._loaded, range(len(self._loaded))


def _whole(file: Path) -> Any:
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(file))
    except (RuntimeError, OSError) as error:
        raise no_tokenizer(file, error) from error


def encodable(text: str) -> str:
    """Return the text with a question mark for each surrogate, which is no character alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
