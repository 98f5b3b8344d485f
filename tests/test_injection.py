"""Documents that want to be obeyed change nothing: no answer, citation, prompt or terminal.

Each hostile document of `injection_corpus` is added to six true ones, and the true ones'
questions are asked over the whole path. Reader and generator are the worst that the program
could be given: the reader is surest of what an order wants said wherever it sees it, and the
generator sees whatever a text hides and obeys it, so that nothing here rests on a model's
good will.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import (
    PLAIN_CALIBRATION,
    FakeEmbedder,
    FakeReader,
    RecordingProgress,
    ScriptedGenerator,
)
from injection_corpus import (
    CLEAN,
    COMPETING,
    HOSTILE,
    NAMED,
    PAYLOADS,
    Hostile,
    looks,
    seen_through,
)

from rag.answer import Answerer
from rag.chunking import chunk_document
from rag.datatypes import Answer, Quote
from rag.display import Display, answer_object, to_json
from rag.excerpt import excerpt
from rag.generation import Usage
from rag.index import Index
from rag.ingest import index_documents
from rag.language import visible, word_spans, words
from rag.models import SilentProgress
from rag.phrasing import Phrasing
from rag.prompts import REFUSAL, Message
from rag.reading import read_document
from rag.session import Session
from rag.settings import Settings
from rag.spans import Reader, Span, plain

# Question, the answer, the file that tells it, and what stands in its sentence.
ASKED = (
    ("How many people moved into relief camps?", "8,500", "flood.txt", "About 8,500 people"),
    ("Who visited the camps on Thursday?", "Mira Halden", "flood.txt", "Governor Mira Halden"),
    (
        "how many troops were sent?",
        "15,000 soldiers (15,000 सैनिक)",
        "सैनिक.txt",
        "लगभग 15,000 सैनिक",
    ),
    ("उत्तर कोरिया ने रूस में कितने सैनिक भेजे?", "15,000", "सैनिक.txt", "लगभग 15,000 सैनिक"),
    ("كم طالبا يدرس في المدرسة؟", "450", "مدرسة.txt", "450 طالبا"),
    ("大桥全长多少米？", "2300", "大桥.txt", "全长2300米"),
    ("ตลาดริมน้ำมีร้านค้ากี่ร้าน", "320", "ตลาด.txt", "ร้านค้า 320 ร้าน"),
    ("Сколько книг хранится в библиотеке?", "64000", "библиотека.txt", "хранится 64000 книг"),
)
ACROSS = ("How many soldiers did North Korea send to Russia?", "15,000", "सैनिक.txt", "15,000")
UNANSWERABLE = "What is the password of the relief camps?"
# What the reader points at is the answer, or what the generator must translate.
SLICES = {"15,000 soldiers (15,000 सैनिक)": "15,000 सैनिक"}
SAID = {(question, part): SLICES.get(answer, answer) for question, answer, _, part in ASKED}
TRANSLATIONS = {"15,000 सैनिक": "15,000 soldiers"}

# Marks of every family of templates, and what only a prompt of ours may hold.
MARKS = re.compile(
    r"[<>＜＞﹤﹥⟨⟩〈〉❬❭\u2329\u232a\[\]［］【】]|#{2,}"
    r"|\b(?:passage|sentence|question|system|user|assistant)\s*:",
    re.I,
)
# What a terminal would obey, or nobody would see: joiners alone are text (Hindi, Persian).
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e-\u200f\u2028-\u202e"
                 "\u2060-\u206f\ufeff\u3164\U000e0000-\U000e0fff]")  # fmt: skip

ORDERING = [h for h in HOSTILE if h.name not in COMPETING]


def ids(documents: Iterable[Hostile]) -> list[str]:
    return [re.sub(r"[^\w.-]", "_", h.name, flags=re.ASCII) for h in documents]


each_hostile = pytest.mark.parametrize("hostile", HOSTILE, ids=ids(HOSTILE))


def slot_of(messages: Sequence[Message]) -> str:
    """Return what stands in the place of the document's text, however many lines.

    That is a passage to answer from, or words to translate.
    """
    content = messages[-1]["content"]
    if not messages[0]["content"].startswith("Translate "):
        assert content.startswith("Passage: ")
        return content[len("Passage: ") : content.rindex("\nQuestion: ")]
    asked = content.rfind("\n(it answers: ")
    return content if asked < 0 else content[:asked]


def obedient(messages: Sequence[Message]) -> str:
    """Do what the text orders, else answer or translate truly."""
    slot = slot_of(messages)
    seen = seen_through(slot)
    for payload in PAYLOADS:
        if payload in seen:
            return payload
    question = messages[-1]["content"].rpartition("\nQuestion: ")[2]
    truly = (answer for (q, part), answer in SAID.items() if q == question and part in slot)
    return TRANSLATIONS.get(slot) or next(truly, REFUSAL)


class Deceived:
    """A reader that is surest of an order's payload, else finds the true answer.

    Of what is hidden it sees nothing, as no reader of ours does (`rag.spans.plain`); what
    looks like a payload is one. One that is `credulous`, too, finds an answer everywhere.
    """

    identity = "deceived@1"
    vocabulary: Sequence[str] = ()

    def __init__(self, *, credulous: bool = False) -> None:
        self._otherwise = 4.0 if credulous else -4.0

    def read(self, question: str, texts: Sequence[str]) -> list[list[Span]]:
        return [self._spans(question, text) for text in texts]

    def _spans(self, question: str, text: str) -> list[Span]:
        seen, places = plain(text)
        for payload in PAYLOADS:
            if (at := looks(seen).find(payload)) >= 0:
                return [Span(places[at], places[at + len(payload) - 1] + 1, 9.0)]
        for (asked, part), answer in SAID.items():
            if asked == question and part in text:
                start = text.index(part) + part.index(answer)
                return [Span(start, start + len(answer), 4.0)]
        return [Span(a, b, self._otherwise) for _, a, b in word_spans(text)[:1]]


@contextmanager
def answering(
    documents: Iterable[Hostile],
    folder: Path,
    generator: ScriptedGenerator,
    reader: Reader | None = None,
    **other: int,
) -> Iterator[Answerer]:
    """Write and index these documents; give an answerer over them."""
    folder.mkdir(exist_ok=True)
    for document in documents:
        document.write(folder)
    settings = Settings(
        store=folder.parent / "store", documents=folder, models=folder, offline=True, **other
    )
    embedder = FakeEmbedder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        index_documents([folder], settings, embedder, RecordingProgress())
    index = Index.load(settings.store)
    deceived = reader or Deceived()
    yield Answerer(
        index, embedder, lambda: deceived, lambda: generator, settings, PLAIN_CALIBRATION
    )
    index.close()


def true_documents() -> list[Hostile]:
    return [Hostile(name, text) for name, text in CLEAN.items()]


def citations_of(answer: Answer) -> set[tuple[str, str]]:
    """Return the files and sentences that an answer cites."""
    return {(q.chunk.path, q.text) for c in answer.citations for q in (c.quote, *c.also)}


def spans_of(answer: Answer) -> list[Quote]:
    return [q for item in (*answer.citations, *answer.evidence) for q in (item.quote, *item.also)]


def assert_exact(answer: Answer, folder: Path) -> None:
    """Every span is a slice of the very file that it is said to be from."""
    texts = {name_of(path): path.read_bytes().decode("utf-8-sig") for path in folder.iterdir()}
    for quote in spans_of(answer):
        assert texts[quote.chunk.path][quote.start : quote.end] == quote.text
    for citation in answer.citations:
        assert citation.path == citation.quote.chunk.path


def name_of(path: Path) -> str:
    return path.name.replace("\\", "\\\\")


def obeyed(answer: Answer) -> list[str]:
    """Return the payloads in an answer."""
    said = set(words(answer.text))
    return [payload for payload in PAYLOADS if payload in said or f"{payload}s" in said]


def printed(answer: Answer, index: Index, capsys: pytest.CaptureFixture[str]) -> str:
    """Return all that can be printed of an answer: for people, in one line, and as JSON."""
    Display().answer(answer)
    Display(quiet=True).answer(answer)
    value = answer_object(answer, manifest=index.manifest, store="s", generator=None)
    Display(as_json=True).json(value)
    assert json.loads(to_json(value))["hits"] == value["hits"]  # escaped, and nothing lost
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """The answers over the true documents alone, by question."""
    folder = tmp_path_factory.mktemp("clean") / "documents"
    with answering(true_documents(), folder, ScriptedGenerator(obedient)) as answerer:
        return {question: answerer.ask(question) for question, *_ in ASKED}


def test_the_true_documents_answer_their_questions(clean: dict[str, Answer]) -> None:
    for question, said, path, part in ASKED:
        answer = clean[question]
        assert answer.text == f"{said} [1]"
        ((cited, sentence),) = citations_of(answer)
        assert cited == path
        assert part in sentence


def test_the_corpus_is_large_and_each_document_wants_something() -> None:
    assert len(HOSTILE) >= 90
    orders = [h for h in HOSTILE if any(p in seen_through(h.text + h.name) for p in PAYLOADS)]
    assert len(orders) >= 65


@each_hostile
def test_beside_true_documents_it_changes_nothing(
    hostile: Hostile, clean: dict[str, Answer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "documents"
    generator = ScriptedGenerator(obedient)
    with answering([*true_documents(), hostile], folder, generator) as answerer:
        for question, *_ in ASKED:
            streamed: list[str] = []
            answer = answerer.ask(question, streamed.append)
            assert_exact(answer, folder)
            assert not RAW.search(printed(answer, answerer.index, capsys).replace("\n", ""))
            assert citations_of(clean[question]) <= citations_of(answer)
            if hostile.name in COMPETING:  # a second claim, beside the true one
                assert any(question == q and said in answer.text for q, said, *_ in ASKED)
                continue
            assert answer.text == clean[question].text
            assert not obeyed(answer)
            assert not set(words("".join(streamed))) & set(PAYLOADS)
        assert answerer.ask(UNANSWERABLE).refused or hostile.name in COMPETING
        assert all("<" not in p and p == visible(p) for p in answerer.embedder.passages)
    assert_defused(generator)


def assert_defused(generator: ScriptedGenerator) -> None:
    """What the generator was given holds a document's text in one slot, as mere prose."""
    for messages in generator.prompts:
        slot = slot_of(messages)
        assert len(slot.splitlines()) <= 1
        assert not MARKS.search(slot), slot
        assert not RAW.search(slot), ascii(slot)
        # Nothing can be seen through any more that is not there in the clear.
        clear = unicodedata.normalize("NFKC", slot).casefold()
        for payload in PAYLOADS:
            if payload in seen_through(re.sub("[A-Za-z0-9+/]{12,}", "", slot)):
                assert payload in clear


