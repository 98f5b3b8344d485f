"""One question asked, on the path that users walk: a `Question` to a `Result`.

`rag.answer.Answerer` answers and `rag.retrieve` searches; this module only watches: it
takes times, looks deeper into the ranking than users do, and holds what was shown
against the gold.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rag.answer import Answerer
from rag.datatypes import Quote
from rag.embedding import Embedder, Vectors
from rag.evaluate.metrics import CUTS, contains_gold
from rag.evaluate.questions import Question
from rag.evaluate.results import Passage, Reply, Result
from rag.evaluate.scoring import Level
from rag.index import Index
from rag.reranking import Reranker
from rag.retrieve import Found, retrieve
from rag.settings import Settings

# Chunks that are searched to rank ten documents, which have several chunks each.
DEEP = 20
RANKED = max(CUTS)
AROUND = 160  # characters kept on both sides of a sentence


class RememberingEmbedder:
    """An `Embedder` that embeds one question once, however often it is searched for.

    `forget` comes before whatever is timed, so that times are those of users.
    """

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.identity = inner.identity
        self.dimension = inner.dimension
        self._last: tuple[list[str], Vectors] | None = None

    def forget(self) -> None:
        """Embed the next question anew."""
        self._last = None

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions; see `Embedder`."""
        if self._last is None or self._last[0] != list(texts):
            self._last = (list(texts), self._inner.embed_queries(texts))
        return self._last[1]

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed pieces of documents; see `Embedder`."""
        return self._inner.embed_passages(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens; see `Embedder`."""
        return self._inner.count_tokens(texts)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is needed to ask. `answerer` is `None` at the level `retrieval`.

    `languages` maps each document to its language and `language` is that of most of them.
    """

    index: Index
    embedder: RememberingEmbedder
    settings: Settings
    level: Level
    answerer: Answerer | None
    languages: Mapping[str, str]
    language: str
    reranker: Reranker | None = None


def examine(question: Question, parts: Parts) -> Result:
    """Ask one question; raises what the program raises for it."""
    within = _within(question, parts)
    parts.embedder.forget()
    reply = None
    if parts.answerer is not None:
        reply = _ask(question, parts, parts.answerer, within)
    start = time.perf_counter()
    found = _search(question, parts, parts.settings.k, within)
    search_seconds = time.perf_counter() - start
    gold = question.sources if question.answerable else ()
    return Result(
        question=question,
        document_language=_language(gold, parts),
        ranking=() if within is not None else _ranking(question, parts, found),
        evidence=tuple(_passage(e.number, e.quote, question, parts.index) for e in found.evidence),
        shown=parts.settings.evidence,
        evidence_known=_is_known(question, parts.index),
        search_seconds=search_seconds,
        memory_mb=peak_memory(),
        reply=reply,
    )


def _search(question: Question, parts: Parts, k: int, within: Collection[str] | None) -> Found:
    """Search as the answerer does, but list enough sentences to rank ten."""
    count = max(parts.settings.evidence, RANKED)
    return retrieve(
        question.text,
        parts.index,
        parts.embedder,
        k=k,
        evidence=count,
        within=within,
        reranker=parts.reranker,
    )


def _within(question: Question, parts: Parts) -> frozenset[str] | None:
    """Return the documents that are given at the level `reading`.

    They are the sources; a question without any gets the best document that is found,
    which does not tell.
    """
    if parts.level != "reading":
        return None
    if question.sources:
        return frozenset(question.sources)
    hits = _search(question, parts, parts.settings.k, None).hits
    return frozenset(hit.chunk.path for hit in hits[:1])


def _ranking(question: Question, parts: Parts, found: Found) -> tuple[str, ...]:
    """Rank documents by their best chunk: the hits of users first, then deeper ones."""
    hits = list(found.hits)
    if parts.settings.k < DEEP:
        hits += _search(question, parts, DEEP, None).hits
    return tuple(dict.fromkeys(hit.chunk.path for hit in hits))[:RANKED]


def _ask(
    question: Question, parts: Parts, answerer: Answerer, within: Collection[str] | None
) -> Reply:
    shown: list[float] = []
    start = time.perf_counter()
    answer = answerer.ask(
        question.text, lambda _: shown.append(time.perf_counter() - start), within=within
    )
    seconds = time.perf_counter() - start
    first = None if answer.refused else min([*shown, seconds])
    return Reply(
        text="; ".join(said := tuple(claim.text for claim in answer.claims)),
        language=answer.language,
        confidence=answer.confidence,
        citations=tuple(
            _passage(c.number, quote, question, parts.index)
            for c in answer.citations
            for quote in (c.quote, *c.also)
        ),
        seconds=seconds,
        first_seconds=first,
        prompt_tokens=answer.tokens.get("prompt", 0),
        generated_tokens=answer.tokens.get("generated", 0),
        claims=said,
    )


def _passage(number: int, quote: Quote, question: Question, index: Index) -> Passage:
    path = quote.chunk.path
    text = index.text.text(path)
    start, end = quote.start, quote.end
    return Passage(
        number=number,
        path=path,
        page=quote.chunk.page,
        start=start,
        end=end,
        text=quote.text,
        before=text[max(0, start - AROUND) : start],
        after=text[end : end + AROUND],
        holds=_holds(path, start, end, quote.text, question),
        exact=text[start:end] == quote.text,
    )


def _holds(path: str, start: int, end: int, text: str, question: Question) -> bool | None:
    """Whether a sentence of a gold document holds the gold answer.

    By the known place of the answer where there is one: a sentence that overlaps it either
    holds it whole, or no single sentence does. Else by the words of the answer.
    """
    if not (question.answerable and question.answers):
        return None
    if question.spans:
        return any(s.path == path and s.start < end and start < s.end for s in question.spans)
    if question.sources and path not in question.sources:
        return False
    return bool(contains_gold(text, question.answers, question.answer_language))


def _is_known(question: Question, index: Index) -> bool:
    """Whether some sentence is known to hold the answer, so that it can be missed.

    An answer that is worded in another language than the document cannot be found there.
    """
    if not (question.answerable and question.answers):
        return False
    if question.spans:
        return True
    return any(
        contains_gold(index.text.text(source), question.answers, question.answer_language)
        for source in question.sources
    )


def _language(sources: Sequence[str], parts: Parts) -> str:
    found = {parts.languages[s] for s in sources if s in parts.languages}
    return found.pop() if len(found) == 1 else parts.language


def peak_memory() -> float:
    """Return the highest resident memory of this process so far, in 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
