"""The optional cross-encoder: what is refused, and a real one made on the spot."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import ModelCorrupt
from rag.reranking import CrossEncoderReranker


def test_a_folder_that_holds_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"cannot be loaded.*--reranker") as caught:
        CrossEncoderReranker.load(str(tmp_path), offline=True)
    assert "\n" not in str(caught.value)


@pytest.mark.models
def test_a_cross_encoder_scores_pairs(tmp_path: Path) -> None:
    """A tiny one with random weights: what it says is noise, but always the same noise."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(1)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "rain", "fell", "snow", "?"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path / "model")
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "model")
    reranker = CrossEncoderReranker.load(str(tmp_path / "model"), offline=True)
    assert reranker.identity == str(tmp_path / "model")
    texts = ["rain fell", "snow fell", "rain fell"]
    scores = reranker.scores("rain ?", texts)
    assert scores[0] == pytest.approx(scores[2])
    assert scores[0] != scores[1]
    assert reranker.scores("rain ?", []) == []
    expected = CrossEncoder(str(tmp_path / "model"), device="cpu").predict(
        [("rain ?", "rain fell")]
    )
    assert scores[0] == pytest.approx(float(expected[0]), abs=1e-5)