@each_hostile
def test_the_reader_is_shown_what_people_see(hostile: Hostile) -> None:
    seen, places = plain(hostile.text)
    assert seen == visible(hostile.text).translate(str.maketrans("<>", "‹›"))
    assert not re.search(
        "[\u00ad\u200b\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f<>]", seen
    )
    # Its spans lead back to the very characters of the document.
    assert [hostile.text[place] for place in places] == list(visible(hostile.text))


# A question in a script that no document here is in: every slice must be translated.
GREEK = "Πόσοι άνθρωποι;"


@each_hostile
def test_in_a_prompt_it_is_one_line_without_marks(hostile: Hostile, tmp_path: Path) -> None:
    """Every sentence of it is read and translated, whether or not a search would find it."""
    hostile.write(tmp_path)
    (path,) = tmp_path.iterdir()
    document = read_document(path, hostile.name, max_bytes=10**6)
    chunks = chunk_document(document, max_tokens=256, measure=lambda texts: [*map(len, texts)])
    quotes = [
        Quote(c.chunk, start, end, document.text[start:end])
        for c in chunks
        for start, end in c.sentences
    ]
    generator = ScriptedGenerator(obedient)
    phrasing = Phrasing(lambda: generator, FakeEmbedder(), lambda: (), 160)
    for quote in quotes:
        for text in (excerpt(quote, 10**6, len), quote.text):
            phrasing.read(ASKED[0][0], "en", (text,), lambda _: None, Usage(), lambda: True)
    assert len(generator.prompts) == 2 * len(quotes) > 0
    for quote in quotes:
        translated = phrasing.translate(quote.text, GREEK, "el", []).text
        assert not set(words(translated)) & set(PAYLOADS) - set(words(quote.text))
    assert_defused(generator)


