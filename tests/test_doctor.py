"""The doctor: what it finds, what mends it, and that mending loses nothing."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import stat
import sys
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest
from conftest import FakeEmbedder
from typer.testing import CliRunner

import rag.doctor.store
import rag.session
from rag.cli.rag import app
from rag.doctor import Finding, examine
from rag.doctor.caches import examine_caches
from rag.doctor.environment import examine_environment
from rag.doctor.finding import removal
from rag.doctor.store import examine_index
from rag.doctor.weights import examine_models
from rag.errors import StoreCorrupt, StoreError
from rag.index import Index, verifying, writing
from rag.ingest import index_documents
from rag.kept import Kept
from rag.models import ModelFile, SilentProgress
from rag.session import Session
from rag.settings import Settings


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(cache / app))
    file = ModelFile("fake", "fake", None, "fake@1")
    monkeypatch.setattr(rag.session, "resolve_embedder", lambda *_: file)
    monkeypatch.setattr(rag.session, "load_embedder", lambda *_, **__: FakeEmbedder())
    return cache


@pytest.fixture
def indexed(small_documents: Path, settings: Settings) -> Settings:
    index_documents([small_documents], settings, FakeEmbedder(), SilentProgress())
    return settings


def looked(settings: Settings) -> list[Finding]:
    return list(examine_index(settings, SilentProgress()))


def wrong(settings: Settings) -> list[Finding]:
    return [finding for finding in looked(settings) if finding.gravity != "sound"]


def generation(settings: Settings) -> Path:
    pointer = json.loads((settings.store / "CURRENT").read_text(encoding="utf-8"))
    return settings.store / str(pointer["generation"])


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_a_sound_index_is_said_to_be_sound(indexed: Settings) -> None:
    (finding,) = looked(indexed)
    assert finding.gravity == "sound"
    assert finding.what.startswith("3 documents, 3 chunks, 9 ranked sentences")


def test_no_index_is_no_damage(settings: Settings) -> None:
    (finding,) = looked(settings)
    assert (finding.gravity, finding.mend) == ("warning", "Run: rag index FOLDER")


@pytest.mark.parametrize("name", ["text.sqlite", "chunks.faiss", "sentences.faiss"])
def test_a_damaged_file_is_broken_and_rebuilt_from_the_same_documents(
    indexed: Settings, name: str
) -> None:
    damage(generation(indexed) / name)
    (finding,) = wrong(indexed)
    assert finding.gravity == "broken"
    assert name in finding.what
    assert finding.mend == "Run: rag index --rebuild"
    assert finding.fix is not None
    finding.fix()
    assert not wrong(indexed)


def test_an_index_is_not_rebuilt_from_documents_that_are_gone(
    indexed: Settings, small_documents: Path
) -> None:
    damage(generation(indexed) / "text.sqlite")
    small_documents.rename(small_documents.with_name("elsewhere"))
    (finding,) = wrong(indexed)
    assert finding.fix is None


def test_an_index_is_not_rebuilt_where_a_document_would_be_lost(
    indexed: Settings, small_documents: Path
) -> None:
    damage(generation(indexed) / "chunks.faiss")
    (small_documents / "river.txt").unlink()  # its text is still in the index
    (finding,) = wrong(indexed)
    assert (finding.gravity, finding.fix) == ("broken", None)


def test_what_links_lead_to_is_rebuilt_with_the_rest(
    settings: Settings, small_documents: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside.txt").write_text("Something that is elsewhere.", encoding="utf-8")
    (small_documents / "link.txt").symlink_to(tmp_path / "outside.txt")
    made = replace(settings, follow_links=True)
    index_documents([small_documents], made, FakeEmbedder(), SilentProgress())
    damage(generation(settings) / "chunks.faiss")
    (finding,) = wrong(settings)
    assert finding.fix is not None
    finding.fix()
    assert not wrong(settings)
    assert looked(settings)[0].what.startswith("4 documents")


def test_a_folder_of_the_user_s_is_no_leftover(indexed: Settings, tmp_path: Path) -> None:
    for store in (indexed.store, tmp_path / "work"):
        (store / "g123456").mkdir(parents=True)
        (store / "g123456" / "thesis.txt").write_text("mine", encoding="utf-8")
    assert not wrong(indexed)
    (finding,) = looked(replace(indexed, store=tmp_path / "work"))
    assert finding.mend == "Run: rag index FOLDER"
    assert sorted(p.name for p in (tmp_path / "work").iterdir()) == ["g123456"]


def test_a_large_index_is_hashed_whatever_its_stamps_say(
    indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "LARGE", 0)
    Index.load(indexed.store).close()  # writes stamps
    monkeypatch.setattr(verifying, "_stamp", lambda _, digest: [1, 1, 1, 1, digest])
    Index.load(indexed.store).close()
    damage(generation(indexed) / "chunks.faiss")
    Index.load(indexed.store).close()  # rot that no stamp can see
    (finding,) = wrong(indexed)
    assert "chunks.faiss was changed" in finding.what


def test_an_index_that_does_not_tell_its_documents_is_not_rebuilt(indexed: Settings) -> None:
    damage(generation(indexed) / "manifest.json")
    (finding,) = wrong(indexed)
    assert (finding.gravity, finding.fix) == ("broken", None)


def test_what_a_broken_off_run_left_is_removed(indexed: Settings) -> None:
    left = indexed.store / "g000077"
    left.mkdir()
    (left / "text.sqlite").touch()
    (indexed.store / "CURRENT.new").touch()
    (indexed.store / ".holder").touch()
    (finding,) = wrong(indexed)
    for name in ("g000077", "CURRENT.new", ".holder"):
        assert str(indexed.store / name) in finding.what
    assert finding.fix is not None
    with writing(indexed.store, pytest.fail), pytest.raises(StoreError, match="is writing"):
        finding.fix()  # somebody may be using them by now
    assert left.exists()
    finding.fix()
    assert not wrong(indexed)
    assert not left.exists()


def test_files_that_changed_went_or_came_are_named(
    indexed: Settings, small_documents: Path
) -> None:
    (small_documents / "river.txt").write_text("Something else.", encoding="utf-8")
    (small_documents / "सैनिक.txt").unlink()
    (small_documents / "new.txt").write_text("New.", encoding="utf-8")
    found = wrong(indexed)
    assert [f.gravity for f in found] == ["warning"] * 3
    assert [f.what.rpartition(": ")[2] for f in found] == ["river.txt", "सैनिक.txt", "new.txt"]
    assert "have changed" in found[0].what
    assert {f.mend for f in found} == {"Run: rag index"}


def test_a_file_that_can_never_be_indexed_is_no_new_document(
    indexed: Settings, small_documents: Path
) -> None:
    (small_documents / "empty.txt").touch()
    (small_documents / "noise.txt").write_bytes(bytes(range(256)) * 20)
    (finding,) = wrong(indexed)
    assert "2 files below" in finding.what
    assert finding.what.endswith("cannot be read as documents: empty.txt, noise.txt")


def forge(settings: Settings, statement: str) -> None:
    """Change the database and make every digest fit, as damage before the digest would."""
    folder = generation(settings)
    db = sqlite3.connect(folder / "text.sqlite")
    db.execute(statement)
    db.commit()
    db.close()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["text.sqlite"] = hashlib.sha256(
        (folder / "text.sqlite").read_bytes()
    ).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    pointer = {"generation": folder.name, "manifest": digest}
    (settings.store / "CURRENT").write_text(json.dumps(pointer), encoding="utf-8")


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE chunks SET text = 'A forged chunk.' WHERE id = 1", "is no slice of it"),
        ('UPDATE sentences SET "end" = 9999 WHERE id = 2', "leaves its chunk"),
        ("UPDATE sentences SET boilerplate = 1 WHERE id = 2", "8 sentences instead of 9"),
    ],
)
def test_slices_and_counts_are_compared(indexed: Settings, statement: str, told: str) -> None:
    forge(indexed, statement)
    found = [f for f in wrong(indexed) if f.gravity == "broken"]
    assert [told in f.what for f in found] == [True]


def test_a_text_that_is_not_that_of_its_file_is_told(indexed: Settings) -> None:
    forge(indexed, "UPDATE documents SET title = 'x', text = text || ' More.' WHERE id = 1")
    (finding,) = wrong(indexed)
    assert "would be read otherwise today" in finding.what


def test_files_that_others_can_read_are_closed(indexed: Settings) -> None:
    folder = generation(indexed)
    folder.chmod(0o755)
    (folder / "text.sqlite").chmod(0o644)
    (finding,) = wrong(indexed)
    assert "Others can read 2 files and folders" in finding.what
    assert finding.fix is not None
    finding.fix()
    assert not wrong(indexed)
    assert stat.S_IMODE((folder / "text.sqlite").stat().st_mode) == 0o600


def test_another_embedder_or_chunk_size_is_told(
    indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag.doctor.store, "identity_here", lambda _: "other@2")
    (finding,) = wrong(indexed)
    assert "built with fake@1" in finding.what
    monkeypatch.setattr(rag.doctor.store, "identity_here", lambda _: "fake@1")
    (finding,) = wrong(replace(indexed, chunk_tokens=99))
    assert finding.mend == "Run: rag index --rebuild"


def test_damaged_caches_are_removed(indexed: Settings, own_caches: Path) -> None:
    states = own_caches / "rag-ask" / "states"
    kept = Kept(states, "state 2", 10_000, parents=True)
    kept.keep({"a": 1}, b"whole")
    kept.keep({"a": 2}, b"damaged")
    damage(kept._path({"a": 2}))
    private = own_caches / "rag-ask" / "stores" / "0123"
    index_documents(
        [indexed.documents or Path()], replace(indexed, store=private), FakeEmbedder(),
        SilentProgress(),
    )  # fmt: skip
    damage(generation(replace(indexed, store=private)) / "text.sqlite")
    found = list(examine_caches(indexed))
    assert [f.gravity for f in found] == ["warning", "warning"]
    for finding in found:
        assert finding.fix is not None
        finding.fix()
    (finding,) = examine_caches(indexed)
    assert finding.gravity == "sound"
    assert kept.find({"a": 1}) == b"whole"
    assert not private.exists()


def test_an_index_that_is_being_made_is_left_alone(indexed: Settings, own_caches: Path) -> None:
    private = own_caches / "rag-ask" / "stores" / "0123"
    with writing(private, pytest.fail):
        (finding,) = examine_caches(indexed)
        assert finding.gravity == "sound"
        assert private.exists()


def test_one_odd_thing_does_not_end_the_examination(
    indexed: Settings, own_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (generation(indexed) / "answers").mkdir(mode=0o700)
    (generation(indexed) / "answers" / "link").symlink_to("nowhere")
    assert not wrong(indexed)
    states = own_caches / "rag-ask" / "states"
    states.mkdir(parents=True)
    (states / "a.state").mkdir()  # whatever it is, it is no state
    assert [f.gravity for f in examine_caches(indexed)] == ["warning"]

    def fails(*_: object) -> object:
        raise OSError(5, "Input/output error", "/somewhere")
        yield

    monkeypatch.setattr("rag.doctor.store.examine_index", fails)
    found = list(examine(indexed, SilentProgress()))
    assert ("index", "broken", "/somewhere: Input/output error") in [
        (f.part, f.gravity, f.what) for f in found
    ]
    assert found[-1].part == "caches"


def test_a_library_that_does_not_load_is_told_by_the_command(
    indexed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    found = list(examine(indexed, SilentProgress()))
    assert any("faiss does not load" in f.what for f in found)
    assert found[-1].what.startswith("The rest could not be examined")


def test_a_command_to_paste_removes_what_it_names(tmp_path: Path) -> None:
    assert removal(tmp_path / "John Smith") == f"Run: rm -r '{tmp_path}/John Smith'"
    assert removal(Path("/a\x1b[31m")) == "Run: rag doctor --fix"


def test_models_that_are_not_here_are_named_with_their_command(settings: Settings) -> None:
    found = list(examine_models(settings, SilentProgress()))
    assert [f.gravity for f in found] == ["warning", "warning"]
    names = {settings.generator, settings.embedder}
    assert {f.mend for f in found} == {f"Run: rag models pull {name}" for name in names}


def test_a_package_of_another_version_or_without_its_library_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {f.gravity for f in examine_environment(settings)} == {"sound"}
    wanted = ["numpy>=99", "nothing-of-that-name>=1", "nothing; extra == 'dev'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: wanted)
    monkeypatch.setattr("rag.doctor.environment.NATIVE", ("numpy", "rag.nothing"))
    found = [f.what for f in examine_environment(settings) if f.gravity == "broken"]
    assert [line.split(" ")[0] for line in found] == [
        "numpy", "nothing-of-that-name", "rag.nothing"
    ]  # fmt: skip


def test_everything_is_examined(indexed: Settings) -> None:
    parts = [finding.part for finding in examine(indexed, SilentProgress())]
    assert list(dict.fromkeys(parts)) == ["environment", "models", "index", "caches"]


def test_the_command_tells_mends_and_exits(indexed: Settings) -> None:
    env = {"RAG_STORE": str(indexed.store), "RAG_MODELS": str(indexed.models), "RAG_OFFLINE": "1"}
    whole = CliRunner().invoke(app, ["doctor"], env=env)
    assert whole.exit_code == 0, whole.output
    assert "ok   index: 3 documents" in whole.stdout
    damage(generation(indexed) / "chunks.faiss")
    broken = CliRunner().invoke(app, ["doctor", "--json"], env=env)
    assert broken.exit_code == 1
    value = json.loads(broken.stdout)
    assert value["sound"] is False
    bad = [f for f in value["findings"] if f["gravity"] == "broken"]
    assert [(f["part"], f["mend"], f["outcome"]) for f in bad] == [
        ("index", "Run: rag index --rebuild", None)
    ]
    mended = CliRunner().invoke(app, ["doctor", "--fix", "-q"], env=env)
    assert mended.exit_code == 0, mended.output
    assert "mended" in mended.stdout
    assert CliRunner().invoke(app, ["doctor"], env=env).exit_code == 0


# What the doctor looks for is also noticed where it matters


def test_an_index_that_changes_under_an_open_session_is_noticed(indexed: Settings) -> None:
    index = Index.load(indexed.store)
    index.verify()
    (generation(indexed) / "text.sqlite").touch()
    index.verify()  # touched, and the same
    damage(generation(indexed) / "text.sqlite")
    with pytest.raises(StoreCorrupt, match=r"text\.sqlite was changed"):
        index.verify()
    index.close()


def test_damage_is_noticed_though_a_new_generation_took_its_name(
    indexed: Settings, small_documents: Path
) -> None:
    session = Session(indexed, SilentProgress())
    session.__dict__["index"] = Index.load(indexed.store)
    damage(generation(indexed) / "text.sqlite")
    index_documents([small_documents], indexed, FakeEmbedder(), SilentProgress(), rebuild=True)
    with pytest.raises(StoreCorrupt, match="was changed"):
        session.search("how many?")
    assert "index" not in session.__dict__  # the next question opens the new one


def test_a_new_generation_leaves_an_open_index_as_it_is(
    indexed: Settings, small_documents: Path
) -> None:
    index = Index.load(indexed.store)
    (small_documents / "new.txt").write_text("New.", encoding="utf-8")
    index_documents([small_documents], indexed, FakeEmbedder(), SilentProgress())
    index.verify()
    assert len(index.text.names()) == 3
    index.close()


def test_a_damaged_index_is_rebuilt_from_its_own_documents_only(
    indexed: Settings, small_documents: Path, tmp_path: Path
) -> None:
    session = Session(replace(indexed, documents=tmp_path / "others"), SilentProgress())
    damage(generation(indexed) / "text.sqlite")
    assert session.as_before() == [small_documents]
    damage(generation(indexed) / "manifest.json")
    with pytest.raises(StoreCorrupt, match="rag index --rebuild FOLDER"):
        session.as_before()
