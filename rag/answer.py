"""A question to an `Answer`: retrieve, read, verify, or refuse.

The program refuses without waking the generator where nothing similar was found, when the
generator's first token leaves too little confidence, and when no shown sentence supports
what was written. Text is handed to a callback word by word; a number only after it was
found in a shown sentence. This module prints nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rag.calibration import Calibration, Signals
from rag.citing import citation, cite, claims
from rag.datatypes import Answer, Citation, Evidence
from rag.embedding import Embedder
from rag.generation import Generator, Usage
from rag.index import Index
from rag.language import language, numbers
from rag.prompts import REFUSAL, Message, as_data, load_for
from rag.retrieve import Found, checked, retrieve
from rag.settings import Settings

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
    usage: Usage = field(default_factory=Usage)
    confidence: float = 0.0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = time.perf_counter() - start

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
            tokens={
                "prompt": self.usage.prompt_tokens,
                "generated": len(self.usage.probabilities),
            },
        )


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
    ) -> None:
        self.index = index
        self.embedder = embedder
        self._load = generator
        self._generator: Generator | None = None
        self._settings = settings
        self._calibration = calibration or Calibration.shipped()

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
        """Answer a question, from all documents or only from those named in `within`.

        Raises `UsageError` for a question without a word, `GenerationError` where the
        generator fails.
        """
        question = checked(question)
        run = _Run(question, language(question))
        with run.timed("search"):
            s = self._settings
            found = retrieve(
                question, self.index, self.embedder, k=s.k, evidence=s.evidence, within=within
            )
        if not found.evidence or found.best_cosine < self._calibration.cosine_floor:
            return run.answer(found)
        with run.timed("load_generator"):
            generator = self.generator
        messages, evidence = self._prompt(run, found, generator)
        with run.timed("generate"):
            output = self._read(run, found, evidence, messages, generator, on_text)
        text, citations = verified(output, evidence)
        if not text:
            run.confidence = min(run.confidence, self._calibration.threshold / 2)
        return run.answer(found, text, citations)

    def _prompt(
        self, run: _Run, found: Found, generator: Generator
    ) -> tuple[list[Message], tuple[Evidence, ...]]:
        """Fill the prompt with as much of the evidence as the window holds."""
        prompt = load_for("answer", run.language)
        room = generator.context - self._settings.max_tokens
        for count in range(len(found.evidence), 0, -1):
            evidence = found.evidence[:count]
            messages = prompt.fill(
                {
                    "evidence": numbered(evidence),
                    "question": as_data(run.question),
                    "language": LANGUAGE_NAMES.get(run.language, "the language of the question"),
                }
            )
            if generator.count(messages) <= room:
                break
        return messages, evidence

    def _read(
        self,
        run: _Run,
        found: Found,
        evidence: Sequence[Evidence],
        messages: Sequence[Message],
        generator: Generator,
        on_text: Callable[[str], None],
    ) -> str:
        """Let the generator write; return '' as soon as it proves to be a refusal."""
        known = {n for e in evidence for n in numbers(e.quote.text)}
        output, shown = "", 0
        for piece in generator.stream(
            messages, run.usage, max_tokens=self._settings.max_tokens, refusal=REFUSAL
        ):
            if not output:
                signals = Signals(run.usage.refusal, found.best_cosine)
                run.confidence = self._calibration.confidence(signals)
                if run.confidence < self._calibration.threshold:
                    return ""
            output += piece
            if REFUSAL in output:  # also behind words like "The sentences say"
                return ""
            ready = showable(output, shown)
            if not set(numbers(output[:ready])) <= known:
                return ""
            if ready > shown and not REFUSAL.startswith(output.strip()):
                on_text(output[shown:ready])
                shown = ready
        return output


def numbered(evidence: Sequence[Evidence]) -> str:
    """Write the evidence as the generator sees it: one numbered line a sentence."""
    return "\n".join(f"[{e.number}] {as_data(e.quote.text)}" for e in evidence)


def showable(output: str, shown: int) -> int:
    """Return up to where an output may be shown: whole words, and never a label.

    A label is the program's to write, and a number is not known before it ends.
    """
    end = len(output)
    while end > shown and (not output[end - 1].isspace() or output[end - 1] in HARD_SPACES):
        end -= 1
    bracket = min((i for i in (output.find(c, shown) for c in "[【［") if i >= 0), default=end)
    return min(end, bracket) if bracket > shown else shown


def verified(output: str, evidence: Sequence[Evidence]) -> tuple[str, list[Citation]]:
    """Keep the claims that a shown sentence supports, each with its citation.

    Returns the text with the citations' numbers in brackets, counted from 1 in the order
    of appearance; ('', []) where nothing is supported.
    """
    texts: list[str] = []
    citations: list[Citation] = []
    numbers_of: dict[int, int] = {}
    for claim in claims(output):
        source = cite(claim, evidence)
        if source is None:
            continue
        if source.number not in numbers_of:
            numbers_of[source.number] = len(citations) + 1
            citations.append(citation(len(citations) + 1, source))
        texts.append(f"{claim.text} [{numbers_of[source.number]}]")
    return " ".join(texts), citations
