"""The tokenizer of multilingual-e5-small as a SentencePiece model, made of its `tokenizer.json`.

Both say the same: XLM-RoBERTa's pieces with their log-probabilities (Kudo 2018, "Subword
Regularization") and a table of NFKC. SentencePiece, which the tokenizer was trained with, loads
in half the time, takes 60 MB instead of 280 and cuts five times as fast (benchmarks/LOG.md).

Beside the model lies what makes a small one for a short text (`rag.embedding.vocabulary`): all
that is not a piece, the pieces as a trie, and where in the model each of them stands.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt

PIECES = "pieces.model"
BASE, TRIE, PLACES, LIST = "pieces.base", "pieces.trie", "pieces.npy", "pieces.txt"
WRITTEN = frozenset({PIECES, BASE, TRIE, PLACES, LIST})
# The marks, by their places; they are never found in a text.
MARKS = ("<s>", "<pad>", "</s>", "<unk>")
LONGEST_PIECE = 16  # characters


def write_pieces(tokenizer: Path, folder: Path) -> None:
    """Write the model, and what small ones are made of, into a folder.

    `pieces.model` is a ModelProto of SentencePiece, with the pieces in the order of their ids.
    `pieces.base` is one, too, of the marks, the unlikeliest piece, by which the penalty for
    unknown characters is reckoned, and all settings: with the bytes of other pieces behind it,
    it is a model again (Protocol Buffers, "Encoding": fields of two messages are merged).
    `pieces.trie` holds the pieces in the form of marisa-trie, and `pieces.npy`, uint32 of shape
    `(pieces, 3)`, for each key of the trie its id and its bytes `[start, end)` in the model.
    `pieces.txt` lists them all by their ids, with a line feed between two.

    Raises `ModelCorrupt` where `tokenizer.json` is another kind, OSError.
    """
    # The package is made to need no protobuf unless a model is written.
    layout: Any = importlib.import_module("sentencepiece.sentencepiece_model_pb2")

    try:
        told = json.loads(tokenizer.read_bytes())
        table, vocabulary = _table(told["normalizer"]), told["model"]["vocab"]
        if told["model"]["type"] != "Unigram" or told["model"]["unk_id"] != MARKS.index("<unk>"):
            raise ValueError("it is no unigram model")
        if tuple(piece for piece, _ in vocabulary[: len(MARKS)]) != MARKS:
            raise ValueError("its marks are not in their places")
        if max(len(piece) for piece, _ in vocabulary[len(MARKS) :]) > LONGEST_PIECE:
            raise ValueError("a piece is too long")
        if any("\n" in piece for piece, _ in vocabulary):
            raise ValueError("a piece has a line feed")
        records = [_record(layout, place, *entry) for place, entry in enumerate(vocabulary)]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ModelCorrupt(
            f"{tokenizer} is no tokenizer of E5: {error}",
            "Fetch it again: rag models pull multilingual-e5-small",
        ) from error
    settings = _settings(layout, table)
    (folder / PIECES).write_bytes(b"".join(records) + settings)
    unlikeliest = min(range(len(MARKS), len(records)), key=lambda place: vocabulary[place][1])
    always = [*records[: len(MARKS)], records[unlikeliest], settings]
    (folder / BASE).write_bytes(b"".join(always))
    pieces = [piece for piece, _ in vocabulary]
    (folder / LIST).write_bytes("\n".join(pieces).encode())
    _write_places(pieces, [len(record) for record in records], folder)


def _record(layout: Any, place: int, piece: str, score: float) -> bytes:
    """Return the bytes of a model that has this one piece and nothing else."""
    kinds = layout.ModelProto.SentencePiece
    kind = kinds.NORMAL
    if place < len(MARKS):
        kind = kinds.UNKNOWN if MARKS[place] == "<unk>" else kinds.CONTROL
    alone = layout.ModelProto(pieces=[kinds(piece=piece, score=score, type=kind)])
    return bytes(alone.SerializeToString(deterministic=True))


def _settings(layout: Any, table: bytes) -> bytes:
    """Return the bytes of a model that has no piece."""
    model = layout.ModelProto()
    trainer = model.trainer_spec
    trainer.model_type = layout.TrainerSpec.UNIGRAM
    trainer.bos_id, trainer.pad_id, trainer.eos_id, trainer.unk_id = range(len(MARKS))
    model.normalizer_spec.name = "tokenizer.json"
    model.normalizer_spec.precompiled_charsmap = table
    return bytes(model.SerializeToString(deterministic=True))


def _write_places(pieces: Sequence[str], lengths: Sequence[int], folder: Path) -> None:
    import marisa_trie
    import numpy as np

    trie = marisa_trie.Trie(pieces[len(MARKS) :])
    ends = np.cumsum(lengths)
    places = np.empty((len(trie), 3), dtype=np.uint32)
    for place in range(len(MARKS), len(pieces)):
        places[trie[pieces[place]]] = place, ends[place] - lengths[place], ends[place]
    trie.save(str(folder / TRIE))
    np.save(folder / PLACES, places, allow_pickle=False)


def _table(normalizer: dict[str, Any]) -> bytes:
    """Return the table of replacements, alone or as one of several steps."""
    steps = normalizer.get("normalizers", [normalizer])
    tables = [step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"]
    if len(tables) != 1:
        raise ValueError("it has no table of replacements")
    return base64.b64decode(tables[0], validate=True)
