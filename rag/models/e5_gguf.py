"""multilingual-e5-small as a GGUF file that llama.cpp's encoder reads.

The layers are float32, what llama.cpp multiplies fastest here and to the same vectors as
PyTorch. The word embeddings, most of the file, are only looked up: 4-bit ones keep their
blocks bit by bit (GGUF's Q4_0 has the layout of E5S1's), full ones become float16. There is
no vocabulary in it: `tokenizer.json` serves. Tensor names: ggml-org/llama.cpp,
gguf-py/gguf/constants.py, architecture `bert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelCorrupt
from rag.models.e5 import Floats, Shape

_WORDS = "embeddings.word_embeddings.weight"
_EMBEDDINGS = {
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
# The parts of a layer in `transformers.BertModel` and in GGUF.
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def write_encoder(
    path: Path,
    shape: Shape,
    tensors: Mapping[str, Floats],
    words: NDArray[np.uint8] | None = None,
) -> None:
    """Write the file from tensors named as in `BertModel`.

    `words` are the word embeddings in Q4_0 blocks, shape (vocabulary, bytes of a row); they
    take the place of the tensor. Raises `ModelCorrupt` where a tensor is missing, `OSError`.
    """
    import gguf

    writer = gguf.GGUFWriter(path, "bert")
    _describe(writer, shape)
    try:
        if words is None:
            writer.add_tensor("token_embd.weight", tensors[_WORDS].astype(np.float16))
        else:
            kind = gguf.GGMLQuantizationType.Q4_0
            writer.add_tensor("token_embd.weight", words, raw_dtype=kind)
        for theirs, name in _names(shape).items():
            writer.add_tensor(name, np.ascontiguousarray(tensors[theirs], dtype=np.float32))
    except KeyError as error:
        raise ModelCorrupt(
            f"The weights of multilingual-e5-small have no tensor {error}",
            "Fetch them again: rag models pull multilingual-e5-small",
        ) from error
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, shape: Shape) -> None:
    import gguf

    writer.add_name("multilingual-e5-small")
    writer.add_context_length(shape.positions)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(shape.epsilon)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.NONE)
    writer.add_vocab_size(shape.vocab)
    writer.add_tokenizer_model("no_vocab")
    writer.add_token_type_count(shape.types)


def _names(shape: Shape) -> dict[str, str]:
    names = dict(_EMBEDDINGS)
    for number in range(shape.layers):
        for theirs, ours in LAYER.items():
            for end in ("weight", "bias"):
                names[f"encoder.layer.{number}.{theirs}.{end}"] = f"blk.{number}.{ours}.{end}"
    return names