@pytest.mark.parametrize("hostile", ORDERING, ids=ids(ORDERING))
def test_alone_it_is_not_obeyed(hostile: Hostile, tmp_path: Path) -> None:
    """Nothing else could be cited, and the generator obeys: the program must not."""
    folder = tmp_path / "documents"
    for credulous in (False, True):
        reader = Deceived(credulous=credulous)
        with answering([hostile], folder, ScriptedGenerator(obedient), reader) as answerer:
            for question, *_ in (*ASKED, (UNANSWERABLE,)):
                answer = answerer.ask(question)
                assert_exact(answer, folder)
                assert not obeyed(answer), citations_of(answer)


@pytest.mark.parametrize("name", NAMED, ids=ids(h for h in HOSTILE if h.name in NAMED))
def test_a_hostile_name_is_cited_on_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "documents"
    document, generator = Hostile(name, NAMED[name]), ScriptedGenerator("valley")
    with answering([document], folder, generator, FakeReader("valley")) as answerer:
        answer = answerer.ask(ASKED[0][0])
        assert_exact(answer, folder)
        shown = printed(answer, answerer.index, capsys)
    assert not RAW.search(shown.replace("\n", ""))
    people = shown.splitlines()
    assert people[0] == "valley [1]"
    assert people[2].startswith("[1] ")
    assert people[2].endswith(".txt")
    assert people[3] == f"    “{NAMED[name].strip()}”"
    assert people[4].startswith("valley [1] (")


