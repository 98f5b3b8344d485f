"""The span reader: spans from hand-made log-probabilities; the shipped weights on real text."""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Sequence
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.embedding import LightEmbedder, load_embedder
from rag.embedding.tokens import Pieces
from rag.errors import ModelCorrupt
from rag.language import sentences, word_spans, words
from rag.models import SilentProgress, resolve_embedder
from rag.settings import Settings
from rag.spans import BASE, BIAS, WEIGHT, Logits, Span, SpanReader, best_spans, plain, trimmed

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
PROBES = ["How many soldiers?", "कितने सैनिक?", "Wonsan"]
FAR = -20.0  # a log-probability that matters to nothing


def scored(
    text: str,
    pieces: Sequence[str],
    starts: dict[int, float],
    ends: dict[int, float],
    nothing: tuple[float, float] = (-1.0, -1.0),
    count: int = 3,
) -> list[tuple[str, float]]:
    """Run `best_spans` over a text cut into `pieces`, with log-probabilities by piece.

    Place 0 is the token before the question, which stands for "no answer"; two tokens of a
    question follow, and then the pieces.
    """
    offsets, place = [(0, 0)] * 3, 0
    for piece in pieces:
        place = text.index(piece, place)
        offsets.append((place, place + len(piece)))
        place += len(piece)
    logits = np.full((len(offsets), 2), FAR, dtype=np.float32)
    logits[0] = nothing
    for column, given_ in enumerate((starts, ends)):
        for piece_number, value in given_.items():
            logits[3 + piece_number, column] = value
    spans = best_spans(text, logits, range(3, len(offsets)), offsets, count)
    return [(text[s.start : s.end], pytest.approx(s.margin, abs=1e-4)) for s in spans]


# best_spans


def test_the_margin_is_by_how_much_a_span_beats_nothing() -> None:
    # Start -0.5 and end -0.25, against -1 and -1.5 for no answer: -0.75 + 2.5.
    found = scored("red blue green", ["red", "blue", "green"], {1: -0.5}, {1: -0.25}, (-1.0, -1.5))
    assert found[0] == ("blue", 1.75)


def test_an_unlikely_span_has_a_negative_margin() -> None:
    found = scored("red blue", ["red", "blue"], {0: -4.0}, {0: -3.0}, (-0.5, -0.25))
    assert found[0] == ("red", -6.25)


def test_several_spans_come_best_first_and_differ() -> None:
    found = scored(
        "red blue green",
        ["red", "blue", "green"],
        {0: -1.0, 1: -0.5},
        {0: -2.0, 1: -0.5},
        (-1.0, -1.0),
    )
    # blue -1, red blue -1.5, red -3; against -2.
    assert found == [("blue", 1.0), ("red blue", 0.5), ("red", -1.0)]


def test_no_more_spans_than_wanted() -> None:
    starts, ends = {0: -1.0, 1: -0.5}, {0: -2.0, 1: -0.5}
    found = scored("red blue", ["red", "blue"], starts, ends, count=1)
    assert [text for text, _ in found] == ["blue"]


def test_no_span_ends_before_it_starts() -> None:
    found = scored("red blue", ["red", "blue"], {1: -0.1}, {0: -0.1})
    assert found[0][0] in ("red", "blue")
    assert all(margin == pytest.approx(2 - 20.1, abs=1e-4) for _, margin in found[:2])


def test_tokens_of_the_question_are_never_pointed_at() -> None:
    logits = np.array([[-3, -3], [-0.1, -0.1], [-5, -5]], dtype=np.float32)
    spans = best_spans("red", logits, [2], [(0, 0), (0, 2), (0, 3)])
    assert spans == [Span(0, 3, pytest.approx(-4.0))]


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("about 15,000 soldiers", ["about", "15", ",000", "soldiers"], "15,000"),
        ("लगभग १५,००० सैनिक", ["लगभग", "१५", ",०००", "सैनिक"], "१५,०००"),
        ("rund 2,5 Liter", ["rund", "2", ",5", "Liter"], "2,5"),
        ("it was -5 degrees", ["was", "5"], "-5"),
        ("शहर वोन्सान है", ["शहर", "वो", "न्सान", "है"], "वोन्सान"),
        ("in Wonsan now", ["in", "Won", "san", "now"], "Wonsan"),
        ("on 80वीं day", ["on", "80", "वीं", "day"], "80वीं"),
        ("a cafe\u0301 here", ["a", "cafe", "\u0301"], "cafe\u0301"),
    ],
)
def test_a_span_is_widened_to_whole_words(text: str, pieces: list[str], expected: str) -> None:
    assert scored(text, pieces, {1: -0.1}, {1: -0.1})[0] == (expected, 1.8)


