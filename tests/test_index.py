"""The index on disk: exact slices, exact search, and nothing between whole and refused."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from conftest import FakeEmbedder, RecordingProgress
from hypothesis import given
from hypothesis import strategies as st

from rag.chunking import chunk_document
from rag.datatypes import Chunk, Document, Filter
from rag.errors import (
    RagError,
    StoreCorrupt,
    StoreError,
    StoreMismatch,
    StoreMissing,
    StoreOutdated,
    StoreReadOnly,
)
from rag.index import (
    FORMAT,
    Entry,
    Index,
    database,
    lists,
    locking,
    quantised,
    sources_of,
    store,
    stored,
    verifying,
    writing,
)
from rag.index import vectors as vectors_module
from rag.index.draft import VectorDraft, load_vectors
from rag.index.entries import as_seen, key_of
from rag.index.quantised import QuantisedVectors
from rag.index.rows import rows_by_key
from rag.index.stored import VectorFile
from rag.index.vectors import VectorIndex
from rag.ingest import index_documents
from rag.language import sound, words
from rag.settings import Settings

EMBEDDER = FakeEmbedder(dimension=64)
FILES = ("manifest.json", "text.sqlite", "chunks.faiss", "sentences.faiss")
NFD = "Cafe\u0301 Zu\u0308rich o\u0308ffnet um 7 Uhr. Es schließt um 22 Uhr.\n"
TEXTS = {
    "crlf.txt": "First line of the text.\r\nSecond line is here.\r\n\r\nThird one is it.\r\n",
    "emoji.txt": "The launch went well 🚀👩🏽‍🚀 on Monday. Everybody cheered 🎉 for an hour.\n",
    "hindi.txt": "ज़िले में 15,000 लोग हैं। हिंदी यहाँ की भाषा है।\n\nबाढ़ सोमवार को आई थी।\n",
    "nfd.txt": NFD,
}


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def entry(name: str, text: str, embedder: FakeEmbedder = EMBEDDER, chars: int = 40) -> Entry:
    document = Document(id=f"digest of {text}", path=name, title=name, text=text)
    chunked = chunk_document(document, max_tokens=chars, measure=characters)
    spans = tuple(c.sentences for c in chunked)
    return Entry(
        document,
        f"/somewhere/{name}",
        tuple(c.chunk for c in chunked),
        spans,
        embedder.embed_passages([c.chunk.text for c in chunked]),
        embedder.embed_passages([text[s:e] for group in spans for s, e in group]),
    )


def save(folder: Path, entries: list[Entry], **other: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"embedder": EMBEDDER.identity, "chunking": "sentences-1/40", **other}
    Index.save(folder, entries, dimension=EMBEDDER.dimension, roots=["/somewhere"], **parts)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Index]:
    index = Index.load(folder)
    try:
        yield index
    finally:
        index.close()


def only_text(folder: Path) -> Path:
    (path,) = folder.glob("g*/text.sqlite")
    return path


def names_in(folder: Path) -> list[str]:
    with opened(folder) as index:
        return [listed.path for listed in index.text.names()]


def listing(folder: Path) -> list[str]:
    return sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.name != ".verified"
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests may read, or copy and spoil."""
    folder = tmp_path_factory.mktemp("built") / "vectorstore"
    save(folder, [entry(name, text) for name, text in TEXTS.items()])
    return folder


@pytest.fixture(scope="module")
def index(built: Path) -> Iterator[Index]:
    with opened(built) as opened_index:
        yield opened_index


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "copy"))


# Vectors


def unit(*rows: list[float]) -> np.ndarray:
    vectors = np.array(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_cosines_are_exact_and_best_comes_first() -> None:
    vectors = VectorIndex.build(unit([1, 0], [0, 1], [1, 1]), [10, 20, 30], 2)
    found = vectors.search(np.array([0.6, 0.8], dtype=np.float32), 3)
    assert [i for i, _ in found] == [30, 20, 10]
    assert [score for _, score in found] == pytest.approx([1.4 / 2**0.5, 0.8, 0.6])


@pytest.mark.parametrize(("k", "count"), [(-1, 0), (0, 0), (1, 1), (2, 2), (3, 2), (10**9, 2)])
def test_k_is_clamped(k: int, count: int) -> None:
    vectors = VectorIndex.build(unit([1, 0], [0, 1]), [1, 2], 2)
    assert len(vectors.search(np.array([1, 0], dtype=np.float32), k)) == count


def test_an_empty_index_finds_nothing() -> None:
    vectors = VectorIndex.build(np.zeros((0, 2), dtype=np.float32), [], 2)
    assert vectors.search(np.array([1, 0], dtype=np.float32), 5) == []
    assert vectors.vectors([]).shape == (0, 2)


def test_equal_scores_are_ordered_by_id_at_the_cut_too() -> None:
    same = unit(*[[3, 1, 2]] * 5)
    for ids in ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [3, 5, 1, 4, 2]):
        vectors = VectorIndex.build(same, ids, 3)
        query = same[0]
        assert [i for i, _ in vectors.search(query, 5)] == [1, 2, 3, 4, 5]
        assert [i for i, _ in vectors.search(query, 2)] == [1, 2]


def test_vectors_come_back_in_the_order_asked() -> None:
    given_vectors = unit([1, 0], [0, 1], [1, 1])
    vectors = VectorIndex.build(given_vectors, [7, 3, 5], 2)
    assert np.array_equal(vectors.vectors([5, 7, 3]), given_vectors[[2, 0, 1]])


def test_ids_are_unique() -> None:
    with pytest.raises(ValueError, match="twice"):
        VectorIndex.build(unit([1, 0], [0, 1]), [1, 1], 2)


