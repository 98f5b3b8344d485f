"""multilingual-e5-small as files that llama.cpp's encoder reads: layers, and word embeddings.

The layers are a GGUF file, float32, what llama.cpp multiplies fastest here and to the same
vectors as PyTorch. It has no vocabulary, for a tokenizer is elsewhere, and no word embeddings:
llama.cpp sets aside a score for each word of its vocabulary at each token, a megabyte a
token, though an encoder has none to give. The word embeddings are an array of NumPy of their own,
from which the tokens' rows are read: 4-bit ones as their Q4_0 blocks, bit by bit, full ones as
float16. Tensor names: ggml-org/llama.cpp, gguf-py/gguf/constants.py, architecture `bert`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelCorrupt
from rag.models.e5 import Floats, Shape

_VOCABULARY = 2
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


def write_encoder(path: Path, shape: Shape, tensors: Mapping[str, Floats]) -> None:
    """Write the layers from tensors named as in `BertModel`.

    Raises `ModelCorrupt` where a tensor is missing, `OSError`.
    """
    import gguf

    writer = gguf.GGUFWriter(path, "bert")
    _describe(writer, shape)
    # llama.cpp wants a vocabulary to exist; nothing is ever looked up in it.
    none = np.zeros((_VOCABULARY, shape.hidden), np.float32)
    writer.add_tensor("token_embd.weight", none)
    for theirs, name in _names(shape).items():
        tensor = _tensor(tensors, theirs)
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_words(
    path: Path, tensors: Mapping[str, Floats], blocks: NDArray[np.uint8] | None = None
) -> None:
    """Write the word embeddings as a `.npy` file: float16, or uint8 Q4_0 blocks.

    `blocks` have the shape (vocabulary, bytes of a row) and take the place of the tensor.
    Raises `ModelCorrupt` where it is missing, `OSError`.
    """
    words = _tensor(tensors, _WORDS).astype(np.float16) if blocks is None else blocks
    np.save(path, np.ascontiguousarray(words), allow_pickle=False)


def _tensor(tensors: Mapping[str, Floats], name: str) -> Floats:
    try:
        return tensors[name]
    except KeyError as error:
        raise ModelCorrupt(
            f"The weights of multilingual-e5-small have no tensor {error}",
            "Fetch them again: rag models pull multilingual-e5-small",
        ) from error


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
    writer.add_vocab_size(_VOCABULARY)
    writer.add_tokenizer_model("no_vocab")
    writer.add_token_type_count(shape.types)


def _names(shape: Shape) -> dict[str, str]:
    names = dict(_EMBEDDINGS)
    for number in range(shape.layers):
        for theirs, ours in LAYER.items():
            for end in ("weight", "bias"):
                names[f"encoder.layer.{number}.{theirs}.{end}"] = f"blk.{number}.{ours}.{end}"
    return names
