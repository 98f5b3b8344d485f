"""The head of a GGUF file: what must be known before llama.cpp opens it.

Only as much is read as it takes; the vocabulary, which is most of the metadata, comes
after what is looked for in every file that llama.cpp's own tools write. Layout: the
specification in ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

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
        file.seek(_number(file, "<Q"), 1)
    elif kind == _ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner in _WIDTHS:
            file.seek(_WIDTHS[inner] * count, 1)
        else:
            for _ in range(count):
                _skip(file, inner)
    elif kind in _WIDTHS:
        file.seek(_WIDTHS[kind], 1)
    else:
        raise ValueError(f"no kind {kind}")
