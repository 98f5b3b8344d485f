"""A folder to an index: what is embedded, what is carried over, what is reported."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from conftest import DOCUMENTS, FakeEmbedder, RecordingProgress
from hypothesis import strategies as st

from rag.datatypes import Chunk
from rag.embedding import Awaited
from rag.errors import NoDocumentsError, StoreCorrupt, StoreMismatch, StoreMissing
from rag.index import Index
from rag.ingest import Report, files_of, index_documents
from rag.language import sound, words
from rag.retrieve import retrieve
from rag.session import Session
from rag.settings import Settings

Run = Callable[..., Report]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def run(settings: Settings, embedder: FakeEmbedder, progress: RecordingProgress) -> Run:
    """Index some roots; `embedder.passages` holds what this run alone embedded."""

    def index(*roots: Path, rebuild: bool = False) -> Report:
        embedder.passages.clear()
        return index_documents(roots, settings, embedder, progress, rebuild=rebuild)

    return index


def texts(store: Path) -> dict[str, str]:
    index = Index.load(store)
    found = {document.path: document.text for _, document, _ in index.text.documents()}
    index.close()
    return found


def chunks(store: Path) -> list[Chunk]:
    index = Index.load(store)
    rows = [
        row for document, _, _ in index.text.documents() for row in index.text.chunk_rows(document)
    ]
    found = index.text.chunks(rows)
    index.close()
    return found


QUESTIONS = ("river school troops", "relief camps", "सैनिक", "a new one is here")


def everything(store: Path, questions: Sequence[str]) -> list[object]:
    """Return all that an index says, without its row ids, which depend on its history."""
    index, embedder = Index.load(store), FakeEmbedder()
    told: list[object] = [[(d, source) for _, d, source in index.text.documents()]]
    rows = [
        row for document, _, _ in index.text.documents() for row in index.text.chunk_rows(document)
    ]
    places = index.text.chunk_places(rows)

    def named(found: Sequence[tuple[int, float]]) -> list[object]:
        return [(*places[row], score) for row, score in found]

    for question in questions:
        vector, said = embedder.embed_queries([question])[0], words(question)
        for k in (1, 2, 3, 5, 100):
            told.append(named(index.search_chunks(vector, k)))
            told.append(named(index.search_sentences(vector, k)))
            told.append(named(index.search_chunks(vector, k, rows[::2])))
            told.append(named(index.text.search(said, map(sound, said), k)))
        told.append((index.text.frequencies(said), index.text.frequencies(said, "sounds")))
        found = retrieve(question, index, embedder, k=3, evidence=4)
        told.append(found)
        told += [
            (places[row], cosine, [(s[2:], c) for s, c in sentences])
            for row, (cosine, sentences) in index.score(vector, rows).items()
        ]
    told.append((index.manifest.documents, index.manifest.chunks, index.manifest.sentences))
    index.close()
    return told


def generation(store: Path) -> list[str]:
    return [p.name for p in store.iterdir() if p.name.startswith("g")]


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    for stem, text in files.items():
        (folder / f"{stem}.txt").write_text(text, encoding="utf-8")


# What is embedded


def test_a_first_run_embeds_every_chunk_and_sentence(
    run: Run, small_documents: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    report = run(small_documents)
    assert report.added == tuple(sorted(DOCUMENTS))
    assert (report.changed, report.unchanged, report.forgotten) == ((), (), ())
    assert (report.failed, report.ignored, report.written) == ((), 0, True)
    assert texts(settings.store) == DOCUMENTS
    # Three chunks; four, three and two sentences.
    assert len(embedder.passages) == 3 + 4 + 3 + 2
    assert "About 8,500 people moved into relief camps." in embedder.passages
    assert report.manifest.roots == (str(small_documents),)
    assert report.manifest.embedder == embedder.identity


def test_an_unchanged_folder_embeds_and_writes_nothing(
    run: Run, small_documents: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    first = run(small_documents)
    before = generation(settings.store)
    again = run(small_documents)
    assert embedder.passages == []
    assert again.unchanged == tuple(sorted(DOCUMENTS))
    assert (again.added, again.written) == ((), False)
    assert again.manifest == first.manifest
    assert generation(settings.store) == before


def test_touching_a_file_changes_nothing(run: Run, small_documents: Path) -> None:
    run(small_documents)
    os.utime(small_documents / "river.txt", (1, 1))
    assert not run(small_documents).written


def test_only_the_changed_file_is_embedded(
    run: Run, small_documents: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    run(small_documents)
    write(small_documents, river="The river fell again.")
    report = run(small_documents)
    assert embedder.passages == ["The river fell again."]  # the chunk is its one sentence
    assert report.changed == ("river.txt",)
    assert len(report.unchanged) == 2
    assert texts(settings.store)["river.txt"] == "The river fell again."


def test_a_changed_file_of_the_same_size_and_time_is_noticed(
    run: Run, small_documents: Path
) -> None:
    write(small_documents, river="The river fell 3 metres.")
    os.utime(small_documents / "river.txt", (1, 1))
    run(small_documents)
    write(small_documents, river="The river rose 4 metres.")
    os.utime(small_documents / "river.txt", (1, 1))
    assert run(small_documents).changed == ("river.txt",)


def test_a_deleted_file_is_forgotten(
    run: Run, small_documents: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    run(small_documents)
    (small_documents / "river.txt").unlink()
    report = run(small_documents)
    assert report.forgotten == ("river.txt",)
    assert embedder.passages == []
    assert "river.txt" not in texts(settings.store)
    assert all(chunk.path != "river.txt" for chunk in chunks(settings.store))


def test_a_renamed_file_is_not_embedded_again(
    run: Run, small_documents: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    run(small_documents)
    (small_documents / "river.txt").rename(small_documents / "flood.txt")
    report = run(small_documents)
    assert embedder.passages == []
    assert (report.added, report.forgotten) == (("flood.txt",), ("river.txt",))
    assert {chunk.path for chunk in chunks(settings.store)} >= {"flood.txt"}
    assert "river.txt" not in texts(settings.store)


def test_a_copy_is_cited_by_its_own_name(
    run: Run, small_documents: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    run(small_documents)
    (small_documents / "inner").mkdir()
    shutil.copy(small_documents / "river.txt", small_documents / "inner")
    report = run(small_documents)
    assert report.added == ("inner/river.txt",)
    assert embedder.passages == []
    index = Index.load(settings.store)
    copy, original = (
        next(e for e in index.entries() if e.document.path == name)
        for name in ("inner/river.txt", "river.txt")
    )
    index.close()
    assert {chunk.path for chunk in copy.chunks} == {"inner/river.txt"}
    assert {c.id for c in copy.chunks}.isdisjoint(c.id for c in original.chunks)
    assert np.array_equal(copy.sentence_vectors, original.sentence_vectors)


def test_copies_in_one_run_are_embedded_once(
    run: Run, settings: Settings, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    write(tmp_path / "d", a="The same text in both.", b="The same text in both.")
    assert run(tmp_path / "d").added == ("a.txt", "b.txt")
    assert embedder.passages == ["The same text in both."]


def test_the_same_bytes_read_in_another_way_are_embedded(
    run: Run, settings: Settings, tmp_path: Path
) -> None:
    # A PDF of ASCII bytes is text as well when it is called so.
    page = b"BT /F1 24 Tf 72 700 Td (Rain is near.) Tj ET"
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >> stream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    data, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        offsets.append(len(data))
        data += b"%d 0 obj %s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    data += (
        b"xref\n0 6\n0000000000 65535 f \n%strailer << /Size 6 /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (table, len(data))
    )
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(data)
    run(folder)
    assert texts(settings.store) == {"a.pdf": "Rain is near."}
    assert chunks(settings.store)[0].page == 1
    (folder / "a.txt").write_bytes(data)
    assert run(folder).added == ("a.txt",)
    assert texts(settings.store) == {"a.pdf": "Rain is near.", "a.txt": data.decode()}


def test_rebuilding_embeds_everything_again(
    run: Run, small_documents: Path, embedder: FakeEmbedder
) -> None:
    run(small_documents)
    report = run(small_documents, rebuild=True)
    assert len(embedder.passages) == 12
    assert report.written


def test_many_texts_go_in_batches(
    run: Run, settings: Settings, tmp_path: Path, progress: RecordingProgress
) -> None:
    text = " ".join(f"Sentence number {i} is here." for i in range(200))
    write(tmp_path / "d", long=text)
    run(tmp_path / "d")
    index = Index.load(settings.store)
    (entry,) = index.entries()
    index.close()
    expected = FakeEmbedder().embed_passages(
        [text[s:e] for group in entry.sentences for s, e in group]
    )
    assert len(expected) == 200
    assert np.array_equal(entry.sentence_vectors, expected)
    assert progress.advanced == 2 * len(text)  # read, then embedded


def test_progress_adds_up_to_the_bytes(
    run: Run, small_documents: Path, progress: RecordingProgress
) -> None:
    size = sum(path.stat().st_size for path in small_documents.iterdir())
    run(small_documents)
    assert progress.started == [("Reading", size), ("Indexing", size)]
    assert progress.advanced == 2 * size
    assert progress.finished == 2
    run(small_documents)  # nothing to embed
    assert progress.started[2:] == [("Reading", size)]
    assert progress.advanced == 3 * size


def test_progress_is_finished_when_the_embedder_fails(
    settings: Settings, small_documents: Path, progress: RecordingProgress
) -> None:
    class Broken(FakeEmbedder):
        def embed_passages(self, texts: object) -> np.ndarray:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_documents([small_documents], settings, Broken(), progress)
    assert progress.finished == 2
    with pytest.raises(StoreMissing):
        Index.load(settings.store)


# What cannot be read


def test_a_file_that_cannot_be_read_is_reported_and_the_rest_indexed(
    run: Run, settings: Settings, small_documents: Path, progress: RecordingProgress
) -> None:
    (small_documents / "binary.txt").write_bytes(bytes(range(256)) * 4)
    (small_documents / "empty.txt").write_bytes(b"")
    (small_documents / "blank.txt").write_text(" \n\t\n", encoding="utf-8")
    (small_documents / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    os.mkfifo(small_documents / "pipe.txt")
    report = run(small_documents)
    assert texts(settings.store) == DOCUMENTS
    names = [line.split(" ", 1)[0] for line in report.failed]
    assert names == ["binary.txt", "blank.txt", "broken.pdf", "empty.txt", "pipe.txt"]
    assert progress.notes == [f"Skipped: {line}" for line in report.failed]
    assert all("\n" not in line for line in report.failed)


def test_a_file_without_permission_is_reported(
    run: Run, small_documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def guarded(path: object, *others: int) -> int:
        if str(path).endswith("river.txt"):
            raise PermissionError(13, "Permission denied")
        return real(path, *others)

    monkeypatch.setattr(os, "open", guarded)
    report = run(small_documents)
    assert report.failed == ("river.txt cannot be read: Permission denied",)
    assert len(report.added) == 2


def test_a_file_that_is_too_big_is_reported(
    settings: Settings, embedder: FakeEmbedder, progress: RecordingProgress, small_documents: Path
) -> None:
    with (small_documents / "big.txt").open("wb") as file:
        file.truncate(1_000_001)
    small = replace(settings, max_file_mb=1)
    report = index_documents([small_documents], small, embedder, progress)
    assert len(report.failed) == 1
    assert report.failed[0].startswith("big.txt has 1.0 MB, more than the limit")


def test_any_limit_of_the_size_will_do(
    settings: Settings, progress: RecordingProgress, small_documents: Path
) -> None:
    boundless = replace(settings, max_file_mb=10**9)
    report = index_documents([small_documents], boundless, FakeEmbedder(), progress)
    assert len(report.added) == 3


def test_a_file_that_became_unreadable_is_forgotten_and_reported(
    run: Run, small_documents: Path
) -> None:
    run(small_documents)
    (small_documents / "river.txt").write_bytes(b"")
    report = run(small_documents)
    assert report.forgotten == ("river.txt",)
    assert report.failed == ("river.txt is empty",)


def test_a_file_that_vanishes_during_the_run_is_reported(
    settings: Settings, small_documents: Path, progress: RecordingProgress
) -> None:
    class Deleting(FakeEmbedder):
        def count_tokens(self, texts: Sequence[str]) -> list[int]:
            (small_documents / "सैनिक.txt").unlink(missing_ok=True)
            return super().count_tokens(texts)

    report = index_documents([small_documents], settings, Deleting(), progress)
    assert report.added == ("river.txt", "مدرسة.txt")
    assert report.failed == ("सैनिक.txt cannot be read: No such file or directory",)


@pytest.mark.parametrize("kind", ["empty", "missing", "failing", "other"])
def test_nothing_to_read_leaves_the_old_index(
    run: Run, small_documents: Path, settings: Settings, tmp_path: Path, kind: str
) -> None:
    run(small_documents)
    before = generation(settings.store)
    folder = tmp_path / "none"
    if kind != "missing":
        folder.mkdir()
    if kind == "failing":
        (folder / "binary.txt").write_bytes(bytes(range(256)))
    if kind == "other":
        (folder / "picture.png").write_bytes(b"x")
    for rebuild in (False, True):
        with pytest.raises(NoDocumentsError) as error:
            run(folder, rebuild=rebuild)
        assert "\n" not in str(error.value)
        assert ("binary.txt" if kind == "failing" else str(folder)) in str(error.value)
    assert generation(settings.store) == before
    assert texts(settings.store) == DOCUMENTS


def test_kinds_that_are_not_read_are_counted(run: Run, small_documents: Path) -> None:
    for name in ("a.png", "b.docx", "README"):
        (small_documents / name).write_bytes(b"x")
    (small_documents / "LOUD.TXT").write_text("A suffix in capitals.", encoding="utf-8")
    report = run(small_documents)
    assert report.ignored == 3
    assert "LOUD.TXT" in report.added
    assert run(small_documents, small_documents).ignored == 3  # each once


def test_a_folder_that_cannot_be_entered_is_reported(
    run: Run, small_documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = small_documents / "locked"
    locked.mkdir()
    real = os.scandir

    def guarded(path: object) -> object:
        if Path(str(path)) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)
    report = run(small_documents)
    assert report.failed == ("locked cannot be read: Permission denied",)
    assert len(report.added) == 3


# Roots and names


def test_two_roots_are_named_relative_to_their_common_parent(
    run: Run, tmp_path: Path, settings: Settings
) -> None:
    write(tmp_path / "a" / "deep", one="One is here.")
    write(tmp_path / "b", two="Two is here.")
    report = run(tmp_path / "a" / "deep", tmp_path / "b")
    assert report.added == ("a/deep/one.txt", "b/two.txt")
    assert report.manifest.roots == (str(tmp_path / "a" / "deep"), str(tmp_path / "b"))


def test_the_index_mirrors_the_roots_of_the_last_run(
    run: Run, tmp_path: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    write(tmp_path / "a", one="One is here.")
    write(tmp_path / "b", two="Two is here.")
    run(tmp_path / "a", tmp_path / "b")
    report = run(tmp_path / "b")
    assert texts(settings.store) == {"two.txt": "Two is here."}
    assert report.forgotten == ("a/one.txt", "b/two.txt")
    assert report.added == ("two.txt",)
    assert embedder.passages == []
    assert report.manifest.roots == (str(tmp_path / "b"),)


def test_roots_that_hold_the_same_files_are_written_down(
    run: Run, tmp_path: Path, settings: Settings
) -> None:
    write(tmp_path / "a", one="One is here.")
    run(tmp_path / "a")
    report = run(tmp_path / "a", tmp_path / "a" / "one.txt")
    assert report.unchanged == ("one.txt",)
    assert len(report.manifest.roots) == 2


def test_a_root_may_be_a_file_of_any_suffix(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.xyz").write_text("Some notes are here.", encoding="utf-8")
    assert run(tmp_path / "notes.xyz").added == ("notes.xyz",)


def test_a_root_within_another_is_read_once(run: Run, small_documents: Path) -> None:
    report = run(small_documents, small_documents / "river.txt", small_documents)
    assert report.added == tuple(sorted(DOCUMENTS))


def test_a_relative_root(run: Run, small_documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(small_documents)
    for root in (Path(), Path("river.txt"), Path("../documents")):
        assert "river.txt" in run(root, rebuild=True).added


def test_hidden_files_and_links_are_left_out(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write(folder, seen="This one is seen.")
    write(folder / ".git", hidden="This one is not.")
    (folder / ".hidden.txt").write_text("Nor is this one.", encoding="utf-8")
    write(tmp_path / "outside", secret="And this is elsewhere.")
    (folder / "link.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / "circle").symlink_to(folder)
    (folder / "dangling.txt").symlink_to(tmp_path / "nowhere")
    report = run(folder)
    assert (report.added, report.links) == (("seen.txt",), 4)


def test_what_a_killed_run_left_goes_though_nothing_has_changed(
    run: Run, small_documents: Path, settings: Settings
) -> None:
    """Killed behind the swap of the pointer, the old generation stays; nothing is new then."""
    run(small_documents)
    left = [settings.store / name for name in ("g000000", "g000099")]
    for folder in left:
        folder.mkdir()
        (folder / "text.sqlite").touch()
    (settings.store / "CURRENT.new").touch()
    (settings.store / ".verified.x1y2").touch()
    assert not run(small_documents).written
    names = {path.name for path in settings.store.iterdir()}
    assert names - {".verified"} == {"CURRENT", ".lock", "g000001"}


def test_links_are_followed_where_it_is_wanted(
    settings: Settings, embedder: FakeEmbedder, progress: RecordingProgress, tmp_path: Path
) -> None:
    folder = tmp_path / "d"
    write(folder, seen="This one is seen.")
    write(tmp_path / "outside" / ".git", hidden="This one is not.")
    write(tmp_path / "outside", secret="And this is elsewhere.")
    (folder / "later.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / "again").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "back").symlink_to(folder)
    (folder / "circle").symlink_to(folder)
    (folder / "itself.txt").symlink_to(folder / "itself.txt")
    (folder / "dangling.txt").symlink_to(tmp_path / "nowhere")
    following = replace(settings, follow_links=True)
    report = index_documents([folder], following, embedder, progress)
    # `again` comes before `linked`; what is found without a link, or was by one, has no other name.
    assert report.added == ("again/secret.txt", "seen.txt")
    assert [line.partition(" ")[0] for line in report.failed] == ["dangling.txt", "itself.txt"]
    assert report.links == 0


def test_what_links_was_made_with_is_remembered(
    settings: Settings, embedder: FakeEmbedder, progress: RecordingProgress, tmp_path: Path
) -> None:
    write(tmp_path / "d", seen="This one is seen.")
    write(tmp_path / "outside", secret="And this is elsewhere.")
    (tmp_path / "d" / "one.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    roots, following = [tmp_path / "d"], replace(settings, follow_links=True)
    assert index_documents(roots, following, embedder, progress).manifest.follow_links
    assert not index_documents(roots, following, embedder, progress).written
    session = Session(settings, progress)
    assert session.as_before() == roots
    assert session.settings.follow_links
    without = index_documents(roots, settings, embedder, progress)
    assert (without.forgotten, without.links) == (("one.txt",), 1)


def test_a_root_may_be_a_link(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "real" / "deep", seen="This one is seen.")
    (tmp_path / "folder").symlink_to(tmp_path / "real" / "deep")
    (tmp_path / "file.txt").symlink_to(tmp_path / "real" / "deep" / "seen.txt")
    assert run(tmp_path / "folder").added == ("seen.txt",)
    assert run(tmp_path / "file.txt", rebuild=True).added == ("seen.txt",)
    write(tmp_path / "real", other="Another is here.")
    both = run(tmp_path / "file.txt", tmp_path / "real" / "other.txt", rebuild=True)
    assert both.added == ("deep/seen.txt", "other.txt")


ODD_NAMES = {
    b"line\nbreak.txt": "line\nbreak.txt",
    b"\x1b[31mred.txt": "\x1b[31mred.txt",
    "रिपोर्ट १.txt".encode(): "रिपोर्ट १.txt",
    b"bad\xff\xfe.txt": "bad\\xff\\xfe.txt",
    b"tab\tand 'quote\".txt": "tab\tand 'quote\".txt",
    b"%s ${x} [1].txt": "%s ${x} [1].txt",
}


def test_names_of_all_kinds(
    run: Run, tmp_path: Path, settings: Settings, embedder: FakeEmbedder
) -> None:
    folder = os.fsencode(tmp_path / "d")
    Path(os.fsdecode(folder)).mkdir()
    for number, raw in enumerate(ODD_NAMES):
        Path(os.fsdecode(folder + b"/" + raw)).write_text(f"Text {number} is here.", "utf-8")
    report = run(tmp_path / "d")
    assert report.added == tuple(sorted(ODD_NAMES.values()))
    assert texts(settings.store) == {
        name: f"Text {number} is here." for number, name in enumerate(ODD_NAMES.values())
    }
    assert not run(tmp_path / "d").written
    assert embedder.passages == []


def test_names_that_look_alike_are_both_indexed(
    run: Run, tmp_path: Path, settings: Settings
) -> None:
    folder = tmp_path / "d"
    write(folder, **{"bad\\xff": "The name is all text."})
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff.txt")).write_text("It is not.", "utf-8")
    run(folder)
    assert sorted(texts(settings.store).values()) == ["It is not.", "The name is all text."]


def test_a_root_whose_name_is_no_text(run: Run, tmp_path: Path, settings: Settings) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    write(folder, one="One is here.")
    assert run(folder).manifest.roots == (str(folder),)
    assert not run(folder).written
    write(tmp_path / "a", two="Two is here.")
    assert run(folder, tmp_path / "a").added == ("\\xff/one.txt", "a/two.txt")


def test_a_failing_file_with_an_odd_name_is_one_printable_line(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "d", ok="This one is fine.")
    (tmp_path / "d" / "two\nlines\x1b[0m.txt").write_bytes(b"")
    (line,) = run(tmp_path / "d").failed
    assert line == "two\\nlines\\x1b[0m.txt is empty"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Der Bürgermeister sagte: „Das Wasser fällt.“ Über 300 Häuser standen leer."),
        ("utf-16", "राहत शिविरों में 8,500 लोग हैं।"),
        ("utf-16-le", "Relief camps hold 8,500 people, said the mayor."),
        ("utf-8-sig", "Relief camps hold 8,500 people, said the mayor."),
    ],
)
def test_encodings(run: Run, tmp_path: Path, settings: Settings, encoding: str, text: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    run(tmp_path / "a.txt")
    assert texts(settings.store) == {"a.txt": text}
    assert [chunk.text for chunk in chunks(settings.store)] == [text]


def test_files_are_listed_by_name(tmp_path: Path) -> None:
    write(tmp_path / "d", b="12345", a="1")
    write(tmp_path / "d" / "c", z="123")
    listing = files_of([tmp_path / "d"])
    found = [(f.name, f.size) for f in listing.files]
    assert found == [("a.txt", 1), ("b.txt", 5), ("c/z.txt", 3)]
    assert (listing.ignored, listing.failed) == (0, ())
    assert listing.files[2].path == tmp_path / "d" / "c" / "z.txt"


# The old index


def test_another_embedder_or_chunking_is_refused_until_rebuilt(
    run: Run,
    small_documents: Path,
    settings: Settings,
    progress: RecordingProgress,
) -> None:
    run(small_documents)
    other, shorter = FakeEmbedder("other@2"), replace(settings, chunk_tokens=8)
    with pytest.raises(StoreMismatch, match=r"fake@1.*other@2.*rag index --rebuild"):
        index_documents([small_documents], settings, other, progress)
    with pytest.raises(StoreMismatch, match=r"sentences-2/256.*sentences-2/8"):
        index_documents([small_documents], shorter, FakeEmbedder(), progress)
    index_documents([small_documents], shorter, other, progress, rebuild=True)
    manifest = index_documents([small_documents], shorter, other, progress).manifest
    assert (manifest.embedder, manifest.chunking) == ("other@2", "sentences-2/8")
    assert all(len(chunk.text.split()) <= 8 for chunk in chunks(settings.store))


def test_a_damaged_index_is_mended_by_rebuilding(
    run: Run, small_documents: Path, settings: Settings
) -> None:
    run(small_documents)
    for path in (settings.store / "CURRENT", *settings.store.glob("g*/*")):
        if not path.exists():
            continue  # an earlier rebuild removed its generation
        path.write_bytes(b"damaged")
        with pytest.raises(StoreCorrupt, match="Run: rag index --rebuild"):
            run(small_documents)
        run(small_documents, rebuild=True)
        assert texts(settings.store) == DOCUMENTS


def test_indexing_in_steps_gives_the_same_as_at_once(
    run: Run, small_documents: Path, settings: Settings, tmp_path: Path, embedder: FakeEmbedder
) -> None:
    run(small_documents)
    write(small_documents, river="The river fell again.", new="A new one is here.")
    (small_documents / "مدرسة.txt").unlink()
    run(small_documents)
    fresh = replace(settings, store=tmp_path / "fresh")
    index_documents([small_documents], fresh, embedder, RecordingProgress())
    assert everything(settings.store, QUESTIONS) == everything(fresh.store, QUESTIONS)


def test_an_index_of_an_older_version_is_built_anew(
    run: Run, small_documents: Path, settings: Settings, progress: RecordingProgress
) -> None:
    run(small_documents)
    pointer = json.loads((settings.store / "CURRENT").read_text(encoding="utf-8"))
    manifest = settings.store / pointer["generation"] / "manifest.json"
    raw = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**raw, "format": raw["format"] - 1}), encoding="utf-8")
    pointer["manifest"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    (settings.store / "CURRENT").write_text(json.dumps(pointer), encoding="utf-8")
    report = run(small_documents)
    assert len(report.added) == 3
    assert "The index was written by an older version: building it anew." in progress.notes


def test_boilerplate_is_a_matter_of_the_whole_collection(
    run: Run, settings: Settings, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    def boilerplate(name: str) -> frozenset[int]:
        index = Index.load(settings.store)
        try:
            (entry,) = (e for e in index.entries() if e.document.path == name)
        finally:
            index.close()
        assert len(entry.sentence_vectors) == 3 - len(entry.boilerplate)
        assert entry.document.text == texts[name]
        return entry.boilerplate

    folder, line = tmp_path / "d", "Leave a Reply"
    bodies = {
        "dam": "The old dam was repaired in twelve days by engineers.",
        "school": "The new school has room for many children of the valley.",
        "onions": "Prices of onions doubled at the market after the trucks stopped.",
    }
    texts = {f"{name}.txt": f"Title {name}\n\n{b}\n\n{line}\n" for name, b in bodies.items()}
    write(folder, dam=texts["dam.txt"], school=texts["school.txt"])
    run(folder)
    assert line in embedder.passages
    assert boilerplate("dam.txt") == frozenset()
    write(folder, onions=texts["onions.txt"])
    embedder.passages.clear()
    assert run(folder).added == ("onions.txt",)
    # The old documents' chunks are embedded again without the line; the rest is known.
    assert line not in " ".join(embedder.passages)
    assert len(embedder.passages) == 3 + 2
    assert boilerplate("dam.txt") == {2}
    (folder / "onions.txt").unlink()
    run(folder)
    assert boilerplate("dam.txt") == frozenset()


def test_the_title_is_embedded_but_not_quoted(
    run: Run, settings: Settings, embedder: FakeEmbedder, tmp_path: Path
) -> None:
    body = " ".join(f"Sentence number {n} of the story is here." for n in range(60))
    write(tmp_path / "d", story=f"The flood of July\n\n{body}")
    run(tmp_path / "d")
    found = chunks(settings.store)
    assert len(found) > 1
    assert [chunk.context for chunk in found] == ["", *["The flood of July"] * (len(found) - 1)]
    assert f"The flood of July\n{found[1].text}" in embedder.passages
    assert "flood" not in found[1].text


# Edits against a build from nothing

FOOTERS = ("Leave a Reply", "Must read before you go away", "")
BODIES = (
    "The old dam was repaired in twelve days by engineers. The river rose again.",
    "The new school has room for many children of the valley.",
    "Prices of onions doubled at the market after the trucks stopped. Traders blamed rain.",
    "उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं। नदी का जलस्तर बढ़ गया।",
    "Relief camps hold 8,500 people, said the mayor. " * 3,
)
EDITS = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.sampled_from("abcdef"),
            st.sampled_from(BODIES),
            st.sampled_from(FOOTERS),
        ),
        st.tuples(st.just("delete"), st.sampled_from("abcdef")),
        st.tuples(st.just("rename"), st.sampled_from("abcdef"), st.sampled_from("abcdefg")),
    ),
    min_size=1,
    max_size=6,
)


def edit(folder: Path, act: str, stem: str, *others: str) -> None:
    path = folder / f"{stem}.txt"
    if act == "write":
        body, footer = others
        write(folder, **{stem: f"Title\n\n{body}\n\n{footer}\n"})
    elif act == "delete":
        path.unlink(missing_ok=True)
    elif path.exists():
        path.rename(folder / f"{others[0]}.txt")


@hypothesis.settings(
    max_examples=25, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(runs=st.lists(EDITS, min_size=1, max_size=4))
def test_after_any_edits_the_index_is_that_of_a_build_from_nothing(
    settings: Settings, runs: list[list[tuple[str, ...]]]
) -> None:
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer, "d")
        write(folder, a="The city has a dam and a school.", b="The river rose by 3.5 metres.")
        stepwise = replace(settings, store=Path(outer, "stepwise"))
        index_documents([folder], stepwise, FakeEmbedder(), RecordingProgress())
        for edits in runs:
            for act in edits:
                edit(folder, *act)
            if not any(folder.iterdir()):
                write(folder, a="The city has a dam and a school.")
            index_documents([folder], stepwise, FakeEmbedder(), RecordingProgress())
        fresh = replace(settings, store=Path(outer, "fresh"))
        index_documents([folder], fresh, FakeEmbedder(), RecordingProgress())
        questions = ("the river and the dam", "leave a reply", "सैनिक")
        assert everything(stepwise.store, questions) == everything(fresh.store, questions)


def test_an_unchanged_folder_asks_the_embedder_for_its_name_alone(
    run: Run, small_documents: Path, settings: Settings, progress: RecordingProgress
) -> None:
    def load() -> FakeEmbedder:
        pytest.fail("the embedder was loaded")

    run(small_documents)
    (small_documents / "binary.txt").write_bytes(bytes(range(256)) * 4)
    report = index_documents([small_documents], settings, Awaited("fake@1", load), progress)
    assert (len(report.unchanged), report.written) == (3, False)
    assert len(report.failed) == 1


def test_texts_are_embedded_in_batches_of_about_one_length(run: Run, tmp_path: Path) -> None:
    sizes: list[list[int]] = []

    class Measuring(FakeEmbedder):
        def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
            sizes.append([len(text) for text in texts])
            return super().embed_passages(texts)

    for number in range(70):  # long and short sentences in every document
        text = f"Number {number}. " + f"The long one of number {number} goes on and on. "
        write(tmp_path / "d", **{f"d{number}": text})
    settings = Settings(store=tmp_path / "s", documents=None, models=tmp_path)
    index_documents([tmp_path / "d"], settings, Measuring(), RecordingProgress())
    # 70 chunks, then 140 sentences: three batches, of which the first two hold the long ones.
    assert [len(batch) for batch in sizes] == [64, 6, 64, 64, 12]
    assert all(batch == sorted(batch, reverse=True) for batch in sizes)
    assert min(sizes[2]) >= max(sizes[3]) >= max(sizes[4])
    assert max(sizes[4]) < 12
