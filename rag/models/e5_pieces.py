"""The tokenizer of multilingual-e5-small as a SentencePiece model, made of its `tokenizer.json`.

Both say the same: XLM-RoBERTa's pieces with their log-probabilities (Kudo 2018, "Subword
Regularization") and a table of NFKC. SentencePiece, which the tokenizer was trained with, loads
in half the time, takes 60 MB instead of 280 and cuts five times as fast (benchmarks/LOG.md).
"""

from __future__ import annotations

import base64
import binascii
import importlib
import json
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt

# The marks, by their places; they are never found in a text.
MARKS = ("<s>", "<pad>", "</s>", "<unk>")


def write_pieces(tokenizer: Path, path: Path) -> None:
    """Write the model; raises `ModelCorrupt` where `tokenizer.json` is another kind, OSError."""
    # The package is made to need no protobuf unless a model is written.
    layout: Any = importlib.import_module("sentencepiece.sentencepiece_model_pb2")

    try:
        told = json.loads(tokenizer.read_bytes())
        table, vocabulary = _table(told["normalizer"]), told["model"]["vocab"]
        if told["model"]["type"] != "Unigram" or told["model"]["unk_id"] != MARKS.index("<unk>"):
            raise ValueError("it is no unigram model")
        if tuple(piece for piece, _ in vocabulary[: len(MARKS)]) != MARKS:
            raise ValueError("its marks are not in their places")
        model = layout.ModelProto()
        kinds = layout.ModelProto.SentencePiece
        for place, (piece, score) in enumerate(vocabulary):
            kind = kinds.NORMAL
            if place < len(MARKS):
                kind = kinds.UNKNOWN if MARKS[place] == "<unk>" else kinds.CONTROL
            model.pieces.add(piece=piece, score=score, type=kind)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ModelCorrupt(
            f"{tokenizer} is no tokenizer of E5: {error}",
            "Fetch it again: rag models pull multilingual-e5-small",
        ) from error
    trainer = model.trainer_spec
    trainer.model_type = layout.TrainerSpec.UNIGRAM
    trainer.bos_id, trainer.pad_id, trainer.eos_id, trainer.unk_id = range(len(MARKS))
    model.normalizer_spec.name = "tokenizer.json"
    model.normalizer_spec.precompiled_charsmap = table
    path.write_bytes(model.SerializeToString(deterministic=True))


def _table(normalizer: dict[str, Any]) -> bytes:
    """Return the table of replacements, alone or as one of several steps."""
    steps = normalizer.get("normalizers", [normalizer])
    tables = [step["precompiled_charsmap"] for step in steps if step["type"] == "Precompiled"]
    if len(tables) != 1:
        raise ValueError("it has no table of replacements")
    return base64.b64decode(tables[0], validate=True)