def test_pieces_of_one_word_are_one_span_with_the_best_margin() -> None:
    pieces = ["about", "15", ",000"]
    found = scored("about 15,000", pieces, {1: -0.5}, {1: -2.0, 2: -0.25})
    assert found[0] == ("15,000", 1.25)
    assert [text for text, _ in found].count("15,000") == 1


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("北京是首都", ["北京", "是", "首都"], "是"),
        ("เมืองหลวงคือกรุงเทพ", ["เมือง", "หลวง", "คือ"], "หลวง"),
        ("ไปที่นี่", ["ไป", "ท", "ี่นี่"], "ที่"),  # a vowel sign is never left behind
        ("有15,000人", ["有", "15", ",000人"], "15,000"),
    ],
)
def test_scripts_without_spaces_are_cut_where_the_reader_cuts(
    text: str, pieces: list[str], expected: str
) -> None:
    assert scored(text, pieces, {1: -0.1}, {1: -0.1})[0] == (expected, 1.8)


def test_punctuation_and_lone_brackets_at_the_edges_are_dropped() -> None:
    found = scored("Kim (the leader, left", ["Kim", "(the leader,", "left"], {1: -0.1}, {1: -0.1})
    assert found[0] == ("the leader", 1.8)


@pytest.mark.parametrize("text", ["... ,; «»", "()", "।।", "?!", "— – -", " "])
def test_a_text_without_a_word_has_no_span(text: str) -> None:
    assert scored(text, [text], {0: 0.0}, {0: 0.0}) == []


def test_no_tokens_no_span() -> None:
    assert best_spans("", np.zeros((1, 2), dtype=np.float32), [], [(0, 0)]) == []


def test_a_span_has_at_most_forty_tokens() -> None:
    pieces = [f"w{n}" for n in range(60)]
    text = " ".join(pieces)
    found = scored(text, pieces, {0: 0.0}, {39: -1.0, 40: 0.0})
    assert found[0] == (" ".join(pieces[:40]), 1.0)


# trimmed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" word ", "word"),
        ("“word,”", "word"),
        ("रूस।", "रूस"),
        ("(word", "word"),
        ("word)", "word"),
        ("(word)", "(word)"),
        ("word (the best)", "word (the best)"),
        ("((word)", "((word)"),  # one of them is closed
        ("(word].", "word"),
        ("15,000.", "15,000"),
        (".5", ".5"),
        ("...5", "5"),
        (",5", "5"),
        ("，北京。", "北京"),
        ("...", ""),
        ("", ""),
    ],
)
def test_trimmed(text: str, expected: str) -> None:
    start, end = trimmed(text, 0, len(text))
    assert text[start:end] == expected


def test_only_the_span_is_trimmed() -> None:
    assert trimmed("a, b, c", 1, 5) == (3, 4)


# plain


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", ""),
        ("15,000 सैनिक", "15,000 सैनिक"),
        ("15\u200b,000", "15,000"),
        ("क्\u200dष", "क्\u200dष"),  # a joiner in its place is no hidden character
        ("a\U000e0041\U000e0042b", "ab"),
        ("x\x1b[8mevil\x1b[0m y", "xevil y"),
        ("end</s>of <mask>", "end‹/s›of ‹mask›"),
    ],
)
def test_plain_leaves_out_what_nobody_sees(text: str, seen: str) -> None:
    got, places = plain(text)
    assert got == seen
    assert len(places) == len(got)
    # Each character is the one at its place, but for the angle brackets.
    brackets = str.maketrans("<>", "‹›")
    assert [text[place].translate(brackets) for place in places] == list(got)


class Whitespace:
    """A tokenizer with each word as a token."""

    def pieces(self, text: str) -> Pieces:
        spots, place = [], 0
        for word in text.split(" "):
            spots.append((place, place + len(word)))
            place += len(word) + 1
        return Pieces([7] * len(spots), spots)


class Flat:
    """An encoder whose states have a 1 at the second token of each text, and at the start."""

    size = 2

    def states(self, inputs: Sequence[Sequence[int]]) -> list[np.ndarray]:
        found = []
        for ids in inputs:
            states = np.full((len(ids), 2), FAR, dtype=np.float32)
            states[0] = -2.0
            # <s> query: how many? </s></s>, then the text.
            second = max(i for i, token in enumerate(ids[:-1]) if token == 2) + 2
            if second < len(ids):
                states[second] = -0.5
            found.append(states)
        return found


class Pointing(SpanReader):
    """A reader that is sure of the second word of each text."""

    def __init__(self) -> None:
        head = (np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32))
        super().__init__(Flat(), head, Whitespace(), "pointing")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sent 15,000 men", "15,000"),
        ("\u200bsent 15\u200b,000\u200b men", "15\u200b,000"),
        ("a\x1b[8m\x1b[0m 15,000 men", "15,000"),
    ],
)
def test_a_span_is_a_slice_of_the_text_as_given(text: str, expected: str) -> None:
    [[first, *_]] = Pointing().read("how many?", [text])
    assert text[first.start : first.end] == expected
    assert first.margin == pytest.approx(3.0)


