"""The head of a GGUF file, made by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from rag.models import trained_context

STRING, ARRAY, U32, U64, F32, BOOL = 8, 9, 4, 10, 6, 7


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def number(value: int) -> bytes:
    return struct.pack("<I", value)


def gguf(*entries: bytes) -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", 3, 7, len(entries)) + b"".join(entries)


NAME = entry("general.architecture", STRING, text("tiny"))
WINDOW = entry("tiny.context_length", U32, number(2048))
OTHER = entry("draft.context_length", U32, number(64))
LIST = entry("words", ARRAY, number(STRING) + struct.pack("<Q", 2) + text("एक") + text("two"))
NUMBERS = entry("scores", ARRAY, number(F32) + struct.pack("<Q", 3) + bytes(12))
NESTED = entry("deep", ARRAY, number(ARRAY) + struct.pack("<Q", 1) + NUMBERS[14 + 4 :])
FLAG = entry("flag", BOOL, b"\1")
LONG = entry("tokenizer.chat_template", STRING, text("x" * 100_000))


def read(tmp_path: Path, data: bytes) -> int | None:
    (tmp_path / "a.gguf").write_bytes(data)
    return trained_context(tmp_path / "a.gguf")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((NAME, WINDOW), 2048),
        ((WINDOW, OTHER, NAME), 2048),
        ((FLAG, LIST, NUMBERS, LONG, NAME, OTHER, WINDOW), 2048),
        ((NESTED, NAME, WINDOW), None),  # llama.cpp reads none, either
        ((NAME, entry("tiny.context_length", U64, struct.pack("<Q", 4096))), 4096),
        ((NAME, OTHER), None),
        ((WINDOW,), None),
        ((NAME, entry("tiny.context_length", U32, number(0))), None),
        ((NAME, entry("tiny.context_length", STRING, text("2048"))), None),
        ((entry("odd", 99, b""), NAME, WINDOW), None),
    ],
)
def test_the_window_is_found_wherever_it_stands(
    tmp_path: Path, entries: tuple[bytes, ...], expected: int | None
) -> None:
    assert read(tmp_path, gguf(*entries)) == expected


def test_a_file_that_ends_early_tells_nothing(tmp_path: Path) -> None:
    data = gguf(LIST, NUMBERS, NAME, WINDOW)
    assert read(tmp_path, data) == 2048
    assert {read(tmp_path, data[:length]) for length in range(len(data))} == {None}


def test_a_name_without_end_is_not_read(tmp_path: Path) -> None:
    assert read(tmp_path, gguf(struct.pack("<Q", 1 << 60))) is None


def test_a_file_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert trained_context(tmp_path / "none.gguf") is None
