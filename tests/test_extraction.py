"""Evidence to readings: signals, their order, and what is read in the first place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import PLAIN_CALIBRATION, FakeEmbedder, FakeReader

from rag.calibration import Calibration, Weights
from rag.datatypes import Chunk, Evidence, Hit, Quote
from rag.extraction import crosses, extract, read_sentences
from rag.index import Index
from rag.retrieve import Found, retrieve


def sentence(number: int, text: str, score: float = 0.5, chunk: str = "c") -> Evidence:
    """Return a sentence that is the whole of its chunk."""
    whole = Chunk(chunk, "d", "a.txt", 0, len(text), None, text)
    return Evidence(number, Quote(whole, 0, len(text), text), score)


def hit(chunk: str, keyword: float) -> Hit:
    return Hit(Chunk(chunk, "d", "a.txt", 0, 1, None, "x"), 1.0, 1, 1, keyword=keyword)


def read(
    question: str,
    evidence: list[Evidence],
    reader: FakeReader,
    hits: tuple[Hit, ...] = (),
    calibration: Calibration = PLAIN_CALIBRATION,
) -> list[tuple[int, str]]:
    """Return the numbers of the sentences that were read, and what they may answer."""
    readings = read_sentences(question, evidence, hits, reader, calibration)
    return [(r.evidence.number, r.text) for r in readings]


def test_all_sentences_are_read_at_once_as_they_are() -> None:
    reader = FakeReader("15,000")
    read("how many?", [sentence(1, "15,000 men"), sentence(2, "<b>two</b>")], reader)
    assert reader.reads == [("how many?", ["15,000 men", "<b>two</b>"])]


def test_the_likeliest_comes_first_and_is_a_slice_of_its_sentence() -> None:
    evidence = [sentence(1, "nothing of it"), sentence(2, "about 15,000 men")]
    assert read("how many?", evidence, FakeReader()) == [(2, "15,000"), (1, "nothing")]


def test_of_equally_likely_ones_the_better_found_comes_first() -> None:
    evidence = [sentence(n, "15,000 men") for n in (3, 1, 2)]
    assert [n for n, _ in read("how many?", evidence, FakeReader())] == [1, 2, 3]


def test_the_calibration_decides_not_the_margin_alone() -> None:
    ranking, found = Weights(0.0, {"cosine": 1.0}), Weights(0.5, {"margin": 0.25})
    by_cosine = Calibration(ranking, found, Weights(0.0, {}), {"normal": 0.5}, 0.0)
    evidence = [sentence(1, "15,000 men", 0.2), sentence(2, "others", 0.8)]
    readings = read_sentences("how many?", evidence, (), FakeReader(), by_cosine)
    assert [(r.evidence.number, r.span.margin) for r in readings] == [(2, -4.0), (1, 4.0)]
    assert readings[0].rank == pytest.approx(0.6900, abs=1e-4)  # 1 / (1 + e^-0.8)
    assert readings[0].confidence == pytest.approx(0.3775, abs=1e-4)  # .5 - 4 / 4: 1 / (1 + e^.5)


def test_signals_are_those_of_the_reader_and_of_the_search() -> None:
    evidence = [sentence(1, "15,000 men", 0.7, "a"), sentence(2, "उत्तर कोरिया", 0.3, "b")]
    hits = (hit("a", 0.25), hit("b", 0.75))
    one, two = read_sentences("how many?", evidence, hits, FakeReader(), PLAIN_CALIBRATION)
    assert (one.signals.margin, one.signals.cosine, one.signals.keyword) == (4.0, 0.7, 0.25)
    assert (two.signals.margin, two.signals.cosine, two.signals.keyword) == (-4.0, 0.3, 0.75)
    assert (one.signals.crossing, two.signals.crossing) == (False, True)
    assert one.signals.refusal is None
    assert one.confidence == pytest.approx(0.9820, abs=1e-4)  # 1 / (1 + e^-4)
    assert two.confidence == pytest.approx(0.0180, abs=1e-4)


def test_a_sentence_of_a_chunk_that_was_not_hit_has_no_keywords() -> None:
    evidence = [sentence(1, "15,000 men", chunk="other")]
    [reading] = read_sentences("q", evidence, (hit("a", 0.9),), FakeReader(), PLAIN_CALIBRATION)
    assert reading.signals.keyword == 0.0


def test_a_sentence_without_a_span_is_no_reading() -> None:
    evidence = [sentence(1, "..."), sentence(2, "15,000 men"), sentence(3, "?!")]
    assert read("how many?", evidence, FakeReader()) == [(2, "15,000")]


def test_nothing_to_read_gives_no_readings() -> None:
    assert read("how many?", [], FakeReader()) == []


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("How many troops?", "उत्तर कोरिया ने सैनिक भेजे।", True),
        ("कितने सैनिक?", "North Korea sent troops.", True),
        ("कितने सैनिक?", "उत्तर कोरिया ने NATO को सैनिक भेजे।", False),
        ("How many troops?", "North Korea sent troops.", False),
        ("How many troops?", "12 | 15,000 | 3.5", False),  # numbers are in no script
        ("कितने सैनिक?", "12 | १५,००० | 3.5", False),
        ("Сколько солдат?", "How many soldiers", True),
        ("¿Cuántos soldados?", "How many soldiers", False),
    ],
)
def test_crossing_is_between_scripts(question: str, text: str, expected: bool) -> None:
    assert crosses(question, text) is expected


def test_what_was_found_in_an_index_is_read(
    small_index: Index, embedder: FakeEmbedder, calibration: Calibration
) -> None:
    def found(question: str) -> Found:
        return retrieve(question, small_index, embedder, k=3, evidence=6)

    ask: Callable[[str, str], list[str]] = lambda question, answer: [  # noqa: E731
        r.text for r in extract(question, found(question), FakeReader(answer), calibration)
    ]
    question = "how many North Korean soldiers were sent to Russia?"
    assert ask(question, "15,000")[0] == "15,000"
    assert ask("कितने सैनिकों की मौत हुई?", "600")[0] == "600"
    readings = extract(question, found(question), FakeReader("15,000"), calibration)
    assert readings[0].signals.crossing
    assert readings[0].signals.cosine == readings[0].evidence.score
    by_chunk = {h.chunk.id: h.keyword for h in found(question).hits}
    assert all(r.signals.keyword == by_chunk[r.evidence.quote.chunk.id] for r in readings)