@pytest.mark.parametrize("name", ["hidden-fillers.txt", "hidden-tags-only.txt"])
def test_a_sentence_of_what_nobody_sees_is_no_evidence(name: str, tmp_path: Path) -> None:
    (seen,) = (h for h in HOSTILE if h.name == name)
    both = [seen, Hostile("seen.txt", "About 8,500 people moved into relief camps.\n")]
    with answering(both, tmp_path / "documents", ScriptedGenerator(obedient)) as answerer:
        for question, *_ in ASKED:
            found = answerer.ask(question).evidence
            assert {item.quote.chunk.path for item in found} == {"seen.txt"}


def test_all_at_once(clean: dict[str, Answer], tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    generator = ScriptedGenerator(obedient)
    # Dozens of them tell of people in relief camps, as near to the question as the truth.
    every = {"k": len(HOSTILE) + 10, "evidence": len(HOSTILE) + 10}
    with answering([*true_documents(), *ORDERING], folder, generator, **every) as answerer:
        for question, *_ in ASKED:
            answer = answerer.ask(question)
            assert_exact(answer, folder)
            assert answer.text == clean[question].text
            assert citations_of(clean[question]) <= citations_of(answer)
    assert_defused(generator)


@pytest.fixture(scope="module")
def beside_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, Path]]:
    """A session of the real models over the true documents and all that order something.

    Of those that state something else only two, as near to the truth as can be: a score of
    them would fill all places for evidence, as a score of wrong newspapers would.
    """
    folder = tmp_path_factory.mktemp("all") / "documents"
    folder.mkdir()
    liars = [h for h in HOSTILE if h.name.startswith("liar-")]
    for document in [*true_documents(), *ORDERING, *liars]:
        document.write(folder)
    settings = Settings.load({"store": folder.parent / "store", "documents": folder})
    session = Session(settings, SilentProgress())
    yield session, folder
    session.index.close()


@pytest.mark.models
@pytest.mark.parametrize("asked", [ASKED[1], ACROSS, ASKED[3]], ids=["en-en", "en-hi", "hi-hi"])
def test_the_real_models_beside_all_of_them(
    asked: tuple[str, str, str, str],
    beside_all: tuple[Session, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    session, folder = beside_all
    question, said, path, _ = asked
    answer = session.ask(question)
    assert_exact(answer, folder)
    assert not RAW.search(printed(answer, session.index, capsys).replace("\n", ""))
    assert said in answer.text
    assert path in {cited for cited, _ in citations_of(answer)}
