"""A few of the faults of `faults`, at every run; `benchmarks/reliability.py` tries many.

What is broken on purpose must be noticed in one line, or change nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from conftest import FakeEmbedder
from faults.targets import TARGETS
from hypothesis import strategies as st

from rag.datatypes import Answer
from rag.errors import StoreCorrupt, StoreOutdated
from rag.index import FORMAT, Index
from rag.ingest import index_documents
from rag.kept import Kept
from rag.models import SilentProgress
from rag.remembering import Remembered
from rag.settings import Settings

TESTS = Path(__file__).resolve().parent
SEEDS = sorted((TESTS / "faults" / "seeds").glob("*/*"))
# Seconds after which a program is taken to hang: twenty times what the slowest needs.
HANGS = 300
OLD = TESTS / "fixtures" / f"format-{FORMAT}"


def tried(part: str, *arguments: object) -> dict[str, Any]:
    """Run a program of `faults`; a process of its own, because it forks."""
    command = [sys.executable, "-m", f"faults.{part}", *map(str, arguments)]
    ran = subprocess.run(
        command, cwd=TESTS, capture_output=True, text=True, check=False, timeout=HANGS
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    assert found.get("lost") in (0, None), ran.stderr
    return found


@pytest.mark.faults
def test_a_killed_indexer_leaves_the_old_index_or_the_new_one(tmp_path: Path) -> None:
    found = tried("kills", tmp_path / "w", 8, 3)
    assert found["whole old"] + found["whole new"] == 8


@pytest.mark.faults
def test_a_full_or_read_only_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    found = tried("disk", tmp_path / "w", 3, 3)
    if not found["tried"]:
        pytest.skip("this system lets nobody mount a small disk")
    assert (found["full"] > 0, found["read-only"]) == (True, 1)


@pytest.mark.faults
def test_documents_that_change_while_they_are_read(tmp_path: Path) -> None:
    assert tried("changing", tmp_path / "w", 3, 3)["whole"] == 3


@pytest.mark.faults
def test_readers_never_see_half_an_index(tmp_path: Path) -> None:
    found = tried("readers", tmp_path / "w", 6, 3)
    assert found["whole"] == found["reads"] > 0


@pytest.mark.faults
def test_a_changed_byte_is_told_or_makes_no_difference(tmp_path: Path) -> None:
    found = tried("flips", tmp_path / "w", 15, 3)
    assert found["told in one line"] > 0


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}/{path.name[:12]}")
def test_what_a_fuzzer_found_is_still_harmless(seed: Path) -> None:
    TARGETS[seed.parent.name](seed.read_bytes())


# Pieces that hostile text is made of.
PIECES = st.sampled_from(
    ["\x1b[31m", "\x1b]0;t\x07", "\u202e", "\u200d", "\u0301", "क्", "ि", "“", "”", "(", "。", "\f",
     "\n\n", "Dr. ", "1,000", "½", "[1]", "### user", "\ud800", "\x00", "<b>", "=1+1", "👩\u200d👧"]
)  # fmt: skip
HOSTILE = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=40).map("".join)


@pytest.mark.parametrize("target", sorted(TARGETS))
@hypothesis.settings(max_examples=60)
@hypothesis.given(data=st.one_of(st.binary(max_size=600), HOSTILE))
def test_any_bytes_and_any_text_raise_nothing_else(target: str, data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    TARGETS[target](raw)


@pytest.mark.faults
def test_documents_made_to_be_slow_are_looked_at_to_the_end() -> None:
    """Seven seconds; when two of them grew with the square, it was more than five minutes."""
    assert len(tried("blowups", "--look", 200_000)["looked at"]) == 17


# Upgrades


def contents(store: Path) -> dict[str, str]:
    index = Index.load(store)
    found = {document.path: document.text for document, _ in index.text.each_document()}
    index.close()
    return found


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the index that was kept when this format was new."""
    return Path(shutil.copytree(OLD, tmp_path / "kept"))


def test_an_index_of_this_format_is_read_for_ever(old: Path) -> None:
    told = json.loads((old / "documents.json").read_text(encoding="utf-8"))
    assert contents(old / "store") == told
    index = Index.load(old / "store")
    vector = FakeEmbedder(dimension=64).embed_queries(["सैनिक भेजे"])[0]
    (best, cosine), *_ = index.search_chunks(vector, 3)
    assert index.text.chunk(best).path == "सैनिक.txt"
    assert cosine > 0.3
    assert [row for row, _ in index.text.search(["सैनिक"], [], 3)]
    index.close()


def test_an_index_of_this_format_can_be_brought_up_to_date(old: Path, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    told = json.loads((old / "documents.json").read_text(encoding="utf-8"))
    for name, text in told.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "new.txt").write_text("Another report came in.", encoding="utf-8")
    settings = Settings(store=old / "store", documents=folder, models=tmp_path, offline=True)
    embedder = FakeEmbedder(dimension=64)
    report = index_documents([folder], settings, embedder, SilentProgress())
    assert report.added == ("new.txt",)
    assert embedder.passages and all("Another report" in text for text in embedder.passages)
    assert set(contents(old / "store")) == {*told, "new.txt"}


def reworded(store: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest as another version would have written it, its digest with it."""
    pointer = json.loads((store / "CURRENT").read_text(encoding="utf-8"))
    file = store / pointer["generation"] / "manifest.json"
    value = json.loads(file.read_text(encoding="utf-8"))
    change(value)
    file.write_text(json.dumps(value), encoding="utf-8")
    pointer["manifest"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (store / "CURRENT").write_text(json.dumps(pointer), encoding="utf-8")


def test_an_older_format_names_the_command_that_rebuilds(old: Path) -> None:
    reworded(old / "store", lambda value: value.update(format=FORMAT - 1))
    with pytest.raises(StoreOutdated, match="rag index"):
        Index.load(old / "store")


@pytest.mark.parametrize(
    "value",
    ["[]", "3", '{"format": 3}', '{"format": 3, "roots": 1}', "{", '{"format": 3, "files": 2}'],
)
def test_a_manifest_that_is_none_is_one_line(old: Path, value: str) -> None:
    pointer = json.loads((old / "store" / "CURRENT").read_text(encoding="utf-8"))
    file = old / "store" / pointer["generation"] / "manifest.json"
    file.write_text(value, encoding="utf-8")
    pointer["manifest"] = hashlib.sha256(value.encode()).hexdigest()
    (old / "store" / "CURRENT").write_text(json.dumps(pointer), encoding="utf-8")
    with pytest.raises(StoreCorrupt, match="rag index --rebuild") as error:
        Index.load(old / "store")
    assert "\n" not in str(error.value)


def test_what_is_written_is_for_the_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.txt").write_text("The river rose on Monday.", encoding="utf-8")
    settings = Settings(store=tmp_path / "s", documents=folder, models=tmp_path, offline=True)
    before = os.umask(0)
    try:
        index_documents([folder], settings, FakeEmbedder(), SilentProgress())
        index = Index.load(settings.store)
        answer = Answer("when?", "en", "Monday", (), (), (), 0.9)
        Remembered(index.text, {}).keep("when?", answer)
        Kept(tmp_path / "s" / "states", "state 2", 1000).keep({}, b"state")
        index.close()
    finally:
        os.umask(before)
    found = [settings.store, *settings.store.rglob("*")]
    assert len(found) > 8
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


# The network


@pytest.mark.models
def test_no_command_looks_for_a_network() -> None:
    found = tried("offline", TESTS.parent / "seeds")
    assert found["attempts at the network"] == 0
    assert found["tried"] == 13
