"""The head of a GGUF file: what must be known before llama.cpp opens it.

Only as much is read as it takes; the vocabulary, which is most of the metadata, comes
after what is looked for in every file that llama.cpp's own tools write. Layout: the
specification in ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection
from io import BufferedReader
from pathlib import Path

GGUF_MAGIC = b"GGUF"
GGUF_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, of metadata
GGUF_VERSIONS = (2, 3)

_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_WHOLE = {4: "<I", 5: "<i", 10: "<Q", 11: "<q"}
_FLOAT32, _STRING, _ARRAY = 6, 8, 9
# No key and no architecture is longer; a damaged length must not fill the memory.
_LONGEST_NAME = 1 << 16
_LONGEST_ARRAY = 1 << 20
_LONGEST_VALUE = 1 << 32
# What a tensor's entry and a pair of metadata take at least, in bytes.
_LEAST_TENSOR, _LEAST_PAIR = 32, 13
_MOST_DIMENSIONS, _ALIGNMENT, _UINT32 = 4, 32, 4
_SHOWN = 40  # characters of a name in an error


def trained_context(path: Path) -> int | None:
    """Return the window, in tokens, that the file's model was trained for.

    `None` where the file does not tell, or tells nothing that makes sense.
    """
    try:
        with path.open("rb") as file:
            return _find(file)
    except (OSError, struct.error, ValueError, OverflowError):
        return None


def float_arrays(path: Path, keys: Collection[str]) -> dict[str, list[float]]:
    """Return those of the metadata that are arrays of float32 numbers.

    Raises `OSError`, and `ValueError` where the file is no GGUF file or lacks one of them.
    """
    try:
        with path.open("rb") as file:
            magic, _, _, count = GGUF_HEADER.unpack(file.read(GGUF_HEADER.size))
            found = {} if magic != GGUF_MAGIC else _arrays(file, count, keys)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"it is no GGUF file: {error}") from error
    if missing := set(keys) - found.keys():
        raise ValueError(f"it has no {min(missing)}")
    return found


def validate(path: Path) -> None:
    """Walk through the whole head of a GGUF file before anything maps it.

    Raises ValueError where a count, a length or a place leads out of the file, where a kind is
    unknown, or where two tensors have one name; OSError where it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            magic, version, tensors, pairs = GGUF_HEADER.unpack(file.read(GGUF_HEADER.size))
            if magic != GGUF_MAGIC or version not in GGUF_VERSIONS:
                raise ValueError("it does not begin as a GGUF file")
            if tensors > size // _LEAST_TENSOR or pairs > size // _LEAST_PAIR:
                raise ValueError("it promises more than it can hold")
            alignment = _walk_metadata(file, pairs, size)
            _walk_tensors(file, tensors, size, alignment)
        except (struct.error, OverflowError, UnicodeDecodeError) as error:
            raise ValueError("it ends too early, or a name in it is no text") from error


def _walk_metadata(file: BufferedReader, count: int, size: int) -> int:
    """Go over all pairs; return the alignment of the tensors."""
    alignment, seen = _ALIGNMENT, set[str]()
    for _ in range(count):
        key, kind = _text(file), _number(file, "<I")
        if key in seen:
            raise ValueError(f"{key[:_SHOWN]!r} is told twice")
        seen.add(key)
        if key == "general.alignment" and kind == _UINT32:
            alignment = _number(file, "<I")
            if alignment < 8 or alignment & (alignment - 1):
                raise ValueError(f"an alignment of {alignment}")
            continue
        _skip(file, kind)
        if file.tell() > size:
            raise ValueError(f"the value of {key[:_SHOWN]!r} ends behind the file")
    return alignment


def _walk_tensors(file: BufferedReader, count: int, size: int, alignment: int) -> None:
    """Go over all tensors; each must lie in the file."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    found: dict[str, tuple[int, int]] = {}
    for _ in range(count):
        name, dimensions = _text(file), _number(file, "<I")
        if name in found or not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(f"the tensor {name[:_SHOWN]!r} is there twice or has no shape")
        shape = struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions))
        kind, offset = _number(file, "<I"), _number(file, "<Q")
        block, width = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        if offset % alignment or not all(shape) or shape[0] % block:
            raise ValueError(f"the tensor {name[:_SHOWN]!r} has no place or no shape")
        found[name] = offset, math.prod(shape) // block * width
    start = -(-file.tell() // alignment) * alignment
    for name, (offset, length) in found.items():
        if start + offset + length > size:
            raise ValueError(f"the tensor {name[:_SHOWN]!r} ends behind the file")


def _arrays(file: BufferedReader, count: int, keys: Collection[str]) -> dict[str, list[float]]:
    found = {}
    for _ in range(count):
        key, kind = _text(file), _number(file, "<I")
        if key in keys and kind == _ARRAY and _number(file, "<I") == _FLOAT32:
            length = _number(file, "<Q")
            if length > _LONGEST_ARRAY:
                raise ValueError("an array without end")
            found[key] = list(struct.unpack(f"<{length}f", file.read(4 * length)))
        elif key in keys:
            raise ValueError(f"{key} is no array of float32 numbers")
        else:
            _skip(file, kind)
    return found


def _find(file: BufferedReader) -> int | None:
    *_, count = GGUF_HEADER.unpack(file.read(GGUF_HEADER.size))
    architecture, lengths = "", dict[str, int]()
    for _ in range(count):
        key, kind = _text(file), _number(file, "<I")
        if key == "general.architecture" and kind == _STRING:
            architecture = _text(file)
        elif key.endswith(".context_length") and kind in _WHOLE:
            lengths[key] = _number(file, _WHOLE[kind])
        else:
            _skip(file, kind)
        if (found := lengths.get(f"{architecture}.context_length")) is not None:
            return found if found > 0 else None
    return None


def _number(file: BufferedReader, form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _text(file: BufferedReader) -> str:
    length = _number(file, "<Q")
    if length > _LONGEST_NAME:
        raise ValueError("a name without end")
    return file.read(length).decode()


def _skip(file: BufferedReader, kind: int) -> None:
    if kind == _STRING:
        _leap(file, _number(file, "<Q"))
    elif kind == _ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner in _WIDTHS:
            _leap(file, _WIDTHS[inner] * count)
        elif inner == _STRING:
            for _ in range(count):
                _leap(file, _number(file, "<Q"))
        else:
            raise ValueError(f"an array of kind {inner}")
    elif kind in _WIDTHS:
        _leap(file, _WIDTHS[kind])
    else:
        raise ValueError(f"no kind {kind}")


def _leap(file: BufferedReader, count: int) -> None:
    if count > _LONGEST_VALUE:
        raise ValueError("a value without end")
    file.seek(count, 1)
