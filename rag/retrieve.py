"""A question to its hits, and the hits to the sentences that may prove an answer.

Two legs find chunks: vectors (of chunks and of single sentences) and keywords. A chunk's
score is the mean of its own cosine and its best sentence's, plus `KEYWORD_WEIGHT` times
the share of the question's information (inverse document frequency) whose words the chunk
holds. So keywords count only where words really matched: between scripts they match
nothing and change nothing, which rank fusion does not give (nDCG@10 English to Hindi fell
from .930 to .428). Weights and what else was tried: benchmarks/LOG.md.

This module knows no generator and no display.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag.datatypes import Evidence, Hit, Quote
from rag.embedding import Embedder, Vectors
from rag.errors import UsageError
from rag.index import Index, Sentence
from rag.language import words

# Candidates that each leg brings before fusion: this many times the chunks asked for.
DEPTH = 6
KEYWORD_WEIGHT = 0.08
# A sentence is ranked by its own cosine plus this many times its chunk's score.
CHUNK_SHARE = 2.0
# Fewer words than this are a heading, a date line or a button, and prove nothing.
MIN_WORDS = 4
MAX_QUESTION_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first; the sentences worth showing, best first; the best cosine of all."""

    hits: tuple[Hit, ...]
    evidence: tuple[Evidence, ...]
    best_cosine: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: int
    dense: float
    keyword: float
    sentences: tuple[tuple[Sentence, float], ...]

    @property
    def score(self) -> float:
        return self.dense + KEYWORD_WEIGHT * self.keyword


def checked(question: str) -> str:
    """Return the question on one line; raises `UsageError` where it asks nothing."""
    # A terminal may give bytes that are no text; the models take none.
    line = " ".join(question.encode("utf-8", "replace").decode("utf-8").split())
    if not words(line):
        raise UsageError("The question is empty", 'Ask like this: ask "how many were sent?"')
    if len(line) > MAX_QUESTION_CHARS:
        raise UsageError(
            f"The question has {len(line)} characters, more than {MAX_QUESTION_CHARS}",
            "Ask it shorter.",
        )
    return line


def retrieve(
    question: str,
    index: Index,
    embedder: Embedder,
    *,
    k: int,
    evidence: int,
    within: Collection[str] | None = None,
) -> Found:
    """Find the `k` best chunks and the `evidence` best sentences in them.

    `within` names the only documents to look in; `None` means all of them. Raises
    `StoreMismatch` where the index was made by another embedder, `UsageError` for a
    question without a word.
    """
    question = checked(question)
    index.check(embedder.identity)
    vector = embedder.embed_queries([question])[0]
    weights = _information(question, index)
    if within is None:
        rows = _rows(vector, weights, index, k * DEPTH)
    else:
        rows = index.text.chunk_rows_of(within)
    candidates = _candidates(vector, weights, index, rows)
    ranked = sorted(candidates, key=lambda c: (-c.score, c.row))
    dense = _ranks((c.row, c.dense) for c in ranked)
    keyword = _ranks((c.row, c.keyword) for c in ranked if c.keyword > 0)
    best = ranked[:k]
    hits = tuple(
        Hit(index.text.chunk(c.row), c.score, dense[c.row], keyword.get(c.row)) for c in best
    )
    shown = _evidence(best, hits, weights, index, evidence)
    cosines = [cosine for c in best for _, cosine in c.sentences]
    return Found(hits, shown, max(cosines, default=0.0))


def _information(question: str, index: Index) -> dict[str, float]:
    """Weigh each word of the question by its inverse document frequency; they sum to 1.

    Okapi's form, kept positive: log(1 + (N - n + 0.5) / (n + 0.5)).
    """
    total = index.manifest.chunks
    counts = index.text.frequencies(set(words(question)))
    weights = {w: math.log(1 + (total - n + 0.5) / (n + 0.5)) for w, n in counts.items()}
    whole = sum(weights.values())
    return {w: value / whole for w, value in weights.items()} if whole else {}


def _rows(vector: Vectors, weights: Mapping[str, float], index: Index, depth: int) -> set[int]:
    rows = {row for row, _ in index.search_chunks(vector, depth)}
    rows |= {sentence.chunk for sentence, _ in index.search_sentences(vector, depth)}
    rows |= {row for row, _ in index.text.search(sorted(weights), depth)}
    return rows


def _candidates(
    vector: Vectors, weights: Mapping[str, float], index: Index, rows: Collection[int]
) -> list[_Candidate]:
    found = []
    for row in sorted(rows):
        sentences = tuple(index.score_sentences(vector, row))
        best = max((cosine for _, cosine in sentences), default=-1.0)
        dense = (index.score_chunk(vector, row) + best) / 2
        found.append(_Candidate(row, dense, _share(index.text.chunk(row).text, weights), sentences))
    return found


def _share(text: str, weights: Mapping[str, float]) -> float:
    """Return how much of the question's information the text's words hold, in [0, 1]."""
    present = set(words(text)) if weights else set()
    return sum(weight for word, weight in weights.items() if word in present)


def _ranks(scored: Iterable[tuple[int, float]]) -> dict[int, int]:
    ordered = sorted(scored, key=lambda pair: (-pair[1], pair[0]))
    return {row: rank for rank, (row, _) in enumerate(ordered, 1)}


def _evidence(
    best: Sequence[_Candidate],
    hits: Sequence[Hit],
    weights: Mapping[str, float],
    index: Index,
    count: int,
) -> tuple[Evidence, ...]:
    scored = []
    for candidate, hit in zip(best, hits, strict=True):
        for sentence, cosine in candidate.sentences:
            quote = index.quote(hit.chunk, sentence.start, sentence.end)
            if len(words(quote.text)) < MIN_WORDS or quote.text.rstrip().endswith(("?", "؟", "？")):
                continue  # a heading or a question states nothing that could be cited
            score = (
                cosine
                + CHUNK_SHARE * candidate.score
                + KEYWORD_WEIGHT * _share(quote.text, weights)
            )
            scored.append((score, quote, cosine))
    scored.sort(key=lambda s: (-s[0], s[1].chunk.path, s[1].start))
    # The same sentence in two syndicated files is one piece of evidence.
    unique: dict[tuple[str, ...], tuple[Quote, float]] = {}
    for _, quote, cosine in scored:
        unique.setdefault(tuple(words(quote.text)), (quote, cosine))
    return tuple(
        Evidence(number, quote, cosine)
        for number, (quote, cosine) in enumerate(list(unique.values())[:count], 1)
    )
