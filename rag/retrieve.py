"""A question to its hits, and the hits to the sentences that may prove an answer.

Two legs find chunks: vectors (of chunks and of single sentences) and keywords (BM25). A
chunk's score is the mean of its own cosine and its best sentence's, plus `KEYWORD_WEIGHT`
times the share of the question's information (inverse document frequency) that the chunk
holds. A word is held where it stands in the chunk, or, where the two are written in
different scripts, where something stands there that sounds like it: so keywords count only
where something really matched, and a question in another script keeps its names and
numbers. Rank fusion does not give that (nDCG@10 English to Hindi fell from .930 to .428).
Weights and what else was tried: benchmarks/LOG.md.

This module knows no generator and no display.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from rag.datatypes import Evidence, Hit, Quote
from rag.embedding import Embedder, Vectors
from rag.errors import UsageError
from rag.index import Index, Sentence
from rag.language import (
    dominant_script,
    gives_orders,
    has_words,
    refers_back,
    sound,
    visible,
    word_spans,
    words,
)
from rag.reranking import Reranker

# Candidates that each leg brings before fusion: this many times the chunks asked for.
DEPTH = 3
KEYWORD_WEIGHT = 0.08
# A sentence is ranked by its own cosine plus this many times its chunk's score.
CHUNK_SHARE = 2.0
# Fewer words than this are a heading, a date line or a button, and prove nothing.
MIN_WORDS = 4
# So many times the wanted sentences are looked at for copies in other files.
COMPARED = 6
# A sentence is shown with the one before it only where both are not longer, in characters.
LONGEST_PAIR = 400
# What a reranker is given: the best chunks, and this many times the sentences wanted.
RERANKED = 20
RERANKED_SENTENCES = 3
MAX_QUESTION_CHARS = 2000
# So many words, of which fewer than this share are different, are a heap. In 5,700 sentences
# of twelve languages (XQuAD's training articles) there is none.
HEAP_WORDS, HEAP_SHARE = 12, 1 / 3
# They change what a number says.
_SIGNS = re.compile(r"[-\u2212+±<>≤≥~](?=\s?\d)|[%‰$€£¥₹]")


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, best first; the sentences worth showing, best first; the best cosine of all."""

    hits: tuple[Hit, ...]
    evidence: tuple[Evidence, ...]
    best_cosine: float


@dataclass(frozen=True, slots=True)
class _Term:
    """A word of the question: how it is written there, and what it weighs when matched."""

    written: str
    word: str
    weight: float
    script: str
    sound: str
    sound_weight: float

    def share(self, said: Collection[str], heard: Collection[str], script: str) -> float:
        if self.word in said:
            return self.weight
        crossing = self.sound and script != self.script and self.sound in heard
        return self.sound_weight if crossing else 0.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: int
    dense: float
    keyword: float
    matched: tuple[str, ...]
    script: str
    sentences: tuple[tuple[Sentence, float], ...]

    @property
    def score(self) -> float:
        return self.dense + KEYWORD_WEIGHT * self.keyword


def checked(question: str) -> str:
    """Return the question on one line; raises `UsageError` where it asks nothing."""
    # A terminal may give bytes that are no text; the models take none.
    line = " ".join(question.encode("utf-8", "replace").decode("utf-8").split())
    if not has_words(line):
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
    reranker: Reranker | None = None,
) -> Found:
    """Find the `k` best chunks and the `evidence` best sentences in them.

    Copies of a chunk in other files come on top of the `k`. `within` names the only
    documents to look in; `None` means all of them. Raises `StoreMismatch` where the index
    was made by another embedder, `UsageError` for a question without a word.
    """
    question = checked(question)
    index.check(embedder.identity)
    vector = embedder.embed_queries([question])[0]
    terms = _terms(question, index)
    only = None if within is None else index.text.chunk_rows_of(within)
    rows = _rows(vector, terms, index, max(k, RERANKED if reranker else 0) * DEPTH, only)
    ranked = sorted(_candidates(vector, terms, index, rows), key=lambda c: -c.score)
    scores = _reranked(question, ranked, index, reranker)
    order = sorted(ranked[: len(scores)], key=lambda c: -scores[c.row])
    best = _distinct([*order, *ranked[len(scores) :]], k)
    hits = _hits(best, ranked, scores, index)
    shown = _evidence(question, best, hits, terms, index, evidence, reranker)
    cosines = [cosine for c in best for _, cosine in c.sentences]
    return Found(hits, shown, max(cosines, default=0.0))


