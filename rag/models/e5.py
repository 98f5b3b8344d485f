"""multilingual-e5-small out of its 4-bit file: read E5S1, dequantise, name for BERT.

E5S1 is the format of `e5-small-q4.bin` (little-endian): a header with the shape of the
network, a tokenizer block that is skipped (`tokenizer.json` serves), a table of tensors
and their data. A Q4_0 block of 18 bytes holds 32 weights: a float16 scale and 16 bytes
whose low nibbles are weights 0 to 15 and whose high nibbles are 16 to 31; a weight is
(nibble - 8) * scale, as in GGUF. This module does not know where the file comes from,
nor what a sentence-transformers folder looks like.
"""

from __future__ import annotations

import math
import struct
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelCorrupt

MAGIC = b"E5S1"
VERSION = 1
F32, Q4_0 = 0, 1
BLOCK_WEIGHTS = 32
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", (BLOCK_WEIGHTS // 2,))])

Floats = NDArray[np.float32]

# The names of a layer's parts in E5S1 and in `transformers.BertModel`.
_LINEAR = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORM = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
_EMBEDDINGS, _PER_LAYER = 5, 2 * (len(_LINEAR) + len(_NORM))


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a BERT encoder; `epsilon` is that of its LayerNorms."""

    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    types: int
    epsilon: float


E5_SMALL = Shape(384, 12, 12, 1536, 250_037, 512, 2, 1e-12)


class Weights(NamedTuple):
    """A network's shape and its float32 tensors.

    `words` are the word embeddings as they lie in the file, in Q4_0 blocks, shape
    (vocabulary, bytes of a row); `None` where they are not in 4 bits.
    """

    shape: Shape
    tensors: dict[str, Floats]
    words: NDArray[np.uint8] | None


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row of the tensor table; `offset` and `size` are bytes."""

    kind: int
    count: int
    offset: int
    size: int


