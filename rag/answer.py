"""A question to an `Answer`: retrieve, read, phrase, verify, or refuse.

The span reader reads all sentences of the evidence at once. What it finds are slices of
sentences, so a claim and its citation cannot be of two places; and it tells, with what the
search knows, how likely a sentence holds the answer. Below the threshold the program
refuses, and the generator was never loaded.

Then the generator is used for what it is better at (figures: benchmarks/LOG.md). In a
language that it reads well it answers from the passage around the best sentence, and its
claim must be found in a sentence of that passage; across scripts it translates the slice.
Whatever it writes that is not supported is dropped, and the slice stands.

A second claim follows where it is about as likely and says something else, because
documents may disagree; more, where the question asks for several. This module prints
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rag.calibration import Calibration
from rag.citing import citation, locate, overlap, supports
from rag.datatypes import Answer, Claim, Evidence
from rag.embedding import Embedder
from rag.excerpt import excerpt
from rag.extraction import Reading, extract, read_sentences
from rag.generation import Generator, Usage
from rag.index import Database, Index
from rag.kept import Kept
from rag.language import (
    asks_for_number,
    asks_for_several,
    asks_whether,
    dominant_script,
    language,
    numbers,
    sentences,
    text_language,
    words,
)
from rag.phrasing import Phrasing
from rag.prompts import as_data
from rag.reranking import Reranker
from rag.retrieve import Found, checked, may_prove, retrieve
from rag.settings import Settings
from rag.spans import Reader

# A second claim is shown when its rank is at least this share of the first's: of XQuAD's train
# questions, which have one answer each, 6% get a second one so, and by confidences, which
# saturate, 9% at .96. Where the question asks for several, the other share is enough.
RUNNER_UP = 0.8
ONE_OF_SEVERAL = 0.3
MOST, MOST_OF_SEVERAL = 2, 6
# So many more sentences are read where the question asks for several.
WIDER = 2
# The languages that the default generator reads better than the span reader does.
READS_WELL = frozenset({"en"})
# So many of the nearest sentences are shown with a refusal.
CLOSEST_SHOWN = 2
# Words of a sentence that is shown as the answer to a yes-or-no question, at most.
SHORT = 40


@dataclass(slots=True)
class _Run:
    """What one question has gathered so far."""

    question: str
    language: str
    several: bool
    found: Found
    on_text: Callable[[str], None]
    start: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    usages: list[Usage] = field(default_factory=list)
    confidence: float = 0.0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = self.timings.get(stage, 0) + time.perf_counter() - start

    @property
    def tokens(self) -> dict[str, int]:
        written = sum(len(u.probabilities) + u.thinking_tokens for u in self.usages)
        return {
            "prompt": sum(u.prompt_tokens for u in self.usages),
            "read": sum(u.read_tokens for u in self.usages),
            "generated": written,
        }


@dataclass(frozen=True, slots=True)
class _Said:
    """A claim in words, with the sentence that proves it."""

    text: str
    original: str
    reading: Reading
    doubtful: bool = False


class Answerer:
    """Answers questions over one index with one embedder, one reader and one generator.

    `reader` and `generator` are called when they are needed first: a refusal loads no
    generator.
    """

    def __init__(
        self,
        index: Index,
        embedder: Embedder,
        reader: Callable[[], Reader],
        generator: Callable[[], Generator],
        settings: Settings,
        calibration: Calibration | None = None,
        *,
        reranker: Reranker | None = None,
        lexicons: Kept | None = None,
    ) -> None:
        self.index = index
        self.embedder = embedder
        self._load_reader = reader
        self._reader: Reader | None = None
        self._load_generator = generator
        self._generator: Generator | None = None
        self._settings = settings
        self._calibration = calibration or Calibration.shipped(settings.strictness)
        self._reranker = reranker
        self._phrasing = Phrasing(
            lambda: self.generator,
            embedder,
            lambda: self.reader.vocabulary,
            settings.max_tokens,
            lexicons,
        )

    @property
    def generator(self) -> Generator:
        """The generator, loaded at the first use."""
        if self._generator is None:
            self._generator = self._load_generator()
        return self._generator

    @property
    def reader(self) -> Reader:
        """The span reader, loaded at the first use."""
        if self._reader is None:
            self._reader = self._load_reader()
        return self._reader

    def ask(
        self,
        question: str,
        on_text: Callable[[str], None] = lambda _: None,
        *,
        within: Collection[str] | None = None,
    ) -> Answer:
        """Answer a question; `within` names the only documents to look in.

        Raises `UsageError` for a question without a word, `GenerationError` where the
        generator fails.
        """
        question = checked(question)
        several = asks_for_several(question)
        start = time.perf_counter()
        found = self._search(question, within, WIDER if several else 1)
        run = _Run(question, language(question), several, found, on_text, start)
        run.timings["search"] = time.perf_counter() - start
        if not found.evidence or found.best_cosine < self._calibration.cosine_floor:
            return self._answer(run, [])
        if self._reader is None:
            with run.timed("load_reader"):
                _ = self.reader
        with run.timed("read"):
            readings = extract(question, found, self.reader, self._calibration)
        run.confidence = readings[0].confidence if readings else 0.0
        return self._answer(run, self._claims(run, readings))

    def _search(self, question: str, within: Collection[str] | None, wider: int) -> Found:
        s = self._settings
        return retrieve(
            question,
            self.index,
            self.embedder,
            k=s.k * wider,
            evidence=s.evidence * wider,
            within=within,
            reranker=self._reranker,
        )

    def _answer(self, run: _Run, said: Sequence[_Said]) -> Answer:
        dates = self.index.text.dates({s.reading.evidence.quote.chunk.path for s in said})
        claims = tuple(Claim(s.text, n, s.original, s.doubtful) for n, s in enumerate(said, 1))
        cited = enumerate((s.reading.evidence for s in said), 1)
        return Answer(
            question=run.question,
            language=run.language,
            text="; ".join(map(str, claims)),
            citations=tuple(citation(n, e, dates[e.quote.chunk.path]) for n, e in cited),
            hits=run.found.hits,
            evidence=run.found.evidence,
            confidence=run.confidence,
            timings={**run.timings, "total": time.perf_counter() - run.start},
            tokens=run.tokens,
            claims=claims,
            disagree=not run.several and disagree(said),
        )

    def _claims(self, run: _Run, readings: Sequence[Reading]) -> list[_Said]:
        """Put the likeliest readings into words, those that are likely enough."""
        share, most = (ONE_OF_SEVERAL, MOST_OF_SEVERAL) if run.several else (RUNNER_UP, MOST)
        said: list[_Said] = []
        bar = self._bar(run.several)
        left = [r for r in readings if r.confidence >= bar]
        while left and len(said) < most:
            reading = left.pop(0)
            if said and reading.rank < share * said[0].reading.rank:
                continue
            claim = self._say(run, reading, said)
            if claim and all(_differs(claim.text, other.text) for other in said):
                said.append(claim)
                if not run.several:
                    # One document that says two things must not silence another one.
                    path = claim.reading.evidence.quote.chunk.path
                    left.sort(key=lambda r: r.evidence.quote.chunk.path == path)
        if said:
            run.confidence = said[0].reading.confidence
        else:
            run.confidence = min(run.confidence, bar / 2)
        return said

    def _bar(self, several: bool) -> float:
        """Return the confidence that a claim needs.

        A part of an answer is less like the question than the whole would be: where several
        are asked for, `normal` is as ready to answer as `low`.
        """
        normal = several and self._calibration.strictness == "normal"
        return (self._calibration.at("low") if normal else self._calibration).threshold

    def _say(self, run: _Run, reading: Reading, before: Sequence[_Said]) -> _Said | None:
        """Put one reading into the asker's words.

        `None` where it proves to be none, or where the slice of a claim before says the same.
        """
        quote = reading.evidence.quote.text
        if asks_whether(run.question) and len(words(quote)) <= SHORT:
            # A yes or no cannot be checked against the sentence; the sentence itself can.
            return _Said(as_data(quote), "", reading)
        if not all(_differs(reading.text, other.reading.text) for other in before):
            return None  # asking the generator for the same once more takes seconds
        if reading.signals.crossing:
            told = _told(reading)
            with run.timed("generate"):
                said = self._phrasing.translate(told.text, run.question, run.language, run.usages)
            if said.text in ("", told.text):
                return told
            return replace(told, text=said.text, original=told.text, doubtful=said.doubtful)
        # Of a passage the generator would tell one thing, most often the same each time.
        if not run.several and self._reads(quote, run.language):
            return self._read(run, reading, first=not before)
        return _told(reading)

    def _reads(self, text: str, asked: str) -> bool:
        """Whether the generator is to read a passage itself."""
        return reads(asked, text_language(text), self._settings)

    def _read(self, run: _Run, reading: Reading, *, first: bool) -> _Said | None:
        """Let the generator answer from the passage around a sentence."""
        quote = reading.evidence.quote
        run.usages.append(usage := Usage())

        def judged(refusal: float, agreement: float) -> Reading:
            signals = replace(reading.signals, refusal=refusal, agreement=agreement)
            return replace(
                reading, signals=signals, confidence=self._calibration.confidence(signals)
            )

        def likely(agreement: float) -> bool:
            return judged(usage.refusal, agreement).confidence >= self._calibration.threshold

        def show(piece: str) -> None:
            # Whether it will agree with the reader is not known yet; what is shown must
            # not be refused then.
            if first and likely(0.0):
                run.on_text(piece)

        with run.timed("generate"):
            passage = excerpt(quote, self._settings.passage_tokens, self._phrasing.cost)
            written = self._phrasing.read(
                run.question,
                run.language,
                (passage, quote.text),
                show,
                usage,
                hopeful=lambda: likely(1.0),
            )
        if written is None:
            return _told(reading)
        final = judged(written.refusal, overlap(written.text, reading.text))
        if final.confidence < self._calibration.threshold:
            return None
        proved = self._proof(run, written.text, final) if words(written.text) else None
        return proved or _told(final)

    def _proof(self, run: _Run, text: str, reading: Reading) -> _Said | None:
        """Find the sentence of the passage that supports a claim: most often the one read."""
        quote = reading.evidence.quote
        if set(words(text)) <= set(words(quote.text)) and supports(text, quote.text):
            return _Said(text, "", reading)
        chunk = quote.chunk
        # A passage has headings and questions, too, and a chunk orders that were left out of it.
        places = [(a, b) for a, b in sentences(chunk.text) if may_prove(chunk.text[a:b])]
        own = next((i for i, (_, end) in enumerate(places) if chunk.start + end >= quote.end), 0)
        best = locate(text, [chunk.text[a:b] for a, b in places], own)
        if best is None:
            return _Said(text, "", reading) if supports(text, quote.text) else None
        if best == own:
            return _Said(text, "", reading)
        start, end = places[best]
        other = self.index.quote(chunk, chunk.start + start, chunk.start + end)
        evidence = Evidence(reading.evidence.number, other, reading.evidence.score)
        # The passage may hold a line that the search ranked low for a reason: the reader
        # must find an answer in it, too.
        again = read_sentences(
            run.question, [evidence], run.found.hits, self.reader, self._calibration
        )
        if not again or again[0].confidence < self._calibration.threshold:
            return None
        return _Said(text, "", replace(reading, evidence=evidence))


def reads(asked: str, written: str, settings: Settings) -> bool:
    """Whether the generator is to read passages of one language for questions in another."""
    mode = settings.generator_reads
    return mode == "always" or (mode == "auto" and {asked, written} <= READS_WELL)


def writes_likely(question: str, text: Database, settings: Settings) -> bool:
    """Guess before the search whether an answer will need the generator.

    It does where most documents are written in another script than the question, unless that
    asks for a number, or are of a language that it reads better than the reader does. A yes-or-no
    question never needs it.
    """
    if asks_whether(question):
        return False
    written, theirs = text.commonest()
    if theirs not in ("", dominant_script(question)):
        return not asks_for_number(question)
    return reads(language(question), written, settings)


def _told(reading: Reading) -> _Said:
    """Say a slice as it stands, but for what nobody sees and what could pass for a label."""
    return _Said(as_data(reading.text), "", reading)


def disagree(said: Sequence[_Said]) -> bool:
    """Whether two claims of different files give different numbers for one thing."""
    if len(said) != 2:
        return False
    one, two = (set(numbers(s.text)) for s in said)
    files = {s.reading.evidence.quote.chunk.path for s in said}
    return bool(one and two and one.isdisjoint(two) and len(files) == 2)


def _differs(claim: str, other: str) -> bool:
    """Whether two claims say different things: neither holds all words of the other."""
    one, two = set(words(claim)), set(words(other))
    return not (one <= two or two <= one)
