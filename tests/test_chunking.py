"""Chunks: exact slices on sentence borders, bounded, whole."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunking import CHUNKING_VERSION, Chunked, chunk_document, chunking_identity
from rag.datatypes import Document
from rag.reading import read_document

# A first call loads tables, and the machine may be busy: no deadline.
UNHURRIED = settings(deadline=None)
SEEDS = sorted((Path(__file__).resolve().parent.parent / "seeds").glob("*.txt"))


def document(text: str, page_starts: tuple[int, ...] = ()) -> Document:
    return Document(id="ab", path="a.txt", title="a", text=text, page_starts=page_starts)


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def chunked(source: Document, size: int) -> list[Chunked]:
    return chunk_document(source, max_tokens=size, measure=characters)


def texts(text: str, size: int, page_starts: tuple[int, ...] = ()) -> list[str]:
    return [part.chunk.text for part in chunked(document(text, page_starts), size)]


def test_sentences_are_packed_as_many_as_fit() -> None:
    assert texts("One is. Two is. Three is.", 15) == ["One is. Two is.", "Three is."]


def test_a_chunk_keeps_the_spans_of_its_sentences() -> None:
    first, second = chunked(document("One is. Two is. Three is."), 15)
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
    parts = chunked(document(text, starts), 900)
    found = [(part.chunk.text, part.chunk.page) for part in parts]
    assert found == [("One is. Two", 1), ("is. Three is.", 2), ("Four.", 4)]


def test_ids_depend_on_path_document_and_place() -> None:
    ids = {
        part.chunk.id
        for path in ("a", "b\udc80")
        for source in ("x", "y")
        for part in chunked(Document(id=source, path=path, title="", text="One is. Two is."), 8)
    }
    assert len(ids) == 8
    assert all(len(key) == 16 and set(key) <= set("0123456789abcdef") for key in ids)


def test_identity_names_the_version_and_the_size() -> None:
    assert chunking_identity(900) == f"{CHUNKING_VERSION}/900"


def test_an_empty_document_has_no_chunks() -> None:
    assert chunked(document(" \n "), 900) == []


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name[:3])
def test_the_sample_documents(path: Path) -> None:
    sample = read_document(path, path.name, max_bytes=10**6)
    parts = chunked(sample, 900)
    assert 3 <= len(parts) <= 4
    assert all(sum(end - start for start, end in part.sentences) <= 900 for part in parts)
    assert all(len(part.sentences) >= 2 for part in parts)


def test_sizes_are_counted_in_the_tokens_that_are_handed_in() -> None:
    def tokens(texts: Sequence[str]) -> list[int]:
        return [2 * len(text.split()) for text in texts]

    source = document("One is it. Two is it. Three is it.")
    parts = chunk_document(source, max_tokens=12, measure=tokens)
    assert [part.chunk.text for part in parts] == ["One is it. Two is it.", "Three is it."]


def test_a_sentence_with_too_many_tokens_is_cut() -> None:
    def dear(texts: Sequence[str]) -> list[int]:
        return [4 * len(text) for text in texts]

    text = "यह वाक्य बहुत लंबा है और इसमें कई शब्द हैं जो सब यहाँ आते हैं।"
    parts = chunk_document(document(text), max_tokens=80, measure=dear)
    assert all(4 * (end - start) <= 80 for part in parts for start, end in part.sentences)
    assert "".join("".join(part.chunk.text.split()) for part in parts) == "".join(text.split())


def test_a_chunk_knows_the_title_and_the_heading_it_stands_under() -> None:
    text = (
        "The flood of July\n\nRain fell for nine days.\n\n## Relief\n\n"
        "Camps were opened. Food came by boat. People slept in schools."
    )
    source = replace(document(text), title="The flood of July")
    parts = chunked(source, 45)
    assert [(part.chunk.text, part.chunk.context) for part in parts] == [
        ("The flood of July\n\nRain fell for nine days.", ""),
        ("## Relief\n\nCamps were opened. Food came by boat.", "The flood of July"),
        ("People slept in schools.", "The flood of July\nRelief"),
    ]
    assert all(part.chunk.text == text[part.chunk.start : part.chunk.end] for part in parts)


@UNHURRIED
@given(
    st.text(st.sampled_from("ab किं। .\n\f\u0301\ud800") | st.characters()),
    st.lists(st.integers(0, 60), max_size=4),
    st.integers(1, 40),
)
def test_every_sentence_lies_in_exactly_one_chunk(text: str, pages: list[int], size: int) -> None:
    starts = tuple(sorted({0, *(p for p in pages if p <= len(text))})) if pages else ()
    parts = chunked(document(text, starts), size)
    spans = [span for part in parts for span in part.sentences]
    assert spans == sorted(spans)
    covered = "".join(text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(text.split())
    for part in parts:
        chunk = part.chunk
        assert chunk.text == text[chunk.start : chunk.end]
        assert sum(end - start for start, end in part.sentences) <= size
        assert (chunk.start, chunk.end) == (part.sentences[0][0], part.sentences[-1][1])
        if chunk.page is None:
            assert not starts
        else:
            assert starts[chunk.page - 1] <= chunk.start
            assert chunk.page == len(starts) or chunk.end <= starts[chunk.page]
