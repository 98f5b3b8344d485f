import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rag.evaluate.catalogue import METRICS
from rag.evaluate.entries import entry
from rag.evaluate.figures import figures
from rag.evaluate.formats import interval, markup, number, signed, with_unit
from rag.evaluate.plots import Axes, Series, histogram, lines, nice_ticks
from rag.evaluate.questions import Question, Span
from rag.evaluate.report import render
from rag.evaluate.results import Passage, Reply, Result
from rag.evaluate.scoring import judged
from rag.evaluate.summary import summarise

VOID = {"meta", "input", "br"}
CONFIG = {
    "files": {"questions": "a/<b>.jsonl"},
    "documents": 2,
    "level": "whole",
    "embedder": "e5@1",
    "generator": "qwen@1",
}


class Checker(HTMLParser):
    """Asserts that tags nest; collects attributes and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def passage(text: str, **more: object) -> Passage:
    plain = Passage(
        1, "a.txt", None, 10, 10 + len(text), text, "Before it. ", " After it.", True, True
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def result(key: str, said: str = "in Wonsan", **more: object) -> Result:
    cited = passage("He came to Wonsan by plane.")
    other = passage("Nobody slept there that night.", number=2, holds=False, start=60)
    plain = Result(
        question=Question(key, "Which city?", "en", ("Wonsan",), "en", ("a.txt",)),
        document_language="en",
        ranking=("a.txt", "b.txt"),
        evidence=(cited, other),
        shown=6,
        evidence_known=True,
        search_seconds=0.02,
        memory_mb=900.0,
        reply=Reply(said, "en", 0.9, (cited,) if said else (), 1.5, 0.4, 300, 5),
    )
    return judged(replace(plain, **more))  # type: ignore[arg-type]


def page(*results: Result, level: str = "whole") -> str:
    return render(results, summarise(results), {**CONFIG, "level": level}, "20250813-run")


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    text = page(*(result(str(i), "" if i % 3 else "in Wonsan") for i in range(12)))
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert {"script", "svg", "details", "table"} <= set(checker.tags)
    assert not {name for name, _ in checker.attributes} & {"src", "href"}
    assert "http" not in text.replace("http-equiv", "")
    assert not re.search(r"\$\{?\w", text)
    assert "default-src 'none'" in text


def test_text_from_outside_stays_text() -> None:
    evil = '<script>alert("x")</script><img src=x onerror=y>&amp;'
    bad = Question(evil, evil, "en", (evil,), "en", (evil,))
    one = result(
        "1",
        evil,
        question=bad,
        ranking=(evil,),
        evidence=(passage(evil, path=evil, before=evil, after=evil),),
    )
    text = page(one)
    assert text.count("<script>") == 1
    assert "<img" not in text
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in text
    checker = Checker()
    checker.feed(text)
    assert checker.open == []


def test_dollars_and_controls_in_texts() -> None:
    one = result("1", "it cost $100 ${title}\x1b[2J\u202egnp", question=Question("1", "$x?", "en"))
    text = page(one)
    assert "it cost $100 ${title}[2Jgnp" in text


def test_the_answer_is_bold_in_the_marked_sentence() -> None:
    assert "<mark>He came to <b>Wonsan</b> by plane.</mark>" in entry(result("1"))
    spans = (Span("a.txt", 21, 27), Span("a.txt", 23, 27), Span("b.txt", 21, 27))
    question = Question("1", "Which?", "en", ("वोन्सान",), "hi", ("a.txt",), spans=spans)
    assert "to <b>Wonsan</b> by" in entry(result("1", question=question))
    crossing = Question(
        "1", "Which?", "en", ("x",), "en", ("a.txt",), spans=(Span("a.txt", 5, 12),)
    )
    assert "<mark><b>He</b> came" in entry(result("1", question=crossing))


def test_tags_of_evidence() -> None:
    text = entry(result("1"))
    assert "cited [1]" in text and "holds the answer" in text and "not verbatim" not in text
    assert "…it. <mark>" in text and "</mark> After…" in text
    loose = result("1", evidence=(passage("He came.", exact=False, holds=None),))
    assert "not verbatim" in entry(loose)
    assert 'class="path">a.txt, p. 3<' in entry(result("1", evidence=(passage("x", page=3),)))


def test_a_citation_that_was_not_among_the_shown_is_seen() -> None:
    assert "He came to" in entry(result("1", evidence=()))
    assert "<em>nothing</em>" in entry(result("1", "", evidence=()))


def test_refusals_and_removed_documents_are_told() -> None:
    gone = Question("1", "Which?", "en", answerable=False, removed=True)
    text = entry(result("1", "", question=gone))
    assert "right refusal" in text and "taken out of the index" in text and "refused" in text
    missed = entry(result("1", ranking=("b.txt",)))
    assert "not found: a.txt" in missed


def test_levels_have_their_own_headlines() -> None:
    searched = judged(replace(result("1"), reply=None))
    text = page(searched, searched, level="retrieval")
    assert "right file first" in text and "right answers" not in text
    assert "gold file first" in text
    given = replace(result("1"), ranking=())
    assert "right answers" in page(judged(given), level="reading")


def test_a_run_of_one_question_has_a_page() -> None:
    assert "n = 1" in page(result("1"))


def test_figures_are_drawn_only_from_numbers() -> None:
    titles = [f.title for f in figures([result(str(i)) for i in range(6)])]
    assert titles == ["Retrieval", "Risk and coverage", "Calibration", "Latency"]
    bare = Question("1", "Who?", "en", answerable=False)
    assert figures([result("1", question=bare, ranking=(), evidence_known=False)]) == []


def test_the_retrieval_curve_counts_hits_up_to_k() -> None:
    late = result("2", ranking=("b.txt", "c.txt", "a.txt"))
    svg = figures([result("1"), late])[0].svg
    assert "<title>file: 1, 0.5</title>" in svg
    assert "<title>file: 3, 1</title>" in svg


def test_plots_are_wellformed_whatever_the_numbers() -> None:
    axes = Axes("x", "y", (0, 0), (0, 0), (0,))
    for svg in (
        lines(axes, [Series("a", "a", [(0, 0)])]),
        histogram([0.0, 0.0], "s", [("p50", 0.0)]),
        histogram([1.0, 2.0, 30.0], "s", [("p50", 2.0), ("p95", 29.0)]),
    ):
        checker = Checker()
        checker.feed(svg)
        assert checker.open == []
        assert "nan" not in svg and "inf" not in svg


def test_numbers_as_readers_see_them() -> None:
    assert number(0.98765) == "0.988"
    assert number(12.345, "s") == "12.35" and number(0.01234, "s") == "0.012"
    assert with_unit(1234.6, "MB") == "1,235 MB"
    assert interval({"low": None, "high": None}) == "–"
    assert interval({"low": 0.1, "high": 0.25}) == "0.100 … 0.250"
    f1 = METRICS["f1"]
    assert (signed(0.1234, f1), signed(-0.1, f1), signed(0.0, f1)) == ("+0.123", "−0.100", "0.000")


@pytest.mark.parametrize("kept", ["क\u200dष", "a\tb\nc", "مدرسة\u200f", "e\u0301"])
def test_markup_keeps_what_scripts_need(kept: str) -> None:
    assert markup(kept) == kept


@pytest.mark.parametrize(
    ("top", "last", "most"), [(26.45, 30, 7), (1.0, 1, 7), (0.031, 0.04, 7), (7.2, 8, 7), (0, 1, 2)]
)
def test_ticks_are_round(top: float, last: float, most: int) -> None:
    ticks = nice_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] == pytest.approx(last)
    assert len(ticks) <= most
