"""Why an answer came out as it did."""

from __future__ import annotations

from rag.conversation import Turn, Understood
from rag.datatypes import Answer, Chunk, Citation, Evidence, Filter, Quote
from rag.explain import reasons

CHUNK = Chunk("c", "d", "a.txt", 0, 4, None, "Text")
QUOTE = Quote(CHUNK, 0, 4, "Text")
SEEN = (Evidence(1, QUOTE, 0.8), Evidence(2, QUOTE, 0.7))
CITED = (Citation(1, "a.txt", None, QUOTE), Citation(2, "a.txt", None, QUOTE))


def told(text: str = "", confidence: float = 0.0, **fields: object) -> list[str]:
    answer = Answer("q", "en", text, evidence=SEEN, confidence=confidence, hits=(),
                    **{"citations": (), **fields})  # type: ignore[arg-type]  # fmt: skip
    return reasons(Turn(Understood("q", "q"), answer), threshold=0.171, cosine_floor=0.769)


def test_an_answer() -> None:
    assert told("One [1]; two [2]", 0.834, citations=CITED) == [
        "Answered from 2 sentences, with confidence 0.83. Below 0.17 it would have been refused."
    ]


def test_a_refusal_after_reading() -> None:
    (line,) = told(confidence=0.12)
    assert line.startswith("Refused: confidence 0.12, and 0.17 is needed.")


def test_a_refusal_without_reading() -> None:
    answer = Answer("q", "en", "", (), (), SEEN[1:], 0.0)
    turn = Turn(Understood("q", "q"), answer)
    (line,) = reasons(turn, threshold=0.171, cosine_floor=0.769)
    assert line.startswith("Refused without reading: the sentence closest in meaning has 0.70")
    nothing = Turn(Understood("q", "q"), Answer("q", "en", "", (), (), (), 0.0))
    assert reasons(nothing, threshold=0.1, cosine_floor=0.1) == [
        "Refused: nothing was found to read."
    ]


def test_work_is_told_as_far_as_it_is_known() -> None:
    lines = told(
        "One [1]",
        0.9,
        citations=CITED[:1],
        tokens={"prompt": 1234, "read": 234, "generated": 7},
        timings={"search": 0.11, "read": 3.0, "read_spans": 0.25, "total": 3.4},
    )
    assert lines[1:] == [
        "The generator was told 1,234 tokens, of which it held 1,000 already, and wrote 7.",
        "It took 3.4 seconds (searching 0.1, reading 3.0, read spans 0.2).",
    ]


def test_how_it_was_understood_and_where_it_looked() -> None:
    answer = Answer("and them?", "en", "", (), (), (), 0.0)
    turn = Turn(Understood("and them?", "and them? (troops)", ("how many troops?",)), answer)
    lines = reasons(turn, threshold=0.5, cosine_floor=0.2, wanted=Filter(language="hi"))
    assert lines[:2] == [
        "Understood as: and them? (troops)",
        "Looked only in what passes --lang hi.",
    ]
    assert reasons(Turn(Understood("q", "q")), threshold=0.5, cosine_floor=0.2) == []
