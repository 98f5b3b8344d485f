"""A folder of multilingual-e5-small: for sentence-transformers, and for llama.cpp.

Two roads lead to it, from the hub's full-precision weights and from the 4-bit ones; the
folders differ in the weights alone (`model.safetensors`, and `encoder.gguf` and `words.npy`
made of the same), for the configuration is written here, from known facts, for both. The
tokenizer is there twice, too, as published and for SentencePiece. A folder is built beside its
place and moved there in one step; a manifest in it holds the digests of all its files, so that
a damaged one is noticed and built again. This module knows no network.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt, ModelUnavailable
from rag.models.digests import Digests, flush_to_disk, hash_file
from rag.models.e5 import E5_SMALL, Shape, read_e5
from rag.models.e5_gguf import write_encoder, write_words
from rag.models.e5_pieces import WRITTEN, write_pieces

MANIFEST = "rag-model.json"
# Raise it with every change to what is written: older folders are then built again.
FORMAT = 5
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
ENCODER = "encoder.gguf"
WORDS = "words.npy"
# Under these the layers may stand in a file of weights.
_PREFIXES = ("", "bert.", "0.auto_model.")


def rebuild(q4: Path, tokenizer: Path, folder: Path) -> None:
    """Write the folder from the 4-bit file and `tokenizer.json`, in place of what is there.

    The same files give the same bytes. Raises `ModelCorrupt` where `q4` is not sound and
    `ModelUnavailable` where the folder cannot be written.
    """

    def write(part: Path) -> Shape:
        shape, tensors, words = read_e5(q4)
        _write_weights(tensors, shape, part / WEIGHTS)
        write_encoder(part / ENCODER, shape, tensors)
        write_words(part / WORDS, tensors, words)
        return shape

    _build(folder, hash_file(q4), tokenizer, write)


def assemble(weights: Path, tokenizer: Path, folder: Path) -> None:
    """Write the folder around the hub's full-precision weights; raises like `rebuild`."""

    def write(part: Path) -> Shape:
        _link(weights, part / WEIGHTS)
        tensors = _tensors_of(weights)
        write_encoder(part / ENCODER, E5_SMALL, tensors)
        write_words(part / WORDS, tensors)
        return E5_SMALL

    _build(folder, hash_file(weights), tokenizer, write)


def is_whole(folder: Path, source_sha256: str, digests: Digests) -> bool:
    """Tell whether the folder was built from that weights file and is undamaged."""
    told, files = _read_manifest(folder)
    wanted = {WEIGHTS, ENCODER, WORDS, TOKENIZER, *WRITTEN, *_configuration(E5_SMALL)}
    return (
        told == source_sha256
        and set(files) == wanted
        and all(digests.matches(folder / name, sha256) for name, sha256 in files.items())
    )


def stored_digests(folder: Path) -> dict[str, str]:
    """Return the digest that each file of the folder had when it was built.

    Empty where there is no folder, or none with a manifest of this format.
    """
    return _read_manifest(folder)[1]


def _read_manifest(folder: Path) -> tuple[str, dict[str, str]]:
    """Return the digest of the weights file it was built from, and those of its files."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        files = {str(name): str(sha256) for name, sha256 in manifest["files"].items()}
        return (str(manifest["source"]), files) if manifest["format"] == FORMAT else ("", {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", {}


def _build(folder: Path, source: str, tokenizer: Path, write: Callable[[Path], Shape]) -> None:
    part = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(mode=0o700)
        shape = write(part)
        _link(tokenizer, part / TOKENIZER)
        write_pieces(tokenizer, part)
        for name, value in _configuration(shape).items():
            _write_json(part / name, value)
        _write_manifest(part, source)
        _move_into_place(part, folder)
    except OSError as error:
        raise ModelUnavailable(
            f"{folder} cannot be written: {error}", "Make room, or set RAG_MODELS."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _tensors_of(weights: Path) -> dict[str, Any]:
    """Read a file of full-precision weights; raises `ModelCorrupt`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(weights)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelCorrupt(
            f"{weights} cannot be read: {error}",
            "Fetch it again: rag models pull multilingual-e5-small",
        ) from error
    prefix = next((p for p in _PREFIXES if f"{p}embeddings.LayerNorm.weight" in tensors), "")
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _write_weights(tensors: dict[str, Any], shape: Shape, path: Path) -> None:
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    # Mean pooling never looks at BERT's pooler, and the 4-bit file has none; without it
    # the loader would warn that it makes one up.
    pooler = {
        "pooler.dense.weight": np.zeros((shape.hidden, shape.hidden), np.float32),
        "pooler.dense.bias": np.zeros(shape.hidden, np.float32),
    }
    try:
        save_file({**tensors, **pooler}, path, metadata={"format": "pt"})
    except SafetensorError as error:  # a full disk, for one
        raise OSError(str(error)) from error


def _link(source: Path, target: Path) -> None:
    """Give the file a second name; a copy where the file system has no links."""
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_manifest(part: Path, source: str) -> None:
    """Make all files private, flush them to the disk and write down their digests."""
    files = {}
    for path in sorted(p for p in part.rglob("*") if p.is_file()):
        path.chmod(0o600)
        with path.open("rb") as file:
            flush_to_disk(file)
        files[path.relative_to(part).as_posix()] = hash_file(path)
    _write_json(part / MANIFEST, {"format": FORMAT, "source": source, "files": files})
    (part / MANIFEST).chmod(0o600)


def _move_into_place(part: Path, folder: Path) -> None:
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _configuration(shape: Shape) -> dict[str, Any]:
    """Return the small files that transformers and sentence-transformers ask for."""
    modules = ["Transformer", "Pooling", "Normalize"]
    return {
        "config.json": _bert(shape),
        "tokenizer_config.json": _tokenizer(shape),
        "modules.json": [
            {
                "idx": number,
                "name": str(number),
                "path": f"{number}_{module}" if number else "",
                "type": f"sentence_transformers.models.{module}",
            }
            for number, module in enumerate(modules)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": shape.hidden,
            "pooling_mode_mean_tokens": True,
        },
        "2_Normalize/config.json": {},
        "sentence_bert_config.json": {"max_seq_length": shape.positions, "do_lower_case": False},
    }


def _bert(shape: Shape) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.ffn,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.types,
        "layer_norm_eps": shape.epsilon,
        # As llama.cpp reckons it. With PyTorch's own form the nearest ten of a question by the one
        # were those by the other in 93% of the cases, with this in 98% (benchmarks/LOG.md).
        "hidden_act": "gelu_pytorch_tanh",
        "pad_token_id": 1,
        "dtype": "float32",
    }


def _tokenizer(shape: Shape) -> dict[str, Any]:
    # The class that takes tokenizer.json as it is: XLMRobertaTokenizer of transformers 5
    # cuts runs of spaces and `<mask>` otherwise than the file says.
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": shape.positions,
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
