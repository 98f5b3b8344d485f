"""What hostile input is thrown at: functions of bytes that may raise nothing but `RagError`.

Each also checks what always has to be so: slices that are slices, text that can be printed.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rag import language as lang
from rag.boilerplate import outline
from rag.chunking import chunk_document
from rag.citing import claim_of, locate, overlap, supports
from rag.datatypes import Chunk, Document, Quote
from rag.display import at_spaces, one_line, to_json
from rag.errors import RagError, ReadingError
from rag.evaluate.sets import Files, read_set
from rag.index.store import MANIFEST, POINTER, current
from rag.models.gguf import float_arrays, trained_context, validate
from rag.passage import passage_of
from rag.prompts import as_data
from rag.reading import printable, read_document

# C0 and C1 controls: what a terminal could obey.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FOLDER = Path(tempfile.mkdtemp(prefix="rag-faults-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
MOST_BYTES = 1 << 20


def text_of(data: bytes) -> str:
    """Return any text, lone surrogates among it."""
    return data.decode("utf-8", "surrogateescape")


def reading(data: bytes) -> None:
    """A file of any bytes."""
    suffix = (".txt", ".md", ".csv")[data[0] % 3] if data else ".txt"
    _read(data[1:], suffix)


def pdf(data: bytes) -> None:
    """A file that says that it is a PDF."""
    _read(data, ".pdf")


def _read(data: bytes, suffix: str) -> None:
    path = _FOLDER / f"document{suffix}"
    path.write_bytes(data)
    try:
        document = read_document(path, path.name, max_bytes=MOST_BYTES)
    except ReadingError as error:
        assert "\n" not in str(error)
        return
    document.text.encode()  # no surrogate is left in it
    assert document.id == hashlib.sha256(data).hexdigest()
    assert not _CONTROL.search(document.title)


def language(data: bytes) -> None:
    """A text to words, numbers, sentences, script, language."""
    text = text_of(data)
    for word, start, end in lang.word_spans(text):
        assert 0 <= start < end <= len(text) and word
    last = 0
    for start, end in lang.sentences(text):
        assert last <= start < end <= len(text)
        last = end
    for start, end in lang.hidden_spans(text):
        assert 0 <= start < end <= len(text)
    for work in (
        lang.words, lang.numbers, lang.visible, lang.dominant_script, lang.language,
        lang.text_language, lang.gives_orders, lang.refers_back, lang.asks_for_number,
        lang.asks_for_several, lang.asks_whether, lang.leans_back, lang.asks_itself,
        lang.statement, as_data,
    ):  # fmt: skip
        work(text)
    for word in lang.words(text)[:50]:
        lang.sound(word)


def chunking(data: bytes) -> None:
    """A document to chunks and sentences, each a slice of it."""
    text = text_of(data).encode("utf-8", "replace").decode()
    starts = tuple(place for place, character in enumerate(text) if character == "\f")
    document = Document("0", "a.txt", "", text, (0, *starts) if data[:1] == b"%" else ())
    size = 1 + (data[0] % 64 if data else 0)
    last = 0
    for chunked in chunk_document(document, max_tokens=size, measure=_measure):
        chunk = chunked.chunk
        assert text[chunk.start : chunk.end] == chunk.text
        assert last <= chunk.start < chunk.end
        last = chunk.end
        before = chunk.start
        for start, end in chunked.sentences:
            assert before <= start < end <= chunk.end
            before = end
        outline(document, chunked.sentences)


def _measure(texts: list[str]) -> list[int]:
    return [1 + len(text) // 3 for text in texts]


def citing(data: bytes) -> None:
    """What a generator wrote against the sentences of a passage."""
    output, *sentences = text_of(data).split("\x1f")
    claim = claim_of(output)
    for sentence in sentences:
        supports(claim, sentence)
        assert 0 <= overlap(claim, sentence) <= 1
    place = locate(claim, sentences)
    assert place is None or (0 <= place < len(sentences) and supports(claim, sentences[place]))
    document = "".join(sentences)
    if document:
        middle = len(document) // 2
        chunk = Chunk("0", "a.txt", 0, len(document), None, document, "")
        quote = Quote(chunk, middle, len(document), document[middle:])
        found = passage_of(quote, document)
        assert document.find(found.before + quote.text + found.after) >= 0
    for shown in (one_line(output), printable(output)):
        assert not _CONTROL.search(shown)
    assert len(at_spaces(output, 40)) == len(output)
    with suppress(UnicodeEncodeError):
        output.encode()
        assert json.loads(to_json({"text": output})) == {"text": output}
        assert not _CONTROL.search(to_json({"text": output}))


def questions(data: bytes) -> None:
    """A question set of any kind."""
    suffix = (".jsonl", ".csv", ".json")[data[0] % 3] if data else ".json"
    path = _FOLDER / f"questions{suffix}"
    path.write_bytes(data[1:])
    with suppress(RagError):
        read_set(Files(path))


def manifest(data: bytes) -> None:
    """A pointer and a manifest; the pointer knows the manifest's digest, as an attacker would."""
    store = _FOLDER / "store"
    shutil.rmtree(store, ignore_errors=True)
    pointer, _, told = data.partition(b"\x00")
    generation = store / "g000001"
    generation.mkdir(parents=True)
    (generation / MANIFEST).write_bytes(told)
    digest = hashlib.sha256(told).hexdigest()
    plain = json.dumps({"generation": "g000001", "manifest": digest}).encode()
    (store / POINTER).write_bytes(pointer or plain)
    with suppress(RagError):
        current(store)


def weights(data: bytes) -> None:
    """A GGUF file."""
    path = _FOLDER / "model.gguf"
    path.write_bytes(data)
    with suppress(ValueError):
        validate(path)
    trained_context(path)
    with suppress(ValueError):
        float_arrays(path, ("a", "head.weight"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    work.__name__: work
    for work in (reading, pdf, language, chunking, citing, questions, manifest, weights)
}