@pytest.mark.parametrize(("ids", "dimension"), [([1], 2), ([1, 2, 3], 2), ([1, 2], 3)])
def test_misaligned_vectors_are_refused(ids: list[int], dimension: int) -> None:
    with pytest.raises(ValueError, match="vectors for"):
        VectorIndex.build(unit([1, 0], [0, 1]), ids, dimension)


def test_hits_are_identical_before_and_after_saving(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    some = unit(*rng.normal(size=(50, 24)).tolist())
    before = VectorIndex.build(some, list(range(100, 150)), 24)
    before.save(tmp_path / "v.faiss")
    after = VectorIndex.load(tmp_path / "v.faiss")
    for query in unit(*rng.normal(size=(10, 24)).tolist()):
        assert after.search(query, 50) == before.search(query, 50)
    assert np.array_equal(after.vectors([120, 100]), before.vectors([120, 100]))
    assert (len(after), after.dimension) == (50, 24)


def test_another_kind_of_faiss_file_is_refused(tmp_path: Path) -> None:
    faiss.write_index(faiss.IndexFlatL2(4), str(tmp_path / "flat"))
    with pytest.raises(StoreCorrupt, match="another kind"):
        VectorIndex.load(tmp_path / "flat")
    (tmp_path / "text").write_text("no index", encoding="utf-8")
    with pytest.raises(StoreCorrupt, match="not a FAISS index"):
        VectorIndex.load(tmp_path / "text")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told_from_other_failures_of_faiss() -> None:
    vectors = VectorIndex.build(unit(*[[1.0] * 64] * 500), list(range(500)), 64)
    with pytest.raises(OSError, match="cannot write") as full:
        vectors.save(Path("/dev/full"))
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="cannot write") as missing:
        vectors.save(Path("/no/such/folder/v.faiss"))
    assert missing.value.errno != errno.ENOSPC


# Many vectors