def _terms(question: str, index: Index) -> list[_Term]:
    """Weigh each word of the question by its inverse document frequency; they sum to 1.

    Okapi's form, kept positive: log(1 + (N - n + 0.5) / (n + 0.5)).
    """
    total = index.manifest.chunks
    written = {word: question[start:end] for word, start, end in word_spans(question)}
    sounds = {word: sound(word) for word in written}
    counts = index.text.frequencies(written)
    heard = index.text.frequencies(set(sounds.values()) - {""}, "sounds")

    def information(count: int) -> float:
        return math.log(1 + (total - count + 0.5) / (count + 0.5))

    whole = sum(information(count) for count in counts.values())
    if not whole:
        return []
    terms = []
    for word, text in written.items():
        weight = information(counts[word]) / whole
        key = sounds[word] if heard.get(sounds[word]) else ""
        # Never more than the word itself: every chunk with the word has its sound.
        sounded = information(heard[key]) / whole if key else 0.0
        terms.append(_Term(text, word, weight, dominant_script(text), key, sounded))
    return terms


def _rows(
    vector: Vectors, terms: Sequence[_Term], index: Index, depth: int, only: Collection[int] | None
) -> list[int]:
    rows = {row for row, _ in index.search_chunks(vector, depth, only)}
    rows |= {row for row, _ in index.search_sentences(vector, depth, only)}
    said, heard = {t.word for t in terms}, {t.sound for t in terms} - {""}
    rows |= {row for row, _ in index.text.search(said, heard, depth, only)}
    # Ties are broken by place: row ids depend on the history of the index.
    places = index.text.chunk_places(rows)
    return sorted(rows, key=places.__getitem__)


def _candidates(
    vector: Vectors, terms: Sequence[_Term], index: Index, rows: Sequence[int]
) -> list[_Candidate]:
    """Score chunks; one that holds nothing but boilerplate is no candidate."""
    scripts = index.text.scripts(rows)
    found = []
    for row, (cosine, sentences) in index.score(vector, rows).items():
        if not sentences:
            continue
        said = frozenset().union(*(s.words for s, _ in sentences))
        heard = frozenset().union(*(s.sounds for s, _ in sentences))
        shares = [(t, t.share(said, heard, scripts[row])) for t in terms]
        found.append(
            _Candidate(
                row=row,
                dense=(cosine + max(score for _, score in sentences)) / 2,
                keyword=sum(share for _, share in shares),
                matched=tuple(t.written for t, share in shares if share),
                script=scripts[row],
                sentences=tuple(sentences),
            )
        )
    return found


def _reranked(
    question: str, ranked: Sequence[_Candidate], index: Index, reranker: Reranker | None
) -> dict[int, float]:
    """Return the reranker's scores of the best candidates, by row."""
    if reranker is None:
        return {}
    rows = [c.row for c in ranked[:RERANKED]]
    texts = [visible(chunk.text) for chunk in index.text.chunks(rows)]
    return dict(zip(rows, reranker.scores(question, texts), strict=True))


def _distinct(ranked: Sequence[_Candidate], k: int) -> list[_Candidate]:
    """Return the first `k` chunks with the copies of each: they must not crowd out others."""
    seen: set[tuple[frozenset[str], ...]] = set()
    best = []
    for candidate in ranked:
        said = tuple(sentence.words for sentence, _ in candidate.sentences)
        if said in seen or len(seen) < k:
            seen.add(said)
            best.append(candidate)
    return best


def _hits(
    best: Sequence[_Candidate],
    ranked: Sequence[_Candidate],
    scores: dict[int, float],
    index: Index,
) -> tuple[Hit, ...]:
    dense = _ranks((c.row, c.dense) for c in ranked)
    keyword = _ranks((c.row, c.keyword) for c in ranked if c.keyword > 0)
    return tuple(
        Hit(
            chunk=chunk,
            score=c.score,
            dense_rank=dense[c.row],
            keyword_rank=keyword.get(c.row),
            dense=c.dense,
            keyword=c.keyword,
            matched=c.matched,
            reranked=scores.get(c.row),
        )
        for c, chunk in zip(best, index.text.chunks([c.row for c in best]), strict=True)
    )


