"""The tokenizer of E5 (XLM-RoBERTa's pieces), as its `tokenizer.json` tells it.

The library `tokenizers` is what runs below `transformers`, too; alone it loads in half a
second instead of several. Cutting is done here, on its tokens: the library would keep the
length in the tokenizer, which all share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt

BEGIN, END = 0, 2  # <s>, </s>
LONGEST = 512  # tokens of an input, marks included


@dataclass(frozen=True, slots=True)
class Pieces:
    """The tokens of a text, and of each the characters `[start, end)` that it stands for."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """A `tokenizers.Tokenizer`, without the marks it would add."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @classmethod
    def load(cls, file: Path) -> Tokenizer:
        """Read a `tokenizer.json`; raises `ModelCorrupt`."""
        from tokenizers import Tokenizer as Inner

        try:
            return cls(Inner.from_file(str(file)))
        except Exception as error:  # the library raises bare `Exception`
            raise ModelCorrupt(
                f"{file} is no tokenizer: {error}",
                "Fetch it again: rag models pull multilingual-e5-small",
            ) from error

    def pieces(self, text: str) -> Pieces:
        """Cut a text."""
        encoded = self._inner.encode(text, add_special_tokens=False)
        return Pieces(encoded.ids, encoded.offsets)

    def single(self, text: str) -> list[int]:
        """Return the input for one text: `<s> text </s>`, its end cut off where it is long."""
        return [BEGIN, *self.pieces(text).ids[: LONGEST - 2], END]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text."""
        found = self._inner.encode_batch(list(texts), add_special_tokens=False)
        return [len(encoded.ids) for encoded in found]

    def vocabulary(self) -> list[str]:
        """Return all pieces by their ids: common ones first."""
        pieces: dict[str, int] = self._inner.get_vocab(with_added_tokens=True)
        return sorted(pieces, key=lambda piece: pieces[piece])