def cloud(count: int, seed: int) -> np.ndarray:
    """Return unit vectors in twenty groups, as those of texts are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(20, 16))
    return unit(*(centres[rng.integers(20, size=count)] + 0.5 * rng.normal(size=(count, 16))))


def drafted(folder: Path, old: Path | None, gone: Sequence[int], more: np.ndarray) -> Path:
    """Remove vectors and add some under the next ids."""
    folder.mkdir()
    draft = VectorDraft(folder, "chunks", 16, old)
    draft.remove(gone)
    draft.append(range(draft.last + 1, draft.last + 1 + len(more)), more)
    draft.finish()
    draft.close()
    return folder


@pytest.fixture
def low_border(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors_module, "BORDER", 1000)


def test_vectors_that_are_appended_piece_by_piece_are_found_again(tmp_path: Path) -> None:
    some = cloud(60, 1)
    file = VectorFile(tmp_path, "chunks", 16)
    for start in range(0, 60, 4):  # two of ids 2, 4, 6 … at once
        file.append([start + 2, start + 4], some[start // 2 : start // 2 + 2])
    assert file.ids.tolist() == list(range(2, 62, 2))
    assert np.array_equal(file.vectors([4, 60, 2]), some[[1, 29, 0]])
    file.remove([4, 60])
    file.append([70], some[40:41])
    assert file.ids.tolist()[:2] + file.ids.tolist()[-2:] == [2, -4, -60, 70]
    assert np.array_equal(file.vectors([70, 6]), some[[40, 2]])
    for unknown in (3, 4, 60, 71):
        with pytest.raises(KeyError):
            file.vectors([unknown])
    file.compact()
    assert len(file.ids) == 29
    assert np.array_equal(file.vectors([6, 70]), some[[2, 40]])
    file.append([72], some[41:42])
    file.write_ids()
    file.close()
    again = VectorFile(tmp_path, "chunks", 16)
    assert again.ids.tolist()[-2:] == [70, 72]
    assert np.array_equal(again.vectors([72]), some[41:42])
    again.close()


@pytest.mark.usefixtures("low_border")
def test_many_vectors_are_searched_in_lists_and_scored_exactly(tmp_path: Path) -> None:
    some = cloud(2000, 1)
    folder = drafted(tmp_path / "a", None, [], some)
    index = load_vectors(folder, "chunks")
    assert isinstance(index, QuantisedVectors)
    assert (len(index), index.dimension) == (2000, 16)
    assert (index.lists, index.looked_at) == (179, 64)  # 4 times the root of 2000
    hits = 0
    for query in cloud(50, 2):
        true = some @ query
        found = index.search(query, 10)
        hits += len({i for i, _ in found} & {int(p) + 1 for p in np.argsort(-true)[:10]})
        assert [score for _, score in found] == pytest.approx([true[i - 1] for i, _ in found])
        assert found == sorted(found, key=lambda pair: -pair[1])
    assert hits >= 495
    assert np.array_equal(index.vectors([7, 3]), some[[6, 2]])
    assert (folder / "chunks.f32").stat().st_size == 2000 * 16 * 4


@pytest.mark.usefixtures("low_border")
def test_a_small_sample_is_enough_and_nobody_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quantised, "MOST_SAMPLED", 400)
    monkeypatch.setattr(quantised, "RANGED", 50)
    some = cloud(2000, 1)
    index = load_vectors(drafted(tmp_path / "a", None, [], some), "chunks")
    hits = 0
    for query in cloud(50, 2):
        true = np.argsort(-(some @ query))[:10]
        hits += len({i for i, _ in index.search(query, 10)} & {int(p) + 1 for p in true})
    assert hits >= 480
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("low_border")
@pytest.mark.parametrize("few", [10**6, 0])
def test_a_filter_holds_among_many_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(quantised, "EXACT_WITHIN", few)
    some = cloud(2000, 1)
    index = load_vectors(drafted(tmp_path / "a", None, [], some), "chunks")
    query = cloud(1, 3)[0]
    farthest = [int(place) + 1 for place in np.argsort(some @ query)[:30]]
    found = index.search(query, 10, farthest)
    assert [i for i, _ in found] == farthest[:-11:-1]
    assert len(index.search(query, 100, farthest)) == 30
    assert index.search(query, 5, []) == []


@pytest.mark.usefixtures("low_border")
def test_many_vectors_are_removed_and_added_without_new_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, more = cloud(2000, 1), cloud(30, 4)
    first = drafted(tmp_path / "a", None, [], some)
    monkeypatch.setattr(quantised, "write_lists", lambda *_: pytest.fail("made anew"))
    second = drafted(tmp_path / "b", first, [5, 1999], more)
    old, new = load_vectors(first, "chunks"), load_vectors(second, "chunks")
    assert (len(old), len(new)) == (2000, 2028)
    assert old.search(some[4], 1)[0][0] == 5
    assert new.search(some[4], 1)[0][0] != 5
    assert [new.search(vector, 1)[0][0] for vector in more] == list(range(2001, 2031))
    assert not (np.fromfile(second / "chunks.f32", dtype="<f4").reshape(-1, 16)[4]).any()
    with pytest.raises(KeyError):
        new.vectors([5])
    assert np.array_equal(new.vectors([4, 2030]), np.stack([some[3], more[29]]))


@pytest.mark.usefixtures("low_border")
@pytest.mark.parametrize("part", [700, 10**6])
def test_lists_put_together_on_the_disk_are_those_that_faiss_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(lists, "PART", part)
    monkeypatch.setattr(stored, "BLOCK", 300)  # parts of 900, 900 and 200
    some, more = cloud(2000, 1), cloud(900, 4)
    first = drafted(tmp_path / "a", None, [], some)
    second = drafted(tmp_path / "b", first, [5, 1999], more)
    assert sorted(p.name for p in second.iterdir()) == ["chunks.f32", "chunks.faiss", "chunks.ids"]
    # Both read into memory by FAISS itself, which then takes out and adds by itself.
    ours = faiss.read_index(str(second / "chunks.faiss"))
    theirs = faiss.read_index(str(first / "chunks.faiss"))
    assert (theirs.ntotal, ours.ntotal) == (2000, 2898)
    theirs.remove_ids(np.array([5, 1999]))
    theirs.add_with_ids(more, np.arange(2001, 2901))
    for number in range(179):
        held = []
        for index in (ours, theirs):
            size = index.invlists.list_size(number)
            ids = faiss.rev_swig_ptr(index.invlists.get_ids(number), size) if size else []
            codes = faiss.rev_swig_ptr(index.invlists.get_codes(number), size * 16) if size else []
            rows = np.reshape(codes, (size, 16)).tolist()
            held.append(sorted(zip(map(int, ids), rows, strict=True)))
        assert held[0] == held[1]


@pytest.mark.usefixtures("low_border")
def test_an_index_grows_into_lists_and_shrinks_out_of_them(tmp_path: Path) -> None:
    some = cloud(1000, 1)
    small = drafted(tmp_path / "a", None, [], some)
    assert sorted(p.name for p in small.iterdir()) == ["chunks.faiss"]
    large = drafted(tmp_path / "b", small, [2], cloud(600, 2))
    assert sorted(p.name for p in large.iterdir()) == ["chunks.f32", "chunks.faiss", "chunks.ids"]
    gone = [i for i in range(1, 1601) if i % 2 == 0 and i != 2]
    again = drafted(tmp_path / "c", large, gone, np.zeros((0, 16), dtype=np.float32))
    assert sorted(p.name for p in again.iterdir()) == ["chunks.faiss"]
    index = load_vectors(again, "chunks")
    assert len(index) == 800
    assert index.search(some[0], 1)[0][0] == 1


@pytest.mark.usefixtures("low_border")
def test_gaps_are_closed_and_strong_growth_makes_new_lists(tmp_path: Path) -> None:
    some = cloud(2000, 1)
    first = drafted(tmp_path / "a", None, [], some)
    second = drafted(tmp_path / "b", first, list(range(1, 801)), cloud(10, 2))
    assert (second / "chunks.ids").stat().st_size == 1210 * 8
    index = load_vectors(second, "chunks")
    assert index.search(some[1500], 1)[0][0] == 1501
    assert isinstance(index, QuantisedVectors)
    assert index.lists == 179
    third = load_vectors(drafted(tmp_path / "c", second, [], cloud(7000, 3)), "chunks")
    assert isinstance(third, QuantisedVectors)
    assert third.lists == 362  # 4 times the root of 8210, more than four times 2000


@pytest.mark.usefixtures("low_border")
def test_the_same_vectors_give_the_same_lists(tmp_path: Path) -> None:
    one, other = (drafted(tmp_path / name, None, [], cloud(2000, 1)) for name in "ab")
    assert (one / "chunks.faiss").read_bytes() == (other / "chunks.faiss").read_bytes()


@pytest.mark.usefixtures("low_border")
def test_damaged_lists_and_vectors_are_refused(tmp_path: Path) -> None:
    folder = drafted(tmp_path / "a", None, [], cloud(2000, 1))
    ids = folder / "chunks.ids"
    whole = ids.read_bytes()
    ids.write_bytes(whole[:-8])
    with pytest.raises(StoreCorrupt, match="1999 vectors"):
        load_vectors(folder, "chunks")
    ids.write_bytes((-np.fromfile(ids, dtype="<i8")).tobytes() + whole[-8:])
    with pytest.raises(StoreCorrupt, match="do not agree"):
        load_vectors(folder, "chunks")
    faiss.write_index(faiss.IndexFlatIP(16), str(folder / "chunks.faiss"))
    with pytest.raises(StoreCorrupt, match="another kind"):
        load_vectors(folder, "chunks")


def test_a_large_generation_is_hashed_again_only_when_a_file_looks_changed(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    real = verifying.sha256

    def counting(path: Path) -> str:
        hashed.append(path.name)
        return real(path)

    monkeypatch.setattr(verifying, "sha256", counting)
    (copy / ".verified").unlink()
    assert names_in(copy) == sorted(TEXTS)
    assert sorted(hashed) == sorted(FILES[1:])  # small: hashed whenever it is opened
    monkeypatch.setattr(verifying, "LARGE", 1)
    for count in (3, 0, 0):
        hashed.clear()
        assert names_in(copy) == sorted(TEXTS)
        assert len(hashed) == count
    flip(copy / "g000001" / "chunks.faiss", 500)
    refused(copy)
    assert set(hashed) == {"chunks.faiss"}
    (copy / ".verified").write_text("[]", encoding="utf-8")
    refused(copy)


def test_the_commonest_words_are_left_out_of_a_long_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"The rain fell on house {'bridge' if n == 7 else n}." for n in range(9)]
    save(tmp_path / "s", [entry(f"{n}.txt", line) for n, line in enumerate(lines)])
    with opened(tmp_path / "s") as index:
        assert len(index.text.search(["rain", "bridge"], [], 9)) == 9
        monkeypatch.setattr(database, "POSTINGS", 5)
        assert len(index.text.search(["rain", "bridge"], [], 9)) == 1
        assert len(index.text.search(["rain"], [], 9)) == 9  # the rarest is kept
        assert index.text.search(["snow"], [], 9) == []


# Entries and slices


def test_a_misaligned_entry_is_refused() -> None:
    whole = entry("a.txt", "One is here. Two is there.", chars=13)
    assert len(whole.chunks) == 2
    with pytest.raises(ValueError, match=r"a\.txt.*misaligned"):
        replace(whole, chunks=whole.chunks[:1])
    with pytest.raises(ValueError, match=r"a\.txt.*misaligned"):
        replace(whole, chunk_vectors=whole.chunk_vectors[:1])
    with pytest.raises(ValueError, match=r"a\.txt: 2 sentences"):
        replace(whole, sentence_vectors=whole.sentence_vectors[:1])


def test_every_chunk_and_sentence_is_a_slice_of_its_document(index: Index) -> None:
    seen = 0
    for _, document, _ in index.text.documents():
        assert document.text == TEXTS[document.path]
        assert index.text.text(document.path) == document.text
    for row, document, _ in index.text.documents():
        for chunk_row in index.text.chunk_rows(row):
            chunk = index.text.chunk(chunk_row)
            assert chunk.path == document.path
            assert chunk.document_id == document.id
            assert document.text[chunk.start : chunk.end] == chunk.text
            for sentence in index.text.sentences([chunk_row])[chunk_row]:
                quote = index.quote(chunk, sentence.start, sentence.end)
                assert document.text[quote.start : quote.end] == quote.text
                assert quote.text in chunk.text
                seen += 1
    # Sentences: three, two, three, two; the headlike lines of crlf.txt count as well.
    assert seen == index.text.count("sentences") == 10


def test_a_quote_cannot_leave_its_chunk(index: Index) -> None:
    chunk = index.text.chunk(1)
    for start, end in (
        (chunk.start - 1, chunk.end),
        (chunk.start, chunk.end + 1),
        (chunk.start, chunk.start),
        (chunk.end, chunk.start),
    ):
        with pytest.raises(StoreCorrupt, match="leaves its chunk"):
            index.quote(chunk, start, end)


def test_entries_carry_everything_over(built: Path, index: Index, tmp_path: Path) -> None:
    save(tmp_path / "second", index.entries())
    with opened(tmp_path / "second") as second:
        for old, new in zip(index.entries(), second.entries(), strict=True):
            assert (old.document, old.source) == (new.document, new.source)
            assert (old.chunks, old.sentences) == (new.chunks, new.sentences)
            assert np.array_equal(old.chunk_vectors, new.chunk_vectors)
            assert np.array_equal(old.sentence_vectors, new.sentence_vectors)


def test_pages_survive(tmp_path: Path) -> None:
    document = Document("x", "a.pdf", "A", "Page one is.\fPage two is.", (0, 13))
    chunked = chunk_document(document, max_tokens=40, measure=characters)
    vectors = EMBEDDER.embed_passages([c.chunk.text for c in chunked])
    chunks = tuple(c.chunk for c in chunked)
    spans = tuple(c.sentences for c in chunked)
    save(tmp_path / "s", [Entry(document, "/a.pdf", chunks, spans, vectors, vectors)])
    with opened(tmp_path / "s") as index:
        assert [index.text.chunk(row).page for row in (1, 2)] == [1, 2]
        assert index.text.documents()[0][1] == document


def test_searching_finds_what_numpy_finds(index: Index) -> None:
    entries = index.entries()
    chunks = np.concatenate([e.chunk_vectors for e in entries])
    sentences = np.concatenate([e.sentence_vectors for e in entries])
    for question in ("launch on Monday", "बाढ़ सोमवार को आई", "Zürich öffnet", "nothing at all"):
        vector = EMBEDDER.embed_queries([question])[0]
        found = dict(index.search_chunks(vector, 100))
        assert [found[row] for row in range(1, len(chunks) + 1)] == pytest.approx(chunks @ vector)
        best = index.search_sentences(vector, 1)
        assert best[0][1] == pytest.approx((sentences @ vector).max())
        scored = index.score(vector, sorted(found))
        assert {row: cosine for row, (cosine, _) in scored.items()} == pytest.approx(found)
        flat = [pair for _, pairs in scored.values() for pair in pairs]
        assert [score for _, score in flat] == pytest.approx(sentences @ vector)
        few = sorted(found)[1:3]
        assert {row for row, _ in index.search_chunks(vector, 100, few)} == set(few)
        assert {row for row, _ in index.search_sentences(vector, 100, few)} == set(few)


def test_the_manifest_counts(index: Index) -> None:
    manifest = index.manifest
    assert (manifest.format, manifest.embedder, manifest.dimension) == (FORMAT, "fake@1", 64)
    assert (manifest.documents, manifest.sentences) == (4, 10)
    assert manifest.chunks == index.text.count("chunks")
    assert sorted(manifest.files) == ["chunks.faiss", "sentences.faiss", "text.sqlite"]
    assert manifest.created.endswith("+00:00")


# Keywords


def keyword_hits(index: Index, question: str) -> list[str]:
    return [index.text.chunk(row).text for row, _ in index.text.search(words(question), [], 5)]


@pytest.mark.parametrize("spelling", ["\u095bिले", "ज\u093cिले", "जिले"])
def test_nukta_does_not_matter(index: Index, spelling: str) -> None:
    assert "ज़िले में 15,000" in keyword_hits(index, spelling)[0]


@pytest.mark.parametrize("spelling", ["हिंदी", "हिन्दी", "हिँदी"])
def test_the_spelling_of_nasals_does_not_matter(index: Index, spelling: str) -> None:
    assert "हिंदी यहाँ" in keyword_hits(index, spelling)[0]


@pytest.mark.parametrize("number", ["15,000", "15000", "१५,०००", "१५०००", "١٥٬٠٠٠"])
def test_numbers_match_in_any_digits_and_grouping(index: Index, number: str) -> None:
    found = keyword_hits(index, number)
    assert len(found) == 1
    assert "15,000" in found[0]


@pytest.mark.parametrize("number", ["15,001", "1500", "150000", "15", "000"])
def test_another_number_does_not_match(index: Index, number: str) -> None:
    assert keyword_hits(index, number) == []


def test_composed_and_decomposed_letters_match(index: Index) -> None:
    assert "Zu\u0308rich" in keyword_hits(index, "Z\u00fcrich")[0]


def test_more_and_rarer_words_come_first(tmp_path: Path) -> None:
    texts = ["Rain fell here.", "Rain fell on the bridge.", "Rain and sun."]
    save(tmp_path / "s", [entry(f"{i}.txt", text) for i, text in enumerate(texts)])
    with opened(tmp_path / "s") as index:
        assert keyword_hits(index, "rain bridge")[0] == texts[1]
        assert len(index.text.search(["rain"], [], 2)) == 2
        assert index.text.search(["rain"], [], 0) == []
        assert index.text.search([], [], 5) == []
        assert index.text.frequencies({"rain", "bridge", "snow"}) == {
            "rain": 3,
            "bridge": 1,
            "snow": 0,
        }


@pytest.mark.parametrize(
    "question",
    [
        '" OR NEAR(',
        "launch AND NOT",
        'body:"launch" OR *',
        "launch*",
        "^launch",
        "-launch",
        "{launch} + (",
        "'; DROP TABLE words; --",
        "NEAR(launch monday, 2)",
        "\x00launch",
        "%_%",
    ],
)
def test_operators_are_words_like_any_other(index: Index, question: str) -> None:
    launch = [hit for hit in keyword_hits(index, question) if "launch" in hit]
    assert len(launch) == ("launch" in question)


@given(st.text(max_size=60))
def test_no_question_is_a_syntax_error(index: Index, question: str) -> None:
    folded = words(question)
    assert len(index.text.search(folded, [], 3)) <= 3
    assert set(index.text.frequencies(folded)) == set(folded)


def test_a_question_of_a_thousand_words(index: Index) -> None:
    many = [f"word{i}" for i in range(2000)]
    assert len(index.text.search([*many, "cheered"], [], 5)) == 1


# What is refused


def test_a_missing_store(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreMissing, match=r"no index in .*Run: rag index$"):
            Index.load(folder)


def test_the_index_refuses_another_embedder(index: Index) -> None:
    index.check("fake@1")
    index.check("fake@1", "sentences-1/40")
    with pytest.raises(StoreMismatch) as error:
        index.check("other@2")
    for part in ("fake@1", "other@2", "rag index --rebuild"):
        assert part in str(error.value)


def test_the_index_refuses_another_chunking(index: Index) -> None:
    with pytest.raises(StoreMismatch) as error:
        index.check("fake@1", "sentences-1/900")
    for part in ("sentences-1/40", "sentences-1/900", "rag index --rebuild"):
        assert part in str(error.value)


def test_an_older_format_is_called_so(copy: Path) -> None:
    pointer = json.loads((copy / "CURRENT").read_text(encoding="utf-8"))
    manifest = copy / pointer["generation"] / "manifest.json"
    raw = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**raw, "format": FORMAT - 1}), encoding="utf-8")
    pointer["manifest"] = store.sha256(manifest)
    (copy / "CURRENT").write_text(json.dumps(pointer), encoding="utf-8")
    with pytest.raises(StoreOutdated, match=rf"format {FORMAT - 1}.*rag index --rebuild"):
        Index.load(copy)
    assert sources_of(copy) == (("/somewhere",), False)


def test_documents_are_selected_by_name_language_and_date(tmp_path: Path) -> None:
    dated = {
        "news/old.txt": ("2024-11-22", "hi"),
        "news/new.txt": ("2025-08-13", "hi"),
        "other/new.md": ("2025-08-31", "en"),
        "none.txt": ("", "ar"),
        "a[1].txt": ("", "de"),
        "cafe\u0301.txt": ("", "fr"),
    }
    entries = []
    for name, (date, code) in dated.items():
        plain = entry(name, f"The text of {name}.")
        document = replace(plain.document, date=date, language=code)
        entries.append(replace(plain, document=document))
    save(tmp_path, entries)
    with opened(tmp_path) as index:

        def select(**wanted: str) -> set[str]:
            return set(index.text.select(Filter(**wanted)))

        assert select() == set(dated)
        assert select(pattern="news/*") == {"news/old.txt", "news/new.txt"}
        assert select(pattern="new.*") == {"news/new.txt", "other/new.md"}
        assert select(pattern="n*.txt") == {"news/old.txt", "news/new.txt", "none.txt"}
        assert select(language="hi") == {"news/old.txt", "news/new.txt"}
        assert select(since="2025") == {"news/new.txt", "other/new.md"}
        assert select(since="2025-08-14") == {"other/new.md"}
        assert select(until="2025-08") == {"news/old.txt", "news/new.txt", "other/new.md"}
        assert select(until="2025-08-13") == {"news/old.txt", "news/new.txt"}
        assert select(since="2025-08-13", until="2025-08-13") == {"news/new.txt"}
        assert select(language="en", until="2030") == {"other/new.md"}
        assert select(pattern="zzz") == set()
        assert select(pattern="a[1].txt") == {"a[1].txt"}
        assert select(pattern="caf\u00e9*") == select(pattern="cafe\u0301*") == {"cafe\u0301.txt"}
        listed = {d.path: (d.date, d.language) for d in index.text.names()}
        assert listed == dated
        kept = {e.document.path: (e.document.date, e.document.language) for e in index.entries()}
        assert kept == dated


def test_boilerplate_has_no_vector_and_no_words(tmp_path: Path) -> None:
    text = "Latest News\n\nThe dam broke in July.\n"
    plain = entry("a.txt", text)
    assert plain.sentences == (((0, 11), (13, 35)),)
    marked = replace(plain, sentence_vectors=plain.sentence_vectors[1:], boilerplate=frozenset({0}))
    save(tmp_path, [marked])
    with opened(tmp_path) as index:
        assert (index.text.count("sentences"), index.manifest.sentences) == (1, 1)
        assert index.text.search(["latest"], [], 5) == []
        assert len(index.text.search(["dam"], [], 5)) == 1
        assert index.text.text("a.txt") == text
        (again,) = index.entries()
        assert again.boilerplate == {0}
        assert again.sentences == plain.sentences
        assert np.array_equal(again.sentence_vectors, marked.sentence_vectors)


def test_a_text_is_found_as_soon_among_many_that_are_the_same(tmp_path: Path) -> None:
    """How many steps SQLite takes does not grow with the sentences of that text."""
    steps = []
    for times in (3, 300):
        text = "".join(f"The dam broke.\nOn day {n} it was mended.\n" for n in range(times))
        save(tmp_path / str(times), [entry("a.txt", text)])
        with contextlib.closing(sqlite3.connect(only_text(tmp_path / str(times)))) as db:
            key = key_of(as_seen("The dam broke."))
            ids = [i for (i,) in db.execute("SELECT id FROM sentences WHERE key = ?", (key,))]
            assert len(ids) == times
            count = iter(range(10**9))
            db.set_progress_handler(lambda count=count: next(count) < 0, 1)
            known = {key: min(ids)}
            assert rows_by_key(db, "sentences", [key, b"another"], 0, 10**9) == known
            steps.append(next(count))
            assert rows_by_key(db, "sentences", [key], min(ids), max(ids)) == {key: sorted(ids)[1]}
            assert rows_by_key(db, "sentences", [key], max(ids), 10**9) == {}
            assert rows_by_key(db, "sentences", [key], 0, min(ids) - 1) == {}
    assert steps[1] == steps[0] > 0


def test_sounds_are_searched_beside_words(index: Index) -> None:
    # ज़िले has two consonants; "launch" is lnc; Monday and सोमवार do not sound alike.
    (only,) = index.text.search([], [sound("launch")], 5)
    assert "launch" in index.text.chunk(only[0]).text
    assert index.text.frequencies([sound("launch"), "zzz"], "sounds") == {"lnc": 1, "zzz": 0}
    assert index.text.frequencies(["launch", "zzz"]) == {"launch": 1, "zzz": 0}


def test_another_format_is_a_mismatch(copy: Path) -> None:
    pointer = json.loads((copy / "CURRENT").read_text(encoding="utf-8"))
    manifest = copy / pointer["generation"] / "manifest.json"
    raw = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**raw, "format": FORMAT + 1}), encoding="utf-8")
    pointer["manifest"] = store.sha256(manifest)
    (copy / "CURRENT").write_text(json.dumps(pointer), encoding="utf-8")
    with pytest.raises(StoreMismatch, match=f"format {FORMAT + 1}.*rag index --rebuild"):
        Index.load(copy)


def flip(path: Path, position: int, bits: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= bits
    path.write_bytes(bytes(data))


def refused(folder: Path) -> None:
    """Assert that opening says in one line what is wrong, and what mends it."""
    with pytest.raises(StoreCorrupt) as error:
        Index.load(folder)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("Run: rag index --rebuild")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_anywhere_is_noticed(copy: Path, name: str, share: float) -> None:
    path = copy / "g000001" / name
    flip(path, int(share * (path.stat().st_size - 1)))
    refused(copy)


def test_one_flipped_bit_anywhere_in_the_pointer_is_noticed(copy: Path) -> None:
    pointer = copy / "CURRENT"
    whole = pointer.read_bytes()
    for position in range(len(whole)):
        for bits in (1, 0x80):
            flip(pointer, position, bits)
            refused(copy)
            pointer.write_bytes(whole)
    assert names_in(copy) == sorted(TEXTS)


@pytest.mark.parametrize("name", [*(f"g000001/{name}" for name in FILES), "CURRENT"])
def test_a_truncated_or_missing_file_is_noticed(copy: Path, name: str) -> None:
    path = copy / name
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2):
        path.write_bytes(whole[:length])
        refused(copy)
    if name != "CURRENT":  # without a pointer there is no index
        path.unlink()
        refused(copy)


@pytest.mark.parametrize(
    "pointer",
    ["[]", "null", '{"generation": "g000001"}', '{"generation": "../x", "manifest": "0"}',
     '{"generation": 1, "manifest": "0"}', "\ud7ff"],
)  # fmt: skip
def test_a_pointer_that_names_nothing(copy: Path, pointer: str) -> None:
    (copy / "CURRENT").write_text(pointer, encoding="utf-8")
    refused(copy)


@pytest.mark.parametrize("name", [*(f"g000001/{name}" for name in FILES), "CURRENT"])
def test_the_command_that_is_named_mends_it(copy: Path, name: str) -> None:
    flip(copy / name, 3)
    refused(copy)
    save(copy, [entry("new.txt", "Everything is new here.")])
    assert names_in(copy) == ["new.txt"]
    assert listing(copy) == ["CURRENT", "g000002", *(f"g000002/{n}" for n in sorted(FILES))]


def test_text_and_vectors_that_disagree_are_refused(index: Index) -> None:
    one = VectorIndex.build(unit([1, 0]), [1], 2)
    with pytest.raises(StoreCorrupt, match="do not agree"):
        Index(index.manifest, index.text, one, one, index._watched)


# Writing


def test_a_new_generation_replaces_the_old_one(copy: Path) -> None:
    save(copy, [entry("new.txt", "Everything is new here.")])
    assert names_in(copy) == ["new.txt"]
    assert listing(copy) == ["CURRENT", "g000002", *(f"g000002/{n}" for n in sorted(FILES))]


def test_an_open_index_survives_a_new_generation(copy: Path) -> None:
    with opened(copy) as old:
        save(copy, [entry("new.txt", "Everything is new here.")])
        assert [listed.path for listed in old.text.names()] == sorted(TEXTS)
        assert old.text.chunk(1).text


def test_only_the_owner_can_read_an_index(copy: Path) -> None:
    save(copy, [entry("new.txt", "Everything is new here.")])
    for path in copy.rglob("g*"):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("wrong", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(1)])
def test_a_crash_while_writing_leaves_the_old_generation(copy: Path, wrong: BaseException) -> None:
    before = listing(copy)

    def fill(folder: Path) -> None:
        (folder / "half").write_text("x", encoding="utf-8")
        raise wrong

    with pytest.raises(type(wrong)):
        store.commit(copy, lambda *_: pytest.fail("too far"), fill)
    assert listing(copy) == before
    assert names_in(copy) == sorted(TEXTS)


@pytest.mark.parametrize("wrong", [OSError(errno.EIO, "I/O error"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", range(1, 8))
def test_a_crash_at_any_step_leaves_a_whole_generation(
    copy: Path, monkeypatch: pytest.MonkeyPatch, step: int, wrong: BaseException
) -> None:
    # Syncs: the four files, the folder, (the swap,) the store; and the swap itself.
    steps = iter(range(1, 100))
    real_sync, real_replace = store.sync, Path.replace

    def sync(path: Path) -> None:
        if next(steps) == step:
            raise wrong
        real_sync(path)

    def swap(path: Path, target: Path) -> Path:
        if next(steps) == step:
            raise wrong
        return real_replace(path, target)

    monkeypatch.setattr(store, "sync", sync)
    monkeypatch.setattr(Path, "replace", swap)
    with pytest.raises(StoreError if isinstance(wrong, OSError) else KeyboardInterrupt):
        save(copy, [entry("new.txt", "Everything is new here.")])
    monkeypatch.undo()
    after = sorted(TEXTS) if step < 7 else ["new.txt"]
    assert names_in(copy) == after
    if step < 7:
        assert listing(copy) == ["CURRENT", "g000001", *(f"g000001/{n}" for n in sorted(FILES))]


def test_the_first_write_that_fails_leaves_no_index(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.commit(tmp_path, lambda *_: pytest.fail("too far"), fill)
    assert listing(tmp_path) == []
    with pytest.raises(StoreMissing):
        Index.load(tmp_path)


DIES = """
import os, sys
from pathlib import Path
from rag.index import commit, writing
folder = Path(sys.argv[1])
def fill(generation):
    (generation / "text.sqlite").write_text("x")
    os._exit(9)
