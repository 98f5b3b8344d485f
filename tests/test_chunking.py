"""Chunks: exact slices on sentence borders, bounded, whole."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunking import (
    CHUNKING_VERSION,
    chunk_document,
    chunking_identity,
    sentence_spans_of,
)
from rag.datatypes import Document
from rag.reading import read_document

# A first call loads tables, and the machine may be busy: no deadline.
UNHURRIED = settings(deadline=None)
SEEDS = sorted((Path(__file__).resolve().parent.parent / "seeds").glob("*.txt"))


def document(text: str, page_starts: tuple[int, ...] = ()) -> Document:
    return Document(id="ab", path="a.txt", title="a", text=text, page_starts=page_starts)


def texts(text: str, max_chars: int, page_starts: tuple[int, ...] = ()) -> list[str]:
    chunks = chunk_document(document(text, page_starts), max_chars=max_chars)
    return [chunked.chunk.text for chunked in chunks]


def test_sentences_are_packed_as_many_as_fit() -> None:
    assert texts("One is. Two is. Three is.", 15) == ["One is. Two is.", "Three is."]


def test_a_chunk_keeps_the_spans_of_its_sentences() -> None:
    first, second = chunk_document(document("One is. Two is. Three is."), max_chars=15)
    assert first.sentences == ((0, 7), (8, 15))
    assert second.sentences == ((16, 25),)
    assert (second.chunk.start, second.chunk.end, second.chunk.page) == (16, 25, None)
    assert (second.chunk.document_id, second.chunk.path) == ("ab", "a.txt")


def test_a_paragraph_border_is_preferred_once_half_full() -> None:
    text = "One is one.\n\nTwo is. Three is three."
    assert texts(text, 24)[0] == "One is one.\n\nTwo is."  # 11 of 24 is not yet half
    assert texts(text, 22)[0] == "One is one."


def test_a_heading_goes_with_what_it_heads() -> None:
    text = "The first sentence is here.\n\nA heading\n\nThe second sentence is here."
    assert texts(text, 45) == [
        "The first sentence is here.",
        "A heading\n\nThe second sentence is here.",
    ]


def test_a_list_of_short_lines_still_fills_chunks() -> None:
    lines = [f"Line {number}" for number in range(10, 40)]
    found = texts("\n".join(lines), 70)
    assert "\n".join(found) == "\n".join(lines)
    assert min(map(len, found[:-1])) > 35


def test_a_chunk_never_crosses_a_page() -> None:
    text = "One is. Two\fis. Three is.\f\fFour."
    starts = (0, 12, 26, 27)
    chunks = chunk_document(document(text, starts), max_chars=900)
    found = [(chunked.chunk.text, chunked.chunk.page) for chunked in chunks]
    assert found == [("One is. Two", 1), ("is. Three is.", 2), ("Four.", 4)]


def test_ids_depend_on_path_document_and_place() -> None:
    ids = {
        chunked.chunk.id
        for path in ("a", "b\udc80")
        for source in ("x", "y")
        for chunked in chunk_document(
            Document(id=source, path=path, title="", text="One is. Two is."), max_chars=8
        )
    }
    assert len(ids) == 8
    assert all(len(key) == 16 and set(key) <= set("0123456789abcdef") for key in ids)


def test_identity_names_the_version_and_the_size() -> None:
    assert chunking_identity(900) == f"{CHUNKING_VERSION}/900"


def test_an_empty_document_has_no_chunks() -> None:
    assert chunk_document(document(" \n "), max_chars=900) == []


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name[:3])
def test_the_sample_documents(path: Path) -> None:
    sample = read_document(path, path.name, max_bytes=10**6)
    chunks = chunk_document(sample, max_chars=900)
    assert 3 <= len(chunks) <= 4
    assert all(len(chunked.chunk.text) <= 900 for chunked in chunks)
    assert all(len(chunked.sentences) >= 2 for chunked in chunks)


@UNHURRIED
@given(
    st.text(st.sampled_from("ab किं। .\n\f\u0301\ud800") | st.characters()),
    st.lists(st.integers(0, 60), max_size=4),
    st.integers(1, 40),
)
def test_every_sentence_lies_in_exactly_one_chunk(
    text: str, pages: list[int], max_chars: int
) -> None:
    starts = tuple(sorted({0, *(p for p in pages if p <= len(text))})) if pages else ()
    source = document(text, starts)
    chunks = chunk_document(source, max_chars=max_chars)
    spans = [span for chunked in chunks for span in chunked.sentences]
    assert spans == sentence_spans_of(source, max_chars=max_chars)
    assert spans == sorted(spans)
    covered = "".join(text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(text.split())
    for chunked in chunks:
        chunk = chunked.chunk
        assert chunk.text == text[chunk.start : chunk.end]
        assert len(chunk.text) <= max_chars
        assert (chunk.start, chunk.end) == (chunked.sentences[0][0], chunked.sentences[-1][1])
        if chunk.page is None:
            assert not starts
        else:
            assert starts[chunk.page - 1] <= chunk.start
            assert chunk.page == len(starts) or chunk.end <= starts[chunk.page]
