"""A question to an `Answer`: retrieve, read, verify, or refuse.

The generator reads the evidence one sentence at a time, and its first token alone tells
how likely that sentence is to hold the answer. Only the best sentence's answer is written
out; a second one follows when it is about as likely, lies elsewhere and says something
else, because documents may disagree. A small model told apart what it can answer better
this way than with all sentences in one prompt, and a claim read from one sentence cannot
be cited to another (figures: benchmarks/LOG.md).

The program refuses without waking the generator where nothing similar was found, when no
sentence is likely enough, and when the sentence does not support what was written. Text is
handed to a callback word by word; a number only after it was found in the sentence. This
module prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rag.calibration import Calibration, Signals
from rag.citing import citation, claim_of, supports
from rag.datatypes import Answer, Citation, Evidence
from rag.embedding import Embedder
from rag.generation import Generator, Usage
from rag.index import Index
from rag.language import dominant_script, language, numbers, words
from rag.prompts import REFUSAL, Message, as_data, load_for
from rag.reranking import Reranker
from rag.retrieve import Found, checked, retrieve
from rag.settings import Settings

# A second answer is shown when its confidence is at least this share of the first's.
RUNNER_UP = 0.96
# How many of the likeliest sentences may be written out before the program refuses.
TRIES = 3
# Spaces that group digits (8 500): no number ends at them.
HARD_SPACES = "\u00a0\u2009\u202f"
# English names of languages for the prompt that nobody has translated yet.
LANGUAGE_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "cs": "Czech", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "fa": "Persian", "fr": "French",
    "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "kn": "Kannada", "ko": "Korean", "ml": "Malayalam", "nl": "Dutch",
    "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sv": "Swedish", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(slots=True)
class _Run:
    """What one question has gathered so far."""

    question: str
    language: str
    start: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "generated": 0})
    confidence: float = 0.0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = time.perf_counter() - start

    def count(self, usage: Usage) -> None:
        self.tokens["prompt"] += usage.prompt_tokens
        self.tokens["generated"] += len(usage.probabilities)

    def answer(self, found: Found, text: str = "", citations: Sequence[Citation] = ()) -> Answer:
        return Answer(
            question=self.question,
            language=self.language,
            text=text,
            citations=tuple(citations),
            hits=found.hits,
            evidence=found.evidence,
            confidence=self.confidence,
            timings={**self.timings, "total": time.perf_counter() - self.start},
            tokens=dict(self.tokens),
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence that the generator has read, and how likely it holds the answer."""

    evidence: Evidence
    signals: Signals
    confidence: float