with writing(folder, lambda text: None):
    commit(folder, None, fill)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next(copy: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, str(copy)], check=False)
    assert done.returncode == 9
    assert (copy / "g000002" / "text.sqlite").exists()
    assert names_in(copy) == sorted(TEXTS)
    with writing(copy, pytest.fail):  # the dead writer holds no lock
        save(copy, [entry("new.txt", "Everything is new here.")])
    assert names_in(copy) == ["new.txt"]
    generations = [p.name for p in copy.iterdir() if p.name.startswith("g")]
    assert generations == ["g000003"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line(copy: Path, number: int) -> None:
    def fill(folder: Path) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(StoreError, match=r"^The disk that holds .* is full\. Free some space"):
        store.commit(copy, lambda *_: pytest.fail("too far"), fill)
    assert names_in(copy) == sorted(TEXTS)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Drop root's rights, which no permission bit binds."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only(built: Path) -> Iterator[Path]:
    # Not below tmp_path, which only its owner may enter.
    outer = Path(tempfile.mkdtemp())
    folder = Path(shutil.copytree(built, outer / "vectorstore"))
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    outer.chmod(0o555)
    with unprivileged():
        yield folder
    for path in (outer, *paths):
        path.chmod(0o700)
    shutil.rmtree(outer)


def test_a_read_only_index_is_read(read_only: Path) -> None:
    with opened(read_only) as index:
        vector = EMBEDDER.embed_queries(["launch on Monday"])[0]
        row, _ = index.search_sentences(vector, 1)[0]
        assert "launch" in index.text.chunk(row).text
        assert keyword_hits(index, "launch")


def test_a_read_only_store_is_not_written(read_only: Path) -> None:
    for folder in (read_only, read_only.parent / "another"):
        with pytest.raises(StoreReadOnly, match=r"cannot be written.*--store FOLDER"):
            with writing(folder, pytest.fail):
                pytest.fail("the lock was given")
    with pytest.raises(StoreReadOnly, match="cannot be written"):
        save(read_only, [entry("new.txt", "Everything is new here.")])
    assert names_in(read_only) == sorted(TEXTS)


def test_a_file_in_the_place_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StoreReadOnly, match="cannot be written"):
        with writing(tmp_path / "file", pytest.fail):
            pytest.fail("the lock was given")


