"""Cutting texts: by hand on a small vocabulary, and alike with all pieces and with those needed."""

from __future__ import annotations

import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embedding import Tokenizer
from rag.embedding.tokens import BEGIN, END, LONGEST
from rag.errors import ModelCorrupt
from rag.models import BASE, PIECES, PLACES, TRIE, SilentProgress, resolve_embedder
from rag.models.e5_pieces import MARKS, write_pieces
from rag.settings import Settings

UNKNOWN = MARKS.index("<unk>")
# By ids 4, 5, …; an unknown character costs ten more than the unlikeliest piece: 70.
VOCABULARY = {
    "▁a": -1.0, "b": -2.0, "▁ab": -2.5, "▁": -3.0, "की": -2.0, "क": -3.0, "c": -60.0,
    "wx": -20.0, "yz": -20.0, "▁wxy": -3.0, "😀": -4.0,
}  # fmt: skip
LETTERS = "abcwxyzकी 😀q\u0301"
MUCH = 10**9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cutting"))


def write(folder: Path) -> Path:
    vocabulary = [*((mark, 0.0) for mark in MARKS), *VOCABULARY.items()]
    told = {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": ""},
        "model": {"type": "Unigram", "unk_id": UNKNOWN, "vocab": vocabulary},
    }
    (folder / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")
    write_pieces(folder / "tokenizer.json", folder)
    return folder


def ids(*pieces: str) -> list[int]:
    places = [*MARKS, *VOCABULARY]
    return [places.index(piece) for piece in pieces]


@pytest.mark.parametrize("little", [0, MUCH])
@pytest.mark.parametrize(
    ("text", "pieces", "offsets"),
    [
        ("ab", ["▁ab"], [(0, 2)]),  # 2.5 and not 1 + 2
        ("aab", ["▁a", "<unk>", "b"], [(0, 1), (1, 2), (2, 3)]),
        ("a b", ["▁a", "▁", "b"], [(0, 1), (1, 2), (2, 3)]),
        ("की", ["▁", "की"], [(0, 0), (0, 2)]),
        # 3 + 20 + 20; with 30 for an unknown character it would be 3 + 30.
        ("wxyz", ["▁", "wx", "yz"], [(0, 0), (0, 2), (2, 4)]),
        ("😀b", ["▁", "😀", "b"], [(0, 0), (0, 1), (1, 2)]),
        ("", [], []),
    ],
)
def test_the_likeliest_pieces_are_found(
    folder: Path, little: int, text: str, pieces: list[str], offsets: list[tuple[int, int]]
) -> None:
    cut = Tokenizer.load(folder, little).pieces(text)
    assert cut.ids == ids(*pieces)
    assert cut.offsets == offsets


@pytest.mark.parametrize("little", [0, MUCH])
def test_inputs_are_marked_and_cut_and_counts_are_without_marks(folder: Path, little: int) -> None:
    tokenizer = Tokenizer.load(folder, little)
    assert tokenizer.single("ab") == [BEGIN, *ids("▁ab"), END]
    long = tokenizer.single("a " * LONGEST)
    assert long == [BEGIN, *ids("▁a") * (LONGEST - 2), END]
    assert tokenizer.counts(["ab", "", "a b"]) == [1, 0, 3]
    assert tokenizer.counts([]) == []


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """Return one that never has all pieces, and one that always has."""
    return Tokenizer.load(folder, MUCH), Tokenizer.load(folder, 0)


@given(texts=st.lists(st.text(LETTERS, max_size=12), max_size=3))
def test_few_pieces_cut_like_all(both: tuple[Tokenizer, Tokenizer], texts: list[str]) -> None:
    few, every = both
    assert few.counts(texts) == every.counts(texts)
    assert [few.pieces(text) for text in texts] == [every.pieces(text) for text in texts]


def test_the_vocabulary_has_all_pieces_by_their_ids(folder: Path) -> None:
    assert Tokenizer.load(folder).vocabulary() == [*MARKS, *VOCABULARY]


def test_all_pieces_are_loaded_after_much_text_only(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(write(tmp_path), little=5)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"\xff" * 9)
    damaged.replace(tmp_path / PIECES)
    assert tokenizer.single("ab") == tokenizer.single("ab")  # four characters
    with pytest.raises(ModelCorrupt, match="no tokenizer") as error:
        tokenizer.counts(["ab"])
    assert "\n" not in str(error.value)


def test_a_lone_surrogate_is_a_question_mark(both: tuple[Tokenizer, Tokenizer]) -> None:
    few, every = both
    assert few.pieces("a\ud800").ids == every.pieces("a\ud800").ids == ids("▁a", "<unk>")


def damaged(name: str, content: bytes | None) -> Any:
    return pytest.param(name, content, id=f"{name}: {content!r}"[:30])


@pytest.mark.parametrize(
    ("name", "content"),
    [damaged(name, content) for name in (BASE, TRIE, PLACES, PIECES) for content in (None, b"")]
    + [damaged(name, b"\xff" * 40) for name in (BASE, TRIE, PLACES)],
)
def test_files_that_are_no_tokenizer_are_one_line(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    write(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelCorrupt, match="is no tokenizer") as error:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(error.value)
    assert "rag models pull" in str(error.value)


def test_pieces_that_were_damaged_meanwhile_are_one_line(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(write(tmp_path))
    with (tmp_path / PIECES).open("r+b") as file:  # the very file that is mapped
        file.write(b"\xff" * (tmp_path / PIECES).stat().st_size)
    with pytest.raises(ModelCorrupt, match="is no tokenizer") as error:
        tokenizer.single("ab")
    assert "\n" not in str(error.value)


def test_places_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    np.save(tmp_path / PLACES, np.zeros((3, 3), np.uint32))
    with pytest.raises(ModelCorrupt, match="no tokenizer"):
        Tokenizer.load(tmp_path)


# The real one


@pytest.mark.models
def test_the_real_vocabulary_cuts_alike_in_all_scripts() -> None:
    file = resolve_embedder("multilingual-e5-small", Settings.load(), SilentProgress())
    few, every = (Tokenizer.load(Path(file.path), little) for little in (MUCH, 0))
    texts = [
        "query: how many troops were sent?", "उत्तर कोरिया ने रूस में लगभग १५,००० सैनिक भेजे हैं।",
        "كم عدد الجنود الذين أُرسلوا؟", "มีทหารกี่คนที่ถูกส่งไป", "派了多少士兵？ＡＢＣ ﬁ ½",
        "Скільки?  \t x\u200d",
        "👩‍👩‍👧 🇮🇳", "<s> </s> <mask> ▁▁a▁", "", " ", "é" * 700, "Thi\u0302\u0301ệt",
    ]  # fmt: skip
    texts += [unicodedata.normalize("NFD", text) for text in texts]
    drawn = random.Random(4)
    characters = [*range(1, 0x3000), *range(0x1F300, 0x1F700), 0xFFFD, 0x10FFFF]
    texts += ["".join(map(chr, drawn.choices(characters, k=40))) for _ in range(300)]
    assert [few.pieces(text) for text in texts] == [every.pieces(text) for text in texts]
    assert [few.single(text) for text in texts] == [every.single(text) for text in texts]
    assert few.counts(texts) == every.counts(texts)
