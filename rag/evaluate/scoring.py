"""A `Result` judged: its scores by name, and its outcome in a word.

Decides which measure has something to say of which question; the measures themselves are
in `metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rag.answer import CLOSEST_SHOWN
from rag.evaluate import metrics
from rag.evaluate.questions import Question
from rag.evaluate.results import Reply, Result

Level = Literal["whole", "reading", "retrieval"]
LEVELS: tuple[Level, ...] = ("whole", "reading", "retrieval")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A kind of result: `good`, `bad`, or `none` where nothing can be said."""

    name: str
    title: str
    verdict: Literal["good", "fair", "bad", "none"]


OUTCOMES = {
    o.name: o
    for o in (
        Outcome("right", "right", "good"),
        Outcome("right_refusal", "right refusal", "good"),
        Outcome("right_other_file", "right, other file cited", "fair"),
        Outcome("wrong_answer", "right file, wrong answer", "bad"),
        Outcome("wrong_file", "wrong file", "bad"),
        Outcome("false_refusal", "false refusal", "bad"),
        Outcome("made_up", "made-up answer", "bad"),
        Outcome("first", "gold file first", "good"),
        Outcome("lower", "gold file lower", "fair"),
        Outcome("missed", "gold file missed", "bad"),
        Outcome("unjudged", "no gold", "none"),
    )
}


def judged(result: Result) -> Result:
    """Return the result with its scores and its outcome."""
    scores = _retrieval(result)
    if result.reply is None:
        scores["search_seconds"] = result.search_seconds
        outcome = _found(result)
    else:
        scores |= _replied(result, result.reply)
        outcome = _outcome(result, result.reply, scores)
    scores["memory_mb"] = result.memory_mb
    return replace(result, scores=scores, outcome=outcome)


def _retrieval(result: Result) -> dict[str, float]:
    question = result.question
    scores: dict[str, float] = {}
    if not question.answerable:
        return scores
    # Without a ranking the gold document was given: there was nothing to find.
    if question.sources and result.ranking:
        scores |= metrics.ranking(result.ranking, question.sources)
    if result.evidence_known:
        holds = [passage.holds for passage in result.evidence]
        scores |= metrics.evidence_ranking(holds, result.shown)
    return scores


def _replied(result: Result, reply: Reply) -> dict[str, float]:
    question = result.question
    scores = {
        "seconds": reply.seconds,
        "prompt_tokens": float(reply.prompt_tokens),
        "generated_tokens": float(reply.generated_tokens),
        **metrics.refusal_scores(reply.refused, question.answerable),
        **_answer(question, reply),
        **_gold_shown(result, reply),
    }
    if reply.first_seconds is not None:
        scores["first_seconds"] = reply.first_seconds
    return scores | ({} if reply.refused else _cited(question, reply))


def _answer(question: Question, reply: Reply) -> dict[str, float]:
    """Score the text: a refusal of an answerable question gets 0, as in SQuAD 2.0."""
    if not question.answerable:
        return {"squad2_f1": float(reply.refused)}
    if not question.answers:
        return {}
    args = (reply.text, question.answers, question.answer_language)
    f1 = metrics.token_f1(*args)
    return {
        "exact": metrics.exact_match(*args),
        "f1": f1,
        "contains": metrics.contains_gold(*args),
        "right": metrics.is_right(*args),
        **_claims(reply, question),
        "squad2_f1": f1,
    }


def _gold_shown(result: Result, reply: Reply) -> dict[str, float]:
    """Score whether the gold answer is on the screen: in the answer or in a quote.

    The quotes are those cited, or with a refusal the closest found.
    """
    question = result.question
    if not (question.answerable and question.answers):
        return {}
    quotes = result.evidence[:CLOSEST_SHOWN] if reply.refused else reply.citations
    args = (reply.text, question.answers, question.answer_language)
    said = bool(reply.text) and bool(metrics.contains_gold(*args))
    return {"gold_shown": float(said or any(quote.holds for quote in quotes))}


def _claims(reply: Reply, question: Question) -> dict[str, float]:
    """Score each claim by itself, so that a wrong one beside a right one is seen."""
    said = reply.claims or ((reply.text,) if reply.text else ())
    right = [metrics.is_right(c, question.answers, question.answer_language) for c in said]
    return {"claim_precision": sum(right) / len(right)} if right else {}


def _cited(question: Question, reply: Reply) -> dict[str, float]:
    quotes = reply.citations
    scores = {"cited": float(bool(quotes))}
    same = metrics.in_language(reply.text, question.text, question.language)
    if same is not None:
        scores["asker_language"] = same
    if quotes:
        scores["quotes_exact"] = sum(q.exact for q in quotes) / len(quotes)
    if question.answerable and question.sources:
        scores |= metrics.citation_scores({q.path for q in quotes}, question.sources)
    return scores


def _outcome(result: Result, reply: Reply, scores: dict[str, float]) -> str:
    question = result.question
    if reply.refused:
        return "false_refusal" if question.answerable else "right_refusal"
    if not question.answerable:
        return "made_up"
    if not question.answers:
        return "unjudged"
    home = not question.sources or bool({q.path for q in reply.citations} & set(question.sources))
    if scores["right"]:
        return "right" if home else "right_other_file"
    return "wrong_answer" if home else "wrong_file"


def _found(result: Result) -> str:
    question = result.question
    if not (question.answerable and question.sources):
        return "unjudged"
    ranks = [result.ranking.index(s) for s in question.sources if s in result.ranking]
    if not ranks:
        return "missed"
    return "first" if min(ranks) == 0 else "lower"


def loss(result: Result) -> float | None:
    """Return what answering this question costs, in [0, 1]; `None` where nothing tells.

    1 - F1 for an answer, 1 for an answer where the documents do not tell. A refused
    question has no answer that could be judged; forced to answer, it counts as wrong.
    """
    if result.reply is None:
        return None
    if result.reply.refused or not result.question.answerable:
        return 1.0
    f1 = result.scores.get("f1")
    return None if f1 is None else 1 - f1