def test_the_second_writer_waits_and_says_so(tmp_path: Path) -> None:
    waits, entered = threading.Event(), threading.Event()
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        waits.set()

    def second() -> None:
        with writing(tmp_path, note):
            entered.set()

    thread = threading.Thread(target=second)
    with writing(tmp_path, pytest.fail):
        thread.start()
        assert waits.wait(30)
        assert not entered.is_set()
    assert entered.wait(30)
    thread.join()
    assert len(notes) == 1
    assert re.search(rf"process \({os.getpid()}, since \d\d:\d\d:\d\d\) is writing", notes[0])
    assert "waiting" in notes[0]
    assert not (tmp_path / ".holder").exists()


@pytest.mark.parametrize("told", ["", "[]", "{", '{"pid": "x", "since": 3}', '{"pid": 7}'])
def test_a_holder_that_nobody_can_read_is_not_named(tmp_path: Path, told: str) -> None:
    (tmp_path / ".holder").write_text(told, encoding="utf-8")
    assert locking._holder(tmp_path) == ""


def test_the_holder_is_written_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    store = tmp_path / "store"
    store.mkdir()
    (store / ".holder").symlink_to(tmp_path / "notes.txt")
    with writing(store, pytest.fail):
        pass
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_writer_that_fails_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        with writing(tmp_path, pytest.fail):
            raise RuntimeError
    with writing(tmp_path, pytest.fail):
        pass