def test_each_text_has_its_own_spans_and_no_texts_none() -> None:
    reader = Pointing()
    found = reader.read("q", ["one two", "", "...", "red blue"])
    assert [len(spans) > 0 for spans in found] == [True, False, False, True]
    assert found[3][0].start == 4
    assert reader.read("q", []) == []


# Whatever the text and the log-probabilities


LETTERS = st.sampled_from("aZß5०१,.()-“क्ाोन\u0301\u093c\u200dท ีก่北京\u3000 %'\u00a0")


@st.composite
def readings(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]], Logits]:
    text = draw(st.text(LETTERS, min_size=1, max_size=24))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    offsets = [(0, 0), *pairwise(cuts)]
    values = st.floats(-15, 0, width=32)
    flat = draw(st.lists(values, min_size=2 * len(offsets), max_size=2 * len(offsets)))
    return text, offsets, np.array(flat, dtype=np.float32).reshape(-1, 2)


@given(readings())
@example(("Z5%", [(0, 0), (0, 2), (2, 3)], np.zeros((3, 2), dtype=np.float32)))
@example(("क्ा.\u0301a", [(0, 0), (0, 3), (3, 6)], np.zeros((3, 2), dtype=np.float32)))
@example((".\u200d\u093e", [(0, 0), (0, 3)], np.zeros((2, 2), dtype=np.float32)))
def test_spans_are_inside_the_text_and_cut_no_word(
    reading: tuple[str, list[tuple[int, int]], Logits],
) -> None:
    text, offsets, logits = reading
    spans = best_spans(text, logits, range(1, len(offsets)), offsets)
    assert [s.margin for s in spans] == sorted((s.margin for s in spans), reverse=True)
    assert len({(s.start, s.end) for s in spans}) == len(spans)
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        assert words(text[span.start : span.end])
        if span.start:
            assert unicodedata.category(text[span.start])[0] != "M"
        if span.end < len(text):
            assert unicodedata.category(text[span.end])[0] != "M"
        for _, left, right in word_spans(text):
            if not any("\u0e00" <= c <= "\u0eff" or c > "\u3000" for c in text[left:right]):
                assert not left < span.start < right
                assert not left < span.end < right


# Loading


class Base:
    """An encoder of vectors of two; remembers what was put on it."""

    size = 2

    def __init__(self) -> None:
        self.put_on: list[Path] = []

    def adapted(self, adapter: Path) -> Base:
        self.put_on.append(adapter)
        return self


def reader_file(folder: Path, weight: list[float], bias: list[float], name: str = WEIGHT) -> Path:
    """Write a GGUF file with a head and nothing else."""
    import gguf

    path = folder / "updates.gguf"
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_string("note", "before the head")
    writer.add_array("strings", ["a", "b"])
    writer.add_array(name, weight)
    writer.add_array(BIAS, bias)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def one_line(file: Path) -> str:
    with pytest.raises(ModelCorrupt) as caught:
        SpanReader.load(file, Base(), Whitespace())
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    assert "pip install" in str(caught.value)
    return str(caught.value)


def test_the_head_is_read_row_by_row_and_the_updates_put_on(tmp_path: Path) -> None:
    file = reader_file(tmp_path, [1.0, 2.0, 3.0, 4.0], [5.0, 6.0])
    base = Base()
    reader = SpanReader.load(file, base, Whitespace())
    weight, bias = reader._head
    assert (weight.tolist(), bias.tolist()) == ([[1.0, 2.0], [3.0, 4.0]], [5.0, 6.0])
    assert (base.put_on, reader.identity) == ([file], "updates")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    assert "cannot be loaded" in one_line(tmp_path / "none.gguf")


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b'{"a": 1}', b"GGUF" + b"\xff" * 60])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "updates.gguf"
    file.write_bytes(content)
    one_line(file)


def test_a_file_cut_anywhere_in_its_head_is_one_line(tmp_path: Path) -> None:
    file = reader_file(tmp_path, [1.0, 2.0, 3.0, 4.0], [5.0, 6.0])
    whole = file.read_bytes()
    end = whole.index(struct.pack("<f", 6.0)) + 4
    for length in range(0, end, 3):
        file.write_bytes(whole[:length])
        one_line(file)


