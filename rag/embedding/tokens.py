"""The tokenizer of E5 (XLM-RoBERTa's pieces), in SentencePiece.

PyTorch's way cuts with the library `tokenizers`, into the same pieces but in jumbles of marks
and for a space at the end, which nothing that is embedded has. Cutting to a length is done here,
on the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt

BEGIN, END = 0, 2  # <s>, </s>
LONGEST = 512  # tokens of an input, marks included
_SOME = 10_000


@dataclass(frozen=True, slots=True)
class Pieces:
    """The tokens of a text, and of each the characters `[start, end)` that it stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """A `SentencePieceProcessor`; it adds no marks, and finds none in a text."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @classmethod
    def load(cls, file: Path) -> Tokenizer:
        """Read a SentencePiece model; raises `ModelCorrupt`."""
        from sentencepiece import SentencePieceProcessor

        try:
            return cls(SentencePieceProcessor(model_file=str(file)))
        except (RuntimeError, OSError) as error:
            raise ModelCorrupt(
                f"{file} is no tokenizer: {error}",
                "Fetch it again: rag models pull multilingual-e5-small",
            ) from error

    def pieces(self, text: str) -> Pieces:
        """Cut a text."""
        found = self._inner.encode(encodable(text), return_type="offset_mapping")
        return Pieces(found["ids"], found["offsets"])

    def single(self, text: str) -> list[int]:
        """Return the input for one text: `<s> text </s>`, its end cut off where it is long."""
        ids = self._inner.encode(encodable(text))
        return [BEGIN, *ids[: LONGEST - 2], END]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        return [len(ids) for ids in self._inner.encode([encodable(text) for text in texts])]

    def vocabulary(self) -> Iterator[str]:
        """Yield all pieces by their ids: common ones first."""
        count = len(self._inner)
        for start in range(0, count, _SOME):
            yield from self._inner.id_to_piece(list(range(start, min(start + _SOME, count))))


def encodable(text: str) -> str:
    """Return the text with a question mark for each surrogate, which is no character alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