def test_a_reader_that_meets_a_swap_looks_again(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.current
    swaps: list[Callable[[], None]] = [lambda: save(copy, [entry("new.txt", "All is new.")])]

    def current(folder: Path, **given: Any) -> object:
        found = real(folder, **given)
        if swaps:
            swaps.pop()()  # a writer finishes between our look at the pointer and the files
        return found

    monkeypatch.setattr(store, "current", current)
    assert names_in(copy) == ["new.txt"]


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    source = os.fsdecode(b"/somewhere/\xff.txt")
    odd = replace(entry("a.txt", "Everything is new here."), source=source)
    Index.save(
        tmp_path, [odd], embedder="fake@1", dimension=64, chunking="c", roots=[source, "/दो"]
    )
    with opened(tmp_path) as index:
        assert index.entries()[0].source == source
        assert index.text.origin("a.txt")[1] == source
        assert index.manifest.roots == (source, "/दो")


def test_rows_that_do_not_exist(index: Index) -> None:
    with pytest.raises(StoreCorrupt, match="no chunk 999"):
        index.text.chunk(999)
    with pytest.raises(StoreCorrupt, match="no sentence 999"):
        index.text.chunks_of_sentences([1, 999])
    assert index.text.text("none.txt") == ""
    with pytest.raises(ValueError, match="sqlite_master"):
        index.text.count("sqlite_master")


def test_every_refusal_is_a_rag_error() -> None:
    for kind in (StoreCorrupt, StoreMismatch, StoreMissing, StoreReadOnly, StoreError):
        assert issubclass(kind, RagError)


def test_an_index_without_a_word(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "dashes.txt").write_text("-----\n", encoding="utf-8")
    index_documents([tmp_path / "dashes.txt"], settings, EMBEDDER, RecordingProgress())
    with opened(settings.store) as index:
        assert (index.text.count("chunks"), index.text.count("sentences")) == (1, 0)
        assert index.search_sentences(EMBEDDER.embed_queries(["a word"])[0], 5) == []
        assert isinstance(index.text.chunk(1), Chunk)
