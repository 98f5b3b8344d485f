"""A peer's answers to the project's own results, judged by `rag.evaluate`.

A pipeline without a refusal of its own refuses in words; `refuses` knows the usual ones. Every
file that a pipeline names as a source counts as cited.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.evaluate.questions import Question
from rag.evaluate.results import Passage, Reply, Result
from rag.evaluate.summary import summarise

_NOT = r"(?:not|n['’]t)"
_TOLD = (
    r"(?:mention|provid|specif|contain|stat|includ|say|give|indicat|address|discuss|detail|"
    r"available|found|clear|have|offer)"
)
_TEXT = r"(?:context|text|passage|information|document|article|paragraph|source|it)s?"
_REFUSALS = re.compile(
    "|".join(
        (
            rf"\b{_TEXT}\b[^.]{{0,60}}\b(?:do|does|did|is|are|was|were)\s*{_NOT}\b"
            rf"[^.]{{0,30}}\b{_TOLD}",
            rf"\b{_NOT} (?:explicitly |directly |specifically )?"
            r"(?:mentioned|provided|specified|stated)",
            r"\bno (?:specific |relevant |such |direct |explicit )?"
            r"(?:information|mention|details?|answer)\b",
            r"\b(?:I|we) (?:do not|don['’]t|cannot|can['’]t) "
            r"(?:know|have|find|answer|provide|determine)",
            r"\b(?:I['’]m|I am) (?:sorry|unable|not able)\b",
            r"\bcannot be (?:determined|answered)|\b(?:not enough|insufficient) information\b",
            r"^empty response$",
            r"(?:जानकारी|उल्लेख|विवरण|उत्तर|जवाब)[^।]{0,40}नहीं",
            r"नहीं (?:दी गई|दिया गया|किया गया|बताया गया|बताया|पता|मिली|मिलता)",
            r"क्षमा करें|माफ़ करें|मुझे खेद",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
FAILED = "(failed)"


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that was measured, as it is kept: a line of JSON.

    `kind` is `index` (then `question` is empty), `cold` or `warm`. `why` tells of a failure.
    """

    peer: str
    identity: str
    pair: str
    kind: str
    question: str = ""
    first_seconds: float | None = None
    seconds: float | None = None
    peak_mb: float | None = None
    text: str = ""
    sources: tuple[str, ...] = ()
    refused: bool | None = None
    chunks: int | None = None
    why: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What must not be measured twice."""
        return (self.peer, self.identity, self.pair, self.kind, self.question)


class Records:
    """The file of the records: one a line, written as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.all: list[Record] = []
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                value = json.loads(line)
                self.all.append(Record(**{**value, "sources": tuple(value["sources"])}))

    def add(self, record: Record) -> None:
        """Keep one more."""
        with self._path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
        self.all.append(record)

    def has(self, *key: str) -> bool:
        """Whether it was measured, by the same script in the same environment."""
        return any(record.key == key for record in self.all)

    def of(self, peer: str, identity: str, pair: str, kind: str) -> list[Record]:
        """Return the records of one kind."""
        return [r for r in self.all if r.key[:4] == (peer, identity, pair, kind)]


def refuses(text: str) -> bool:
    """Whether an answer says that the documents do not tell, or says nothing."""
    return not text.strip() or bool(_REFUSALS.search(text))


def result_of(record: Record, question: Question) -> Result:
    """Return what `rag.evaluate` judges. A failure counts as a wrong answer, never as refusal."""
    text = FAILED if record.why else record.text
    refused = record.refused if record.refused is not None else refuses(text)
    reply = Reply(
        text="" if refused else text,
        language=question.language,
        confidence=0.0,
        citations=tuple(_passage(n, name) for n, name in enumerate(record.sources, 1)),
        seconds=record.seconds or 0.0,
        first_seconds=record.first_seconds,
        prompt_tokens=0,
        generated_tokens=0,
    )
    return Result(
        question=question,
        document_language=record.pair.split("→")[1],
        ranking=(),
        evidence=(),
        shown=0,
        evidence_known=False,
        search_seconds=0.0,
        memory_mb=record.peak_mb or 0.0,
        reply=reply,
    )


def _passage(number: int, name: str) -> Passage:
    """Return a file that is named, without a quote."""
    return Passage(number, name, None, 0, 0, "", "", "", holds=None, exact=False)


def judge(records: Sequence[Record], questions: Sequence[Question]) -> Mapping[str, Any]:
    """Sum up the answers of a peer to the questions of a pair: `rag eval`'s own summary."""
    known = {question.id: question for question in questions}
    results = [result_of(r, known[r.question]) for r in records if r.question in known]
    return summarise(results)
