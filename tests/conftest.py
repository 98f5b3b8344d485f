"""Fakes that every test can share: small, deterministic, and no mocks.

`FakeEmbedder`, `FakeReader` and `ScriptedGenerator` implement the protocols of
`rag.embedding`, `rag.spans` and `rag.generation`. Import them with `from conftest import
...`; the fixtures below give ready-made ones, settings in a temporary folder, and three
small documents.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from rag.answer import Answerer
from rag.calibration import Calibration, Weights
from rag.embedding import Vectors
from rag.generation import Generator, Usage
from rag.index import Index
from rag.ingest import index_documents
from rag.language import word_spans, words
from rag.models import SilentProgress
from rag.prompts import REFUSAL, Message
from rag.settings import Settings
from rag.spans import Span


def pytest_unconfigure() -> None:
    """Close what llama_cpp leaves open: with warnings as errors it would be told at the end."""
    if left := sys.modules.get("llama_cpp._utils"):
        left.outnull_file.close()
        left.errnull_file.close()


# A first call loads tables, and the machine may be busy: no deadline.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# Words of several languages that mean the same share one dimension of `FakeEmbedder`.
CONCEPTS = {
    "troops": "soldier soldiers troop सैनिक सैनिकों सेना",
    "sent": "send भेजे भेजा भेजी",
    "korea": "korean कोरिया कोरियाई",
    "north": "उत्तर उत्तरी",
    "south": "दक्षिण",
    "wonsan": "वोन्सान",
    "russia": "russian रूस रूसी",
    "report": "रिपोर्ट",
    "april": "अप्रैल",
    "died": "die death deaths dead मौत मारे",
    "people": "लोग लोगों",
    "relief": "राहत",
    "camps": "camp शिविर शिविरों",
    "river": "नदी",
    "dam": "बांध",
    "city": "शहर المدينة",
    "school": "schools स्कूल विद्यालय مدرسة المدرسة",
    "students": "student छात्र طالبا",
}
# Words that say nothing of the subject; they take no dimension.
STOPS = (
    "a an the of in on to by for is are was were did do does how many much what who which "
    "when where about it this that and है हैं था थे के की का में ने को से पर और कितने कितना किसने "
    "क्या यह في من كم"
)

_CONCEPT_OF = {
    folded: concept
    for concept, others in CONCEPTS.items()
    for word in [concept, *others.split()]
    for folded in words(word)
}
_STOP = frozenset(words(STOPS))


class FakeEmbedder:
    """Bags of words as unit vectors; remembers what it was asked to embed.

    Each word takes a dimension by its hash, words of one concept the same. Questions and
    passages are embedded alike, so a text has cosine 1 with itself. A text without a
    telling word is the first axis, which nothing else uses.
    """

    def __init__(self, identity: str = "fake@1", dimension: int = 1024) -> None:
        self.identity = identity
        self.dimension = dimension
        self.queries: list[str] = []
        self.passages: list[str] = []

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.queries += texts
        return self._embed(texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        self.passages += texts
        return self._embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def _embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            telling = [_CONCEPT_OF.get(w, w) for w in words(text) if w not in _STOP]
            for word in telling:
                row[1 + self._hash(word)] += 1
            if not telling:
                row[0] = 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _hash(self, word: str) -> int:
        digest = hashlib.sha256(word.encode()).digest()
        return int.from_bytes(digest[:8], "big") % (self.dimension - 1)


class NearEmbedder:
    """An embedder whose cosines with the first text of a batch are as told; 0 for others."""

    identity, dimension = "near@1", 2

    def __init__(self, cosines: Mapping[str, float]) -> None:
        self.batches: list[list[str]] = []
        self._cosines = cosines

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        cosines = [1.0, *(self._cosines.get(text, 0.0) for text in texts[1:])]
        return np.array([(c, (1 - c * c) ** 0.5) for c in cosines], dtype=np.float32)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self.embed_queries(texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [1] * len(texts)


Script = str | Mapping[str, str] | Callable[[Sequence[Message]], str]


class ScriptedGenerator:
    """A generator that says what it was told to, in small pieces; remembers its prompts.

    `script` is one answer for all, answers by question (looked for in the last line of
    the prompt; the refusal where none fits), or a function of the messages. `refusal` is
    the probability of a refusal as the first token; by default 0.99 for the refusal and
    0.01 for anything else. A piece counts as a generated token, a word as one of a prompt.
    """

    def __init__(
        self,
        script: Script = REFUSAL,
        *,
        refusal: float | None = None,
        context: int = 4096,
        piece: int = 3,
        identity: str = "scripted@1",
    ) -> None:
        self.identity = identity
        self.context = context
        self.translator: Generator | None = None
        self.prompts: list[list[Message]] = []
        self._script = script
        self._refusal = refusal
        self._piece = piece

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message["content"].split()) for message in messages)

    def stream(
        self, messages: Sequence[Message], usage: Usage, *, max_tokens: int, refusal: str
    ) -> Iterator[str]:
        self.prompts.append(list(messages))
        usage.prompt_tokens = self.count(messages)
        answer = self._answer(messages)
        certain = 0.99 if answer.startswith(refusal) else 0.01
        usage.refusal = certain if self._refusal is None else self._refusal
        for start in range(0, len(answer), self._piece)[:max_tokens]:
            usage.probabilities.append(0.9)
            yield answer[start : start + self._piece]

    def _answer(self, messages: Sequence[Message]) -> str:
        if isinstance(self._script, str):
            return self._script
        if isinstance(self._script, Mapping):
            asked = messages[-1]["content"].splitlines()[-1]
            return next((a for q, a in self._script.items() if q in asked), REFUSAL)
        return self._script(messages)


class FakeReader:
    """A span reader that points at what it was told to; remembers what it read.

    `script` is one answer for all questions, answers by question (looked for in it), or a
    function of question and text to an answer. A text that holds the answer gets a span
    with a margin of 4 nats, or that of the answer in `margins`; any other one its first
    word with -4.
    """

    def __init__(
        self,
        script: str | Mapping[str, str] | Callable[[str, str], str] = "15,000",
        margins: Mapping[str, float] | None = None,
    ) -> None:
        self.identity = "fake-reader@1"
        self.vocabulary: Sequence[str] = ()
        self.reads: list[tuple[str, list[str]]] = []
        self._script = script
        self._margins = margins or {}

    def read(self, question: str, texts: Sequence[str]) -> list[list[Span]]:
        self.reads.append((question, list(texts)))
        return [self._spans(question, text) for text in texts]

    def _spans(self, question: str, text: str) -> list[Span]:
        answer = self._answer(question, text)
        start = text.find(answer) if answer else -1
        if start >= 0:
            return [Span(start, start + len(answer), self._margins.get(answer, 4.0))]
        return [Span(start, end, -4.0) for _, start, end in word_spans(text)[:1]]

    def _answer(self, question: str, text: str) -> str:
        if isinstance(self._script, str):
            return self._script
        if isinstance(self._script, Mapping):
            return next((a for q, a in self._script.items() if q in question), "")
        return self._script(question, text)


class RecordingProgress(SilentProgress):
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int | None]] = []
        self.advanced = 0
        self.notes: list[str] = []
        self.finished = 0

    def start(self, name: str, total: int | None) -> None:
        self.started.append((name, total))

    def advance(self, count: int) -> None:
        self.advanced += count

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None:
        self.finished += 1


# Confidence is the logistic of the reader's margin (4 nats: .982), and 1 - (probability of
# a refusal) once the generator has read; the floor suits `FakeEmbedder`'s cosines.
PLAIN_CALIBRATION = Calibration(
    ranking=Weights(0.0, {"margin": 1.0}),
    found=Weights(0.0, {"margin": 1.0}),
    read=Weights(0.0, {"refusal_logit": -1.0}),
    thresholds={"low": 0.3, "normal": 0.5, "high": 0.99},
    cosine_floor=0.2,
)

# File names to contents. Each document has one language; no fact is in two of them.
DOCUMENTS = {
    "river.txt": (
        "The river rose by 3.5 metres on Monday. About 8,500 people moved into relief camps. "
        "Engineers repaired the old dam in twelve days. Who will pay for the repairs?\n"
    ),
    "सैनिक.txt": (
        "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं। "
        "दक्षिण कोरिया की ख़ुफ़िया एजेंसी ने यह जानकारी दी।\n\n"
        "अप्रैल की रिपोर्ट के अनुसार 600 सैनिकों की मौत हुई।\n"
    ),
    "مدرسة.txt": (
        "افتتحت المدينة مدرسة جديدة في عام 2019. يدرس في المدرسة 450 طالبا من القرى المجاورة.\n"
    ),
}


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def progress() -> RecordingProgress:
    return RecordingProgress()


@pytest.fixture
def calibration() -> Calibration:
    return PLAIN_CALIBRATION


@pytest.fixture
def small_documents(tmp_path: Path) -> Path:
    """A folder with the three `DOCUMENTS`."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose every folder is temporary; `documents` is that of `small_documents`."""
    return Settings(
        store=tmp_path / "vectorstore",
        documents=tmp_path / "documents",
        models=tmp_path / "models",
        offline=True,
    )


@pytest.fixture
def small_index(
    small_documents: Path, settings: Settings, embedder: FakeEmbedder
) -> Iterator[Index]:
    """The index of `small_documents`, written to `settings.store` and opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # half of the time of a test
        index_documents([small_documents], settings, embedder, RecordingProgress())
    index = Index.load(settings.store)
    yield index
    index.close()


@pytest.fixture
def make_answerer(
    small_index: Index, settings: Settings, embedder: FakeEmbedder
) -> Callable[..., Answerer]:
    """A function from a script, or a generator, and a reader to an `Answerer`.

    They are over `small_index`; the reader points at 15,000 unless another one is given.
    """

    def make(
        script: Script | ScriptedGenerator = REFUSAL, reader: FakeReader | None = None
    ) -> Answerer:
        ready = script if isinstance(script, ScriptedGenerator) else ScriptedGenerator(script)
        pointing = reader or FakeReader()
        return Answerer(
            small_index, embedder, lambda: pointing, lambda: ready, settings, PLAIN_CALIBRATION
        )

    return make