def _ranks(scored: Iterable[tuple[int, float]]) -> dict[int, int]:
    ordered = sorted(scored, key=lambda pair: -pair[1])
    return {row: rank for rank, (row, _) in enumerate(ordered, 1)}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence that may be evidence, and the one before it in its chunk."""

    score: float
    cosine: float
    sentence: Sentence
    before: Sentence | None
    quote: Quote

    def with_lead(self, index: Index) -> Quote:
        """Return the quote, with the sentence before where a pronoun needs it."""
        before, quote = self.before, self.quote
        if before is None or len(before.words) < MIN_WORDS:
            return quote
        if quote.end - before.start > LONGEST_PAIR:
            return quote
        if not refers_back(quote.text, self.sentence.words):
            return quote
        start = quote.chunk.start
        gap = quote.chunk.text[before.end - start : quote.start - start]
        if gap.strip() or len(gap.splitlines()) > 1:
            return quote  # something is left out between them, or a new paragraph begins
        both = index.quote(quote.chunk, before.start, quote.end)
        return quote if gives_orders(both.text) else both


def _evidence(
    question: str,
    best: Sequence[_Candidate],
    hits: Sequence[Hit],
    terms: Sequence[_Term],
    index: Index,
    count: int,
    reranker: Reranker | None,
) -> tuple[Evidence, ...]:
    pieces = []
    for candidate, hit in zip(best, hits, strict=True):
        before: Sentence | None = None
        for sentence, cosine in candidate.sentences:
            quote = index.quote(hit.chunk, sentence.start, sentence.end)
            if may_prove(quote.text):
                share = sum(
                    t.share(sentence.words, sentence.sounds, candidate.script) for t in terms
                )
                score = cosine + CHUNK_SHARE * candidate.score + KEYWORD_WEIGHT * share
                pieces.append(_Piece(score, cosine, sentence, before, quote))
            before = sentence
    pieces.sort(key=lambda p: (-p.score, p.quote.chunk.path, p.quote.start))
    if reranker is not None:
        first = pieces[: count * RERANKED_SENTENCES]
        scores = reranker.scores(question, [visible(p.quote.text) for p in first])
        order = sorted(range(len(first)), key=lambda place: -scores[place])
        pieces = [*(first[place] for place in order), *pieces[len(first) :]]
    return tuple(
        Evidence(number, group[0][1], group[0][0].cosine, _elsewhere(group))
        for number, group in enumerate(_grouped(pieces, index, count), 1)
    )


def may_prove(text: str) -> bool:
    """Whether a sentence states something that could be cited.

    A heading does not, nor does a question, nor an order to whoever answers, nor a heap of
    the same words made to be found.
    """
    if visible(text).rstrip(" \t\n\"'”’»)」』").endswith(("?", "؟", "？")):
        return False
    every = words(text)
    if len(set(every)) < MIN_WORDS:
        return False
    said = [word for word in every if not word[0].isdigit()]
    heaped = len(said) >= HEAP_WORDS and len(set(said)) < HEAP_SHARE * len(said)
    return not heaped and not gives_orders(text)


_Group = list[tuple[_Piece, Quote]]


def _grouped(pieces: Iterable[_Piece], index: Index, count: int) -> list[_Group]:
    """Gather the same sentences of several files; return the first `count` groups."""
    groups: list[_Group] = []
    for piece in islice(pieces, COMPARED * count):
        shown = piece.with_lead(index)
        same = (g for g in groups if g[0][0].sentence.words == piece.sentence.words)
        group = next((g for g in same if _key(g[0][1].text) == _key(shown.text)), None)
        if group is not None:
            group.append((piece, shown))
        elif len(groups) < count:
            groups.append([(piece, shown)])
    return groups


def _key(text: str) -> tuple[list[str], list[str]]:
    """Return what two texts must share to say the same: words in order, and signs.

    They may differ in case, punctuation, spacing and spelling forms, and in nothing else:
    one word more can be a "not".
    """
    return words(text), _SIGNS.findall(unicodedata.normalize("NFKC", text))


def _elsewhere(group: _Group) -> tuple[Quote, ...]:
    """Return one quote of each other file that says the same."""
    first = group[0][1].chunk.path
    others = {quote.chunk.path: quote for _, quote in reversed(group)}
    return tuple(quote for path, quote in sorted(others.items()) if path != first)