@pytest.mark.parametrize(
    ("weight", "bias", "name"),
    [
        ([1.0] * 3, [1.0] * 2, WEIGHT),
        ([1.0] * 6, [1.0] * 2, WEIGHT),
        ([1.0] * 4, [1.0], WEIGHT),
        ([1.0] * 4, [1.0] * 2, "other"),
    ],
)
def test_a_head_of_something_else_is_one_line(
    tmp_path: Path, weight: list[float], bias: list[float], name: str
) -> None:
    one_line(reader_file(tmp_path, weight, bias, name))


# The shipped reader


@pytest.fixture(scope="module")
def real() -> tuple[LightEmbedder, np.ndarray, SpanReader]:
    """The embedder, what it gave before the reader was loaded on it, and the reader."""
    settings = Settings.load(env={})
    file = resolve_embedder(BASE, settings, SilentProgress())
    embedder = load_embedder(file)
    before = embedder.embed_queries(PROBES)
    reader = SpanReader.shipped(embedder, settings, SilentProgress())
    assert (Path(str(resources.files("rag"))) / f"{reader.identity}.gguf").is_file()
    return embedder, before, reader


def sentence_with(part: str) -> str:
    """Return a sentence of the seed documents that holds `part`."""
    for path in sorted(SEEDS.glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        for start, end in sentences(text):
            if part in text[start:end]:
                return text[start:end]
    raise AssertionError(f"no seed document holds {part}")


@pytest.mark.models
@pytest.mark.parametrize(
    ("question", "part", "answer"),
    [
        ("उत्तर कोरिया ने लगभग कितने सैनिक भेजे हैं?", "15,000", "15,000"),
        ("About how many troops did North Korea send?", "15,000", "15,000"),
        ("लावरोव उत्तर कोरिया के किस शहर पहुंचे?", "निजी विमान", "वोन्सान"),
        ("Which city did Lavrov arrive in by private plane?", "निजी विमान", "वोन्सान"),
        ("कुर्स्क में कितने सैन्य निर्माणकर्मी भेजे जाएंगे?", "सैपर", "5,000"),
        ("When did the invasion begin?", "अलग-थलग देश", "फरवरी 2022"),
    ],
)
def test_the_shipped_reader_finds_answers_in_the_seeds(
    real: Any, question: str, part: str, answer: str
) -> None:
    _, _, reader = real
    text = sentence_with(part)
    [[best, *_]] = reader.read(question, [text])
    assert answer in text[best.start : best.end]
    assert best.end - best.start <= len(answer) + 25
    assert best.margin > 0


@pytest.mark.models
@pytest.mark.parametrize(
    "question", ["About how many troops did North Korea send?", "लावरोव किस शहर पहुंचे?"]
)
def test_the_shipped_reader_finds_nothing_in_an_unrelated_sentence(
    real: Any, question: str
) -> None:
    _, _, reader = real
    [spans] = reader.read(question, ["The recipe needs two eggs and a spoon of sugar."])
    assert all(span.margin < 0 for span in spans)


@pytest.mark.models
def test_embeddings_are_those_from_before_the_reader_was_loaded(real: Any) -> None:
    embedder, before, _ = real
    assert np.array_equal(embedder.embed_queries(PROBES), before)


@pytest.mark.models
def test_reading_again_gives_the_same_and_a_batch_nearly_the_same(real: Any) -> None:
    _, _, reader = real
    question = "About how many troops did North Korea send?"
    texts = [sentence_with(part) for part in ("15,000", "निजी विमान", "सैपर")]
    together = reader.read(question, texts)
    assert reader.read(question, texts) == together
    for text, spans in zip(texts, together, strict=True):
        [alone] = reader.read(question, [text])
        assert (alone[0].start, alone[0].end) == (spans[0].start, spans[0].end)
        assert alone[0].margin == pytest.approx(spans[0].margin, abs=0.01)


@pytest.mark.models
def test_a_question_that_fills_the_window_leaves_room_for_the_text(real: Any) -> None:
    _, _, reader = real
    hostile = "".join("qzxjkvwQZXJKVW0123456789@#%&"[n * 11 % 28] for n in range(990))
    text = sentence_with("15,000")
    [spans] = reader.read(f"About how many troops were sent? {hostile}", [text])
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@pytest.mark.models
def test_marks_of_the_tokenizer_in_a_text_are_letters_to_it(real: Any) -> None:
    _, _, reader = real
    text = f"<mask></s> {sentence_with('15,000')}"
    [[best, *_]] = reader.read("About how many troops did North Korea send?</s>", [text])
    assert "15,000" in text[best.start : best.end]


@pytest.mark.models
def test_the_vocabulary_marks_beginnings_of_words_and_is_by_frequency(real: Any) -> None:
    _, _, reader = real
    vocabulary = list(reader.vocabulary)
    assert vocabulary.index("▁the") < vocabulary.index("▁William")
    assert len(vocabulary) == len(set(vocabulary)) > 200_000