class _Reader:
    """Little-endian values from bytes, front to back; raises `ModelCorrupt` at the end."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data = data
        self.path = path
        self.position = 0

    def values(self, layout: str) -> tuple[Any, ...]:
        start = self.position
        self.skip(struct.calcsize("<" + layout))
        return struct.unpack_from("<" + layout, self.data, start)

    def skip(self, size: int) -> None:
        if size < 0 or size > len(self.data) - self.position:
            raise self.corrupt("it ends too early")
        self.position += size

    def corrupt(self, why: str) -> ModelCorrupt:
        return ModelCorrupt(
            f"{self.path} is no sound 4-bit E5 file: {why}",
            "Fetch it again: rag models pull multilingual-e5-small",
        )


def read_e5(path: Path) -> Weights:
    """Read the file; its tensors are named as in `BertModel`.

    Raises `ModelCorrupt` where the file is truncated, foreign or contradicts itself, and
    `OSError` where it cannot be read.
    """
    reader, shape, table = _open(path)
    tensors = {}
    for name, (bert_name, dimensions) in _expected(shape).items():
        tensors[bert_name] = _values(reader, _entry(reader, table, name, dimensions)).reshape(
            dimensions
        )
    words = table["emb.word"]
    raw = np.frombuffer(reader.data, np.uint8, words.size, words.offset)
    return Weights(shape, tensors, raw.reshape(shape.vocab, -1) if words.kind == Q4_0 else None)


def _open(path: Path) -> tuple[_Reader, Shape, dict[str, _Entry]]:
    reader = _Reader(path.read_bytes(), path)
    shape = _read_header(reader)
    _skip_tokenizer(reader)
    table = _read_table(reader)
    if len(table) != _EMBEDDINGS + _PER_LAYER * shape.layers:
        raise reader.corrupt(f"{len(table)} tensors do not make {shape.layers} layers")
    return reader, shape, table


def _entry(
    reader: _Reader, table: dict[str, _Entry], name: str, dimensions: tuple[int, ...]
) -> _Entry:
    if name not in table or table[name].count != math.prod(dimensions):
        raise reader.corrupt(f"tensor {name} is missing or has another size")
    return table[name]


def _read_header(reader: _Reader) -> Shape:
    magic, version = reader.values("4sI")
    if magic != MAGIC or version != VERSION:
        raise reader.corrupt("it does not begin with E5S1, version 1")
    hidden, layers, heads, ffn, vocab, positions, types, epsilon, block = reader.values("7ifi")
    # The file has it in single precision; six digits give back what was meant.
    epsilon = float(f"{epsilon:.6g}")
    shape = Shape(hidden, layers, heads, ffn, vocab, positions, types, epsilon)
    sound = all(0 < number < math.inf for number in astuple(shape))
    if block != BLOCK_WEIGHTS or not sound or hidden % heads:
        raise reader.corrupt("its header makes no sense")
    return shape


def _skip_tokenizer(reader: _Reader) -> None:
    pieces, _bos, _eos, _pad, _unk, blob = reader.values("5iQ")
    # Offsets (one more than pieces), scores, then the pieces' bytes.
    reader.skip(4 * (pieces + 1) + 4 * pieces + blob)
    _rules, norm_bytes = reader.values("iI")
    reader.skip(norm_bytes)


def _read_table(reader: _Reader) -> dict[str, _Entry]:
    table = {}
    for _ in range(reader.values("i")[0]):
        (length,) = reader.values("H")
        (name,) = reader.values(f"{length}s")
        table[name.decode("ascii", "replace")] = _Entry(*reader.values("BIQQ"))
    return table


def _values(reader: _Reader, entry: _Entry) -> Floats:
    """Return the tensor's values, flat; raises `ModelCorrupt`."""
    if entry.offset + entry.size > len(reader.data):
        raise reader.corrupt("it ends too early")
    if entry.kind == F32 and entry.size == 4 * entry.count:
        return np.frombuffer(reader.data, "<f4", entry.count, entry.offset).astype(np.float32)
    blocks, rest = divmod(entry.count, BLOCK_WEIGHTS)
    if entry.kind == Q4_0 and rest == 0 and entry.size == BLOCK.itemsize * blocks:
        return dequantise(np.frombuffer(reader.data, BLOCK, blocks, entry.offset))
    raise reader.corrupt("a tensor has an unknown type or an odd size")


def dequantise(blocks: NDArray[np.void]) -> Floats:
    """Return the weights of Q4_0 blocks: n blocks to a flat float32 array of 32 n."""
    half = BLOCK_WEIGHTS // 2
    weights = np.empty((len(blocks), BLOCK_WEIGHTS), np.float32)
    weights[:, :half] = blocks["nibbles"] & 15
    weights[:, half:] = blocks["nibbles"] >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def _expected(shape: Shape) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Map each E5S1 name to its `BertModel` name and its dimensions (rows are outputs)."""
    hidden = shape.hidden
    names: dict[str, tuple[str, tuple[int, ...]]] = {
        "emb.word": ("embeddings.word_embeddings.weight", (shape.vocab, hidden)),
        "emb.pos": ("embeddings.position_embeddings.weight", (shape.positions, hidden)),
        "emb.type": ("embeddings.token_type_embeddings.weight", (shape.types, hidden)),
        "emb.ln.w": ("embeddings.LayerNorm.weight", (hidden,)),
        "emb.ln.b": ("embeddings.LayerNorm.bias", (hidden,)),
    }
    sizes = {"fi": (shape.ffn, hidden), "fo": (hidden, shape.ffn)}
    for number in range(shape.layers):
        layer = f"encoder.layer.{number}"
        for short, part in _LINEAR.items():
            rows, columns = sizes.get(short, (hidden, hidden))
            names[f"l{number}.{short}.w"] = (f"{layer}.{part}.weight", (rows, columns))
            names[f"l{number}.{short}.b"] = (f"{layer}.{part}.bias", (rows,))
        for short, part in _NORM.items():
            names[f"l{number}.{short}.w"] = (f"{layer}.{part}.weight", (hidden,))
            names[f"l{number}.{short}.b"] = (f"{layer}.{part}.bias", (hidden,))
    return names
