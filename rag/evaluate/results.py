"""What came out for one question, as it is kept: a `Result` and its line of JSON.

A result holds what was seen, not how good it is: `scoring` judges it, so that runs of
last month can be judged by this month's metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rag.evaluate.questions import Question, Span


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence that was shown or cited, with the text around it.

    `number` is its number in the prompt, or the citation's in the answer. `holds` says
    whether the gold answer stands in it, `None` where that cannot be known. `exact` says
    whether the document's text at `start:end` is `text`.
    """

    number: int
    path: str
    page: int | None
    start: int
    end: int
    text: str
    before: str
    after: str
    holds: bool | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """What the program answered; `text` carries no citation numbers, '' is a refusal.

    `claims` are the parts of the text that have a citation of their own; a text without
    any is one claim. `seconds` is the whole time, `first_seconds` that until the first
    words could be shown (`None` for a refusal).
    """

    text: str
    language: str
    confidence: float
    citations: tuple[Passage, ...]
    seconds: float
    first_seconds: float | None
    prompt_tokens: int
    generated_tokens: int
    claims: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether the program said that the documents do not tell."""
        return not self.text


@dataclass(frozen=True, slots=True)
class Result:
    """One question of a run.

    `document_language` is that of the gold documents, or of most of the index where there
    is none. `ranking` names the best documents, best first, and is empty where the gold
    document was given. `evidence` holds the best sentences; the first `shown` of them are
    what the generator and the reader see. `evidence_known` says whether some sentence
    of the gold documents is known to hold the answer. `search_seconds` is the time of one
    search, with the embedding of the question only where there is no reply. `memory_mb` is
    the highest resident memory of the process so far (10^6 bytes).
    """

    question: Question
    document_language: str
    ranking: tuple[str, ...]
    evidence: tuple[Passage, ...]
    shown: int
    evidence_known: bool
    search_seconds: float
    memory_mb: float
    reply: Reply | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    outcome: str = ""

    @property
    def pair(self) -> str:
        """The languages of question and documents, such as `en→hi`."""
        return f"{self.question.language}→{self.document_language}"


def to_object(result: Result) -> dict[str, Any]:
    """Return what is written as a line of JSON."""
    return asdict(result)


def from_object(value: Mapping[str, Any]) -> Result:
    """Read it back; raises KeyError, TypeError or ValueError for anything else."""
    question = dict(value["question"])
    for name in ("answers", "sources"):
        question[name] = tuple(question[name])
    question["spans"] = tuple(Span(**span) for span in question["spans"])
    reply = value["reply"]
    if reply is not None:
        citations = tuple(Passage(**c) for c in reply["citations"])
        claims = tuple(reply.get("claims", ()))
        reply = Reply(**{**reply, "citations": citations, "claims": claims})
    return Result(
        **{
            **value,
            "question": Question(**question),
            "ranking": tuple(value["ranking"]),
            "evidence": tuple(Passage(**e) for e in value["evidence"]),
            "reply": reply,
        }
    )