class Answerer:
    """Answers questions over one index with one embedder and one generator.

    `generator` is called when it is needed first: a refusal for want of anything similar
    loads none.
    """

    def __init__(
        self,
        index: Index,
        embedder: Embedder,
        generator: Callable[[], Generator],
        settings: Settings,
        calibration: Calibration | None = None,
        *,
        reranker: Reranker | None = None,
    ) -> None:
        self.index = index
        self.embedder = embedder
        self._load = generator
        self._generator: Generator | None = None
        self._settings = settings
        self._calibration = calibration or Calibration.shipped()
        self._reranker = reranker

    @property
    def generator(self) -> Generator:
        """The generator, loaded at the first use."""
        if self._generator is None:
            self._generator = self._load()
        return self._generator

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
        run = _Run(question, language(question))
        s = self._settings
        with run.timed("search"):
            found = retrieve(
                question,
                self.index,
                self.embedder,
                k=s.k,
                evidence=s.evidence,
                within=within,
                reranker=self._reranker,
            )
        if not found.evidence or found.best_cosine < self._calibration.cosine_floor:
            return run.answer(found)
        with run.timed("load_generator"):
            generator = self.generator
        with run.timed("read"):
            readings = self._read_all(run, found.evidence, generator)
        run.confidence = readings[0].confidence if readings else 0.0
        with run.timed("generate"):
            claims = self._claims(run, readings, generator, on_text)
        text = "; ".join(f"{claim} [{n}]" for n, (claim, _) in enumerate(claims, 1))
        return run.answer(found, text, [citation(n, e) for n, (_, e) in enumerate(claims, 1)])

    def read(self, question: str, evidence: Sequence[Evidence]) -> list[Reading]:
        """Let the generator read each sentence; likeliest first. Writes no answer."""
        question = checked(question)
        return self._read_all(_Run(question, language(question)), evidence, self.generator)

    def _read_all(
        self, run: _Run, evidence: Sequence[Evidence], generator: Generator
    ) -> list[Reading]:
        asked = dominant_script(run.question)
        readings = []
        for item in evidence:
            usage = Usage()
            messages = self._prompt(run, item)
            if generator.count(messages) + self._settings.max_tokens > generator.context:
                continue  # a sentence that does not fit the window cannot be read
            pieces = generator.stream(messages, usage, max_tokens=1, refusal=REFUSAL)
            for _ in pieces:
                pass
            run.count(usage)
            crossing = dominant_script(item.quote.text) != asked
            signals = Signals(usage.refusal, item.score, crossing)
            readings.append(Reading(item, signals, self._calibration.confidence(signals)))
        return sorted(readings, key=lambda r: (-r.confidence, r.evidence.number))

    def _prompt(self, run: _Run, item: Evidence) -> list[Message]:
        return load_for("answer", run.language).fill(
            {
                "sentence": as_data(item.quote.text),
                "question": as_data(run.question),
                "language": LANGUAGE_NAMES.get(run.language, "the language of the question"),
            }
        )

    def _claims(
        self,
        run: _Run,
        readings: Sequence[Reading],
        generator: Generator,
        on_text: Callable[[str], None],
    ) -> list[tuple[str, Evidence]]:
        """Write out the likeliest supported claim, and a second one where it is as likely."""
        claims: list[tuple[str, Evidence]] = []
        shown: list[str] = []

        def show(piece: str) -> None:
            shown.append(piece)
            on_text(piece)

        for reading in readings[:TRIES]:
            if reading.confidence < self._calibration.threshold:
                break
            if claims and reading.confidence < RUNNER_UP * run.confidence:
                break
            # What one sentence began to say is not gone on with by another.
            silent = bool(claims or shown)
            claim = self._write(
                run, reading.evidence, generator, (lambda _: None) if silent else show
            )
            if not claim or (claims and not _differs(claim, claims[0][0])):
                continue
            if not claims:
                run.confidence = reading.confidence
            claims.append((claim, reading.evidence))
            if len(claims) == 2:
                break
        if not claims:
            run.confidence = min(run.confidence, self._calibration.threshold / 2)
        return claims

    def _write(
        self, run: _Run, item: Evidence, generator: Generator, on_text: Callable[[str], None]
    ) -> str:
        """Write out the answer of one sentence; '' where it refuses or is not supported."""
        usage = Usage()
        known = set(numbers(item.quote.text))
        output, shown = "", 0
        for piece in generator.stream(
            self._prompt(run, item), usage, max_tokens=self._settings.max_tokens, refusal=REFUSAL
        ):
            output += piece
            ready = showable(output, shown)
            if REFUSAL in output or not set(numbers(output[:ready])) <= known:
                output = ""
                break
            if ready > shown and not REFUSAL.startswith(output.strip()):
                on_text(output[shown:ready])
                shown = ready
            if "\n" in output.strip():
                break
        run.count(usage)
        claim = claim_of(output)
        return claim if words(claim) and supports(claim, item.quote.text) else ""


def _differs(claim: str, other: str) -> bool:
    """Whether two claims say different things: neither holds all words of the other."""
    one, two = set(words(claim)), set(words(other))
    return not (one <= two or two <= one)


def showable(output: str, shown: int) -> int:
    """Return up to where an output may be shown: whole words, and never a label.

    A label is the program's to write, and a number is not known before it ends.
    """
    end = len(output)
    while end > shown and (not output[end - 1].isspace() or output[end - 1] in HARD_SPACES):
        end -= 1
    bracket = min((i for i in (output.find(c, shown) for c in "[【［") if i >= 0), default=end)
    return min(end, bracket) if bracket > shown else shown
