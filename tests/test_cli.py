"""The commands as a user meets them: output, exit codes, and one line for every failure."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PLAIN_CALIBRATION, FakeEmbedder, FakeReader, ScriptedGenerator
from typer.testing import CliRunner, Result

import rag.session
from rag import remembering
from rag.calibration import Calibration
from rag.cli.ask import app as ask_app
from rag.cli.rag import app as rag_app
from rag.errors import ModelCorrupt, ModelUnavailable
from rag.kept import Kept
from rag.models import ModelFile, resolve_generator
from rag.reranking import CrossEncoderReranker

ANSWERS = {"troops": "15,000 [1]", "relief": "about 8,500 [1]"}
SPANS = {"troops": "15,000", "सैनिक": "15,000", "relief": "8,500"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No setting, cache or rag.toml of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("RAG_", "HF_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Fakes in place of all models."""
    fakes: dict[str, Any] = {
        "embedder": FakeEmbedder(),
        "generator": ScriptedGenerator(ANSWERS),
        "reader": FakeReader(SPANS),
    }

    def file(spec: str, *_: object) -> ModelFile:
        return ModelFile(spec, spec, None, f"{spec}@1")

    monkeypatch.setattr(Calibration, "shipped", PLAIN_CALIBRATION.at)

    def embedder(*_: object) -> ModelFile:
        return ModelFile("fake", "fake", None, fakes["embedder"].identity)

    monkeypatch.setattr(rag.session, "resolve_embedder", embedder)
    monkeypatch.setattr(rag.session, "resolve_generator", file)
    monkeypatch.setattr(rag.session, "load_embedder", lambda *_, **__: fakes["embedder"])
    monkeypatch.setattr(rag.session.LlamaGenerator, "load", lambda *_, **__: fakes["generator"])
    monkeypatch.setattr(rag.session.SpanReader, "shipped", lambda *_: fakes["reader"])
    return fakes


Run = Callable[..., Result]


@pytest.fixture
def ask(models: dict[str, object], small_documents: Path, tmp_path: Path) -> Run:
    """Run `ask` over the small documents, in a store of the test's own."""
    monkey = {"RAG_STORE": str(tmp_path / "store"), "RAG_DOCUMENTS": str(small_documents)}
    return lambda *words, **kw: CliRunner().invoke(ask_app, [*words], env=monkey, **kw)


@pytest.fixture
def rag_(models: dict[str, object], small_documents: Path, tmp_path: Path) -> Run:
    """Run `rag` likewise."""
    monkey = {"RAG_STORE": str(tmp_path / "store"), "RAG_DOCUMENTS": str(small_documents)}
    return lambda *words, **kw: CliRunner().invoke(rag_app, [*words], env=monkey, **kw)


def one_error(result: Result, code: int, *parts: str) -> None:
    """Assert a failure of exactly one line that names all the parts."""
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    for part in parts:
        assert part in lines[0]


def test_answer_is_cited_with_its_sentence(ask: Run) -> None:
    result = ask("how many troops were sent?")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "15,000 [1]"
    assert lines[2] == "[1] सैनिक.txt"
    assert lines[3] == "    “उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं।”"


def test_strictness_is_a_setting(ask: Run, models: dict[str, object], tmp_path: Path) -> None:
    """The fake reader's margin gives .982: enough for `normal`, too little for `high`."""
    assert ask("how many troops were sent?").exit_code == 0
    (tmp_path / "rag.toml").write_text('strictness = "high"', encoding="utf-8")
    assert ask("how many troops were sent?").exit_code == 3
    (tmp_path / "rag.toml").write_text('strictness = "hgih"', encoding="utf-8")
    one_error(ask("how many troops were sent?"), 1, "strictness", "'hgih'", "low, normal, high")


def test_words_need_no_quotes(ask: Run) -> None:
    assert ask("how", "many", "troops", "were", "sent").stdout.startswith("15,000 [1]")


def test_missing_index_is_built_and_said(ask: Run, tmp_path: Path) -> None:
    first = ask("how many troops were sent?")
    assert "No index yet" in first.stderr
    assert (tmp_path / "store" / "CURRENT").is_file()
    assert "No index yet" not in ask("how many troops were sent?").stderr


@pytest.mark.parametrize(
    ("question", "wording"),
    [
        ("what is the password of the camp?", "The documents do not say."),
        ("शिविर का पासवर्ड क्या है?", "दस्तावेज़ों में यह नहीं बताया गया है।"),
    ],
)
def test_refusal_is_in_the_askers_language(ask: Run, question: str, wording: str) -> None:
    result = ask(question)
    assert result.exit_code == 3
    assert result.stdout.splitlines()[0] == wording


def test_json_is_one_object_with_exact_spans(ask: Run, small_documents: Path) -> None:
    result = ask("--json", "how many troops were sent?")
    value = json.loads(result.stdout)
    assert value["answer"] == "15,000 [1]"
    assert value["refused"] is False
    assert value["version"] == 1
    assert value["models"] == {"embedder": "fake@1", "generator": "qwen2.5-coder-1.5b-instruct@1"}
    (citation,) = value["citations"]
    assert citation["path"] == "सैनिक.txt"
    assert citation["stale"] is False
    for span in [*value["citations"], *value["evidence"]]:
        text = (small_documents / span["path"]).read_text(encoding="utf-8")
        assert text[span["start"] : span["end"]] == span["quote"]
    for hit in value["hits"]:
        text = (small_documents / hit["path"]).read_text(encoding="utf-8")
        assert text[hit["start"] : hit["end"]] == hit["text"]
    assert {"search", "generate", "total"} <= value["timings"].keys()


def test_json_of_a_refusal(ask: Run) -> None:
    result = ask("--json", "what is the password of the camp?")
    value = json.loads(result.stdout)
    assert (result.exit_code, value["refused"], value["citations"]) == (3, True, [])
    assert value["answer"] == "The documents do not say."


def test_quiet_is_one_line_with_its_source(ask: Run) -> None:
    result = ask("--quiet", "how many troops were sent?")
    assert result.stdout == "15,000 [1] (सैनिक.txt)\n"
    assert result.stderr == ""


def test_questions_from_standard_input(ask: Run) -> None:
    result = ask("--json", input="how many troops were sent?\n\nwhat is the password?\n")
    values = [json.loads(line) for line in result.stdout.splitlines()]
    assert [v["refused"] for v in values] == [False, True]
    assert result.exit_code == 0  # one was answered
    assert ask("-", input="what is the password?\n").exit_code == 3


def test_docs_asks_over_another_folder(ask: Run, models: dict[str, object], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "note.txt").write_text("The bakery sent 77 troops of ants.", encoding="utf-8")
    models["reader"] = FakeReader("77")
    answer = ask("--docs", str(other), "--quiet", "how many troops were sent?")
    # The generator's 15,000 stands in none of these documents, so it must not come out.
    assert answer.stdout == "77 [1] (note.txt)\n"
    assert not (tmp_path / "store").exists()


def test_stale_source_is_told(ask: Run, small_documents: Path) -> None:
    ask("how many troops were sent?")
    (small_documents / "सैनिक.txt").write_text("कुछ और।", encoding="utf-8")
    result = ask("how many troops were sent?")
    assert "सैनिक.txt has changed since it was indexed. Run: rag index" in result.stderr


def test_terminal_escapes_of_documents_stay_inside(ask: Run, small_documents: Path) -> None:
    evil = "North Korea sent 15,000 troops \x1b[31m\x1b]0;owned\x07 to Russia in the report."
    (small_documents / "सैनिक.txt").write_text(evil, encoding="utf-8")
    for flags in ([], ["--json"], ["--quiet"]):
        result = ask(*flags, "how many troops were sent?")
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.stdout
        assert "\x07" not in result.stdout


# Bad input: one line, the right code.


@pytest.mark.parametrize("question", ["", "   ", "?!", "🙂"])
def test_empty_question(ask: Run, question: str) -> None:
    one_error(ask(question), 2, "The question is empty")


def test_nothing_on_standard_input(ask: Run) -> None:
    one_error(ask(input=" \n"), 2, "There is no question")


def test_standard_input_that_is_no_text(ask: Run) -> None:
    one_error(ask("-", input=b"\xff\xfe\x00"), 2, "not UTF-8")


def test_unknown_flag_is_usage(ask: Run) -> None:
    assert ask("--nonsense", "x").exit_code == 2


def test_missing_folder(ask: Run, rag_: Run) -> None:
    one_error(ask("--docs", "nowhere", "who?"), 1, "no file or folder", "nowhere")
    one_error(rag_("index", "nowhere"), 1, "no file or folder", "nowhere")


def test_empty_folder(ask: Run, rag_: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    one_error(ask("--docs", "empty", "who?"), 1, "no documents", "empty")
    one_error(rag_("index", "empty"), 1, "no documents", "empty")


def test_binary_file_named_txt(rag_: Run, small_documents: Path) -> None:
    (small_documents / "photo.txt").write_bytes(bytes(range(256)) * 20)
    result = rag_("index")
    assert result.exit_code == 1  # partial: the rest is indexed
    assert "photo.txt looks like a binary file" in result.stderr
    assert "3 added, 1 failed" in result.stderr


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "utf-16-le"])
def test_other_encodings_are_read(rag_: Run, tmp_path: Path, encoding: str) -> None:
    folder = tmp_path / "legacy"
    folder.mkdir()
    text = "Der Fluß führte “hohes” Wasser, als die Brücke über Nacht geschlossen wurde. " * 3
    (folder / "alt.txt").write_bytes(text.encode(encoding))
    assert rag_("index", str(folder)).exit_code == 0
    value = json.loads(rag_("search", "--json", "Brücke über Nacht").stdout)
    assert value["hits"][0]["text"] == text.strip()


def test_100_mb_text(rag_: Run, small_documents: Path) -> None:
    with (small_documents / "huge.txt").open("wb") as file:
        for _ in range(100):
            file.write(b"all work and no play " * 47_620)
    result = rag_("index")
    assert result.exit_code == 1
    assert "huge.txt has 100.0 MB, more than the limit of 50.0 MB" in result.stderr
    assert "max_file_mb" in result.stderr
    assert "3 added, 1 failed" in result.stderr


def test_corrupt_index(ask: Run, rag_: Run, tmp_path: Path) -> None:
    ask("how many troops were sent?")
    (database,) = (tmp_path / "store").glob("g*/text.sqlite")
    data = bytearray(database.read_bytes())
    data[len(data) // 2] ^= 1
    database.write_bytes(data)
    one_error(ask("how many troops were sent?"), 1, "text.sqlite", "Run: rag index --rebuild")
    one_error(rag_("info"), 1, "Run: rag index --rebuild")
    assert rag_("index", "--rebuild").exit_code == 0
    assert ask("how many troops were sent?").exit_code == 0


def test_index_of_another_embedder(ask: Run, rag_: Run, models: dict[str, object]) -> None:
    ask("how many troops were sent?")
    models["embedder"] = FakeEmbedder("other@2")
    one_error(ask("how many troops?"), 1, "fake@1", "other@2", "rag index --rebuild")
    one_error(rag_("index"), 1, "rag index --rebuild")
    assert rag_("index", "--rebuild").exit_code == 0
    assert ask("how many troops were sent?").exit_code == 0


def test_truncated_gguf(
    models: dict[str, object],
    tmp_path: Path,
    small_documents: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rag.session, "resolve_generator", resolve_generator)
    weights = tmp_path / "cut.gguf"
    weights.write_bytes(b"GGUF\x03\x00\x00\x00")
    env = {"RAG_STORE": str(tmp_path / "store"), "RAG_DOCUMENTS": str(small_documents)}
    result = CliRunner().invoke(ask_app, ["--generator", str(weights), "who?"], env=env)
    one_error(result, 1, "cut.gguf is truncated")


def test_no_network(tmp_path: Path, small_documents: Path) -> None:
    env = {
        "RAG_STORE": str(tmp_path / "store"),
        "RAG_DOCUMENTS": str(small_documents),
        "RAG_MODELS": str(tmp_path / "models"),
    }
    result = CliRunner().invoke(ask_app, ["--offline", "who?"], env=env)
    one_error(result, 1, "multilingual-e5-small", "offline", "--from")


def test_sources_that_all_fail(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> ModelFile:
        raise ModelUnavailable("x cannot be fetched: hub: timeout; wheels: no route", "Do this.")

    monkeypatch.setattr(rag.session, "resolve_embedder", fail)
    one_error(ask("who?"), 1, "hub: timeout", "Do this.")


def test_read_only_store(ask: Run, rag_: Run, tmp_path: Path) -> None:
    """An index that cannot be written can be read, and writing it is one line."""
    ask("how many troops were sent?")
    store = tmp_path / "store"
    with unprivileged(store):
        assert ask("how many troops were sent?").exit_code == 0
        one_error(rag_("index", "--rebuild"), 1, "cannot be written", "--store")
    assert ask("how many troops were sent?").exit_code == 0


class unprivileged:  # noqa: N801 (used like a function)
    """Make a folder read-only and, where the tests run as root, drop root for a while."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = os.geteuid() == 0

    def __enter__(self) -> None:
        for path in [*self._folder.rglob("*"), self._folder]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        # Others must be able to walk down to it.
        for parent in self._folder.parents:
            if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o055)
        if self._root:
            os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        if self._root:
            os.seteuid(0)
        for path in [self._folder, *self._folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_ctrl_c_is_one_line(ask: Run, models: dict[str, object]) -> None:
    def interrupt(_: object) -> str:
        raise KeyboardInterrupt

    models["generator"] = ScriptedGenerator(interrupt)
    one_error(ask("how many people moved into relief camps?"), 130, "Interrupted")


# A shell lets what it starts in the background ignore SIGINT, and this test's run with it.
SLOW_INDEX = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import rag.session
from rag.models import ModelFile

class Slow:
    identity, dimension = "m@1", 8
    def count_tokens(self, texts):
        return [len(text.split()) for text in texts]
    def embed_passages(self, texts):
        print("embedding", file=sys.stderr, flush=True)
        time.sleep(60)

rag.session.resolve_embedder = lambda *_: ModelFile("m", "m", None, "m@1")
rag.session.load_embedder = lambda *_, **__: Slow()
from rag.cli import rag_main
sys.argv = ["rag", "index", "docs", "--store", "store"]
rag_main()
"""


def test_ctrl_c_in_a_real_process(tmp_path: Path) -> None:
    """SIGINT at an arbitrary moment: one line, no traceback, no half-written index."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Some text to index. " * 50, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_INDEX], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip() == "embedding":
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert rest.count("Error: Interrupted") == 1
    assert not (tmp_path / "store" / "CURRENT").exists()
    assert not list((tmp_path / "store").glob("g*"))


def test_help_and_version_load_no_model_library() -> None:
    program = (
        "import sys; from rag.cli import ask_main; sys.argv = ['ask', '--help']\n"
        "try: ask_main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch','faiss','llama_cpp','numpy','rich.console'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_closed_pipe_is_no_error(tmp_path: Path) -> None:
    program = (
        "import sys; from rag.cli.common import reporting; from rag.display import Display\n"
        "import typer\n"
        "try:\n"
        "    with reporting(Display()):\n"
        "        for _ in range(100000): sys.stdout.write('x' * 100)\n"
        "except typer.Exit as e: sys.exit(e.exit_code)\n"
    )
    command = f'{sys.executable} -c "$PROGRAM" | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PROGRAM": program},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "0", done.stderr
    assert done.stderr == ""


# rag index, info, search, models


def test_index_twice_writes_once(rag_: Run, tmp_path: Path, small_documents: Path) -> None:
    assert "3 added" in rag_("index", str(small_documents)).stderr
    before = (tmp_path / "store" / "CURRENT").read_text()
    assert "3 unchanged" in rag_("index").stderr
    assert (tmp_path / "store" / "CURRENT").read_text() == before


def test_index_forgets_and_adds(rag_: Run, small_documents: Path) -> None:
    rag_("index", str(small_documents))
    (small_documents / "river.txt").unlink()
    (small_documents / "new.txt").write_text("A new school was opened.", encoding="utf-8")
    report = json.loads(rag_("index", "--json").stdout)
    assert report["added"] == ["new.txt"]
    assert report["forgotten"] == ["river.txt"]
    assert len(report["unchanged"]) == 2


def test_info_lists_documents(rag_: Run, small_documents: Path) -> None:
    rag_("index", str(small_documents))
    value = json.loads(rag_("info", "--json").stdout)
    assert {f["path"] for f in value["files"]} == {p.name for p in small_documents.iterdir()}
    assert value["documents"] == 3
    assert "river.txt" in rag_("info").stdout


def test_info_without_an_index(rag_: Run) -> None:
    one_error(rag_("info"), 1, "There is no index", "Run: rag index")


def test_search_shows_scores_names_and_offsets(rag_: Run) -> None:
    result = rag_("search", "how many people moved into relief camps")
    first = result.stdout.splitlines()[0]
    assert "river.txt 0–" in first
    assert "score" in first
    assert "keywords #1" in first


def test_search_tells_why(rag_: Run) -> None:
    first = rag_("search", "how many people moved into relief camps").stdout.splitlines()[0]
    assert "people, moved, into, relief, camps" in first
    hit = json.loads(rag_("search", "--json", "relief camps").stdout)["hits"][0]
    assert hit["matched"] == ["relief", "camps"]
    assert (hit["keyword"], hit["keyword_rank"], hit["dense_rank"]) == (1.0, 1, 1)
    assert hit["score"] == pytest.approx(hit["dense"] + 0.08 * hit["keyword"], abs=2e-4)
    assert hit["reranked"] is None


def test_only_some_documents_are_asked(rag_: Run, ask: Run, small_documents: Path) -> None:
    (small_documents / "2024-05-01.txt").write_text("Troops were sent home.", encoding="utf-8")

    def names(*flags: str) -> set[str]:
        found = rag_("search", "--json", "troops sent", *flags)
        assert found.exit_code == 0, found.output
        return {hit["path"] for hit in json.loads(found.stdout)["hits"]}

    assert len(names()) == 4
    assert names("--in", "river*") == {"river.txt"}
    assert names("--lang", "HI") == {"सैनिक.txt"}
    assert names("--since", "2024-05", "--until", "2024") == {"2024-05-01.txt"}
    assert ask("how many troops were sent?").stdout.startswith("15,000")
    assert ask("--lang", "en", "how many troops were sent?").exit_code == 3


def test_a_filter_that_lets_nothing_pass_is_named(rag_: Run, ask: Run) -> None:
    for run in (lambda *w: rag_("search", *w), ask):
        one_error(run("--in", "zz*", "x y"), 1, "No document passes --in zz*", "rag info")
        one_error(run("--lang", "fi", "--since", "2020", "x y"), 1, "--lang fi --since 2020")
        one_error(run("--since", "13.8.2025", "x y"), 2, "--since 13.8.2025 is no date")
        one_error(run("--until", "2025-13", "x y"), 2, "--until 2025-13 is no date")
        for code in ("\udcff", "hindi", "%"):
            one_error(run("--lang", code, "x y"), 2, "--lang hi")


def test_an_older_index_is_built_anew_of_what_it_held(
    rag_: Run, tmp_path: Path, small_documents: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("The mayor opened the new bridge.", encoding="utf-8")
    rag_("index", str(other))
    pointer = json.loads((tmp_path / "store" / "CURRENT").read_text(encoding="utf-8"))
    manifest = tmp_path / "store" / pointer["generation"] / "manifest.json"
    raw = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**raw, "format": 1}), encoding="utf-8")
    pointer["manifest"] = hashlib.sha256(manifest.read_bytes()).hexdigest()
    (tmp_path / "store" / "CURRENT").write_text(json.dumps(pointer), encoding="utf-8")
    one_error(rag_("search", "mayor"), 1, "has format 1", "rag index --rebuild")
    report = json.loads(rag_("index", "--json").stdout)
    assert report["added"] == ["a.txt"]
    assert json.loads(rag_("info", "--json").stdout)["roots"] == [str(other)]


def test_info_tells_date_and_language(rag_: Run, small_documents: Path) -> None:
    (small_documents / "2024-05-01.txt").write_text("Troops were sent home.", encoding="utf-8")
    rag_("index")
    listed = {f["path"]: f for f in json.loads(rag_("info", "--json").stdout)["files"]}
    assert (listed["2024-05-01.txt"]["date"], listed["2024-05-01.txt"]["language"]) == (
        "2024-05-01",
        "en",
    )
    assert (listed["सैनिक.txt"]["date"], listed["सैनिक.txt"]["language"]) == (None, "hi")
    assert "2024-05-01.txt  2024-05-01  en" in rag_("info").stdout


def test_a_copy_is_cited_beside_the_original(ask: Run, small_documents: Path) -> None:
    text = (small_documents / "सैनिक.txt").read_text(encoding="utf-8")
    (small_documents / "copy.txt").write_text(f"{text}\nAnd more.", encoding="utf-8")
    result = ask("how many troops were sent?")
    assert "[1] सैनिक.txt, also in copy.txt" in result.stdout
    cited = json.loads(ask("--json", "how many troops were sent?").stdout)["citations"]
    assert [(c["path"], [a["path"] for a in c["also"]]) for c in cited] == [
        ("सैनिक.txt", ["copy.txt"])
    ]
    assert cited[0]["also"][0]["quote"] == cited[0]["quote"]
    (small_documents / "copy.txt").write_text("Something else.", encoding="utf-8")
    stale = ask("--json", "how many troops were sent?")
    assert [a["stale"] for a in json.loads(stale.stdout)["citations"][0]["also"]] == [True]
    assert "copy.txt has changed since it was indexed" in stale.stderr
    assert ask("-q", "how many troops were sent?").stdout == "15,000 [1] (सैनिक.txt, copy.txt)\n"


def test_a_reranker_is_loaded_only_when_it_is_named(
    rag_: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Upside:
        identity = "upside"

        def scores(self, question: str, texts: list[str]) -> list[float]:
            return [float(place) for place in range(len(texts))]

    loaded: list[str] = []

    def load(name: str, *, offline: bool) -> Upside:
        loaded.append(name)
        return Upside()

    monkeypatch.setattr(CrossEncoderReranker, "load", load)
    plain = json.loads(rag_("search", "--json", "relief camps").stdout)["hits"]
    assert loaded == []
    found = rag_("search", "--json", "--reranker", "some/encoder", "relief camps")
    assert loaded == ["some/encoder"]
    hits = json.loads(found.stdout)["hits"]
    assert [h["path"] for h in hits] == [h["path"] for h in reversed(plain)]
    assert [h["reranked"] for h in hits] == [2.0, 1.0, 0.0]


def test_models_list_and_path(rag_: Run, tmp_path: Path) -> None:
    env = {"RAG_MODELS": str(tmp_path / "models")}
    listed = CliRunner().invoke(rag_app, ["models", "list", "--json"], env=env)
    names = {m["name"]: m for m in json.loads(listed.stdout)["models"]}
    assert names["multilingual-e5-small"]["path"] is None
    assert names["qwen2.5-coder-1.5b-instruct"]["default"] is True
    missing = CliRunner().invoke(rag_app, ["models", "path", "multilingual-e5-small"], env=env)
    one_error(missing, 1, "rag models pull multilingual-e5-small")
    unknown = CliRunner().invoke(rag_app, ["models", "pull", "gpt-9"], env=env)
    assert unknown.exit_code in {1, 2}
    assert "gpt-9" in unknown.stderr


# What a session's commands do, as flags


TROOPS = "how many troops were sent?"


def test_a_question_follows_others(ask: Run, models: dict[str, object]) -> None:
    models["reader"] = FakeReader({"died": "600", "sent": "15,000"})
    result = ask("--follows", TROOPS, "and how many of them died in April?")
    assert result.stdout.startswith("600 [1]")
    assert f"(understood with: {TROOPS})" in result.stderr
    value = json.loads(
        ask("--json", "--follows", TROOPS, "--follows", "और कब?", "and how many died?").stdout
    )
    assert value["question"] == "and how many died?"
    assert value["follows"] == [TROOPS, "और कब?"]
    assert value["understood"] == "and how many died? (troops were sent; और कब)"
    alone = json.loads(ask("--json", TROOPS).stdout)
    assert (alone["follows"], alone["understood"]) == ([], None)


def test_piped_questions_stay_independent(ask: Run) -> None:
    result = ask("--json", input=f"{TROOPS}\nand how many of them died?\n")
    values = [json.loads(line) for line in result.stdout.splitlines()]
    assert [v["understood"] for v in values] == [None, None]


def test_sources_context_and_reasons_after_the_answer(ask: Run, small_documents: Path) -> None:
    result = ask("--sources", "--open", "1", "--why", TROOPS)
    assert result.exit_code == 0, result.output
    out = result.stdout
    places = [
        out.index(part)
        for part in (
            "15,000 [1]",
            f"    {small_documents / 'सैनिक.txt'}",
            "⟦उत्तर कोरिया ने रूस में लगभग 15,000 सैनिक भेजे हैं।⟧ दक्षिण",
            "Answered from 1 sentence",
        )
    ]
    assert places == sorted(places)


def test_reasons_of_each_piped_question(ask: Run) -> None:
    result = ask("--why", input=f"{TROOPS}\nwhat is the password of the camp?\n")
    assert "Answered from 1 sentence" in result.stdout
    assert "Refused: confidence" in result.stdout


def test_answers_are_saved(ask: Run, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    result = ask("--save", str(path), input=f"{TROOPS}\nwhat is the password of the camp?\n")
    assert result.exit_code == 0
    assert "answers.jsonl" in result.stderr
    saved = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [v["refused"] for v in saved] == [False, True]
    one_error(ask("--save", str(path), TROOPS), 2, "exists already", "--overwrite")
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2
    assert ask("--save", str(path), "--overwrite", TROOPS).exit_code == 0
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--json", "--why"], "--why prints more than the answer, and --json tells it all"),
        (["--quiet", "--sources"], "--sources prints more than the answer, and --quiet"),
        (["--json", "--open", "1"], "--open prints more than the answer"),
        (["--overwrite"], "--overwrite is for --save"),
        (["--save", "a.pdf"], "a.pdf says no format"),
        (["--follows", "?!"], "The question is empty"),
        (["--open", "7"], "There is no citation 7. There is 1."),
    ],
)
def test_flags_that_make_no_sense(ask: Run, flags: list[str], said: str) -> None:
    one_error(ask(*flags, TROOPS), 2, said)


@pytest.mark.parametrize("flags", [["--open", "1"], ["--follows", TROOPS]])
def test_flags_of_one_question(ask: Run, flags: list[str]) -> None:
    one_error(ask(*flags, input="who?\nwhen?\n"), 2, f"{flags[0]} goes with one question")


@pytest.mark.parametrize(
    "flags", [["--why"], ["--sources"], ["--open", "1"], ["--save", "a.md"], ["--follows", TROOPS]]
)
def test_flags_that_a_session_has_commands_for(
    ask: Run, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.setattr("rag.cli.ask._is_terminal", lambda: True)
    one_error(ask(*flags), 2, f"{flags[0]} goes with a question")


def test_session_is_interactive(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["how many troops were sent?", ":nonsense", "", ":quit"])
    monkeypatch.setattr("builtins.input", lambda _: next(lines))
    monkeypatch.setattr("rag.cli.ask._is_terminal", lambda: True)
    result = ask()
    assert result.exit_code == 0, result.output
    assert "15,000 [1]" in result.stdout
    assert "There is no command :nonsense" in result.stderr


# The same question again


def test_the_same_question_is_answered_as_before_and_says_so(
    ask: Run, models: dict[str, Any]
) -> None:
    first, again = ask(ASKED), ask(f"  {ASKED} ")
    assert (first.stdout, first.exit_code) == (again.stdout, again.exit_code)
    assert "answered before" not in first.stderr
    assert "(answered before; --fresh answers anew)" in again.stderr
    assert len(models["reader"].reads) == 1
    assert models["embedder"].queries == [ASKED]


ASKED = "how many troops were sent?"


def test_a_fresh_answer_is_one_and_is_remembered_in_turn(ask: Run, models: dict[str, Any]) -> None:
    ask(ASKED)
    fresh = ask("--fresh", ASKED)
    assert "answered before" not in fresh.stderr
    assert len(models["reader"].reads) == 2
    assert "answered before" in ask(ASKED).stderr


def test_a_refusal_is_remembered_too(ask: Run) -> None:
    question = "what is the password of the camp?"
    assert [ask(question).exit_code for _ in range(2)] == [3, 3]
    again = ask(question)
    assert "The documents do not say." in again.stdout
    assert "answered before" in again.stderr


def test_json_of_a_remembered_answer_is_that_of_the_first_but_for_the_time(ask: Run) -> None:
    first, again = (json.loads(ask("--json", ASKED).stdout) for _ in range(2))
    assert (first.pop("remembered"), again.pop("remembered")) == (False, True)
    assert set(again.pop("timings")) == {"total"}
    assert again.pop("tokens") == {}
    for name in ("timings", "tokens"):
        first.pop(name)
    assert first == again


@pytest.mark.parametrize(
    "other",
    [("--strictness", "low"), ("--k", "3"), ("--lang", "hi"), ("--generator", "another")],
)
def test_another_setting_or_model_is_another_question(ask: Run, other: tuple[str, str]) -> None:
    ask(ASKED)
    assert "answered before" not in ask(*other, ASKED).stderr
    assert "answered before" in ask(*other, ASKED).stderr


def test_over_another_index_nothing_is_remembered(
    ask: Run, rag_: Run, small_documents: Path, tmp_path: Path
) -> None:
    """What was said of a document goes with it, from the disk, too."""
    ask(ASKED)
    (small_documents / "सैनिक.txt").unlink()
    rag_("index", str(small_documents))
    assert [*(tmp_path / "store").glob("**/*.answer")] == []
    again = ask(ASKED)
    assert (again.exit_code, "answered before" in again.stderr) == (3, False)


def test_a_changed_prompt_or_program_is_another_one(
    ask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(ASKED)
    monkeypatch.setattr(remembering, "program", lambda: "newer")
    assert "answered before" not in ask(ASKED).stderr


@pytest.mark.parametrize("place", range(0, 3000, 150))
def test_an_answer_that_was_tampered_with_is_given_anew(
    ask: Run, tmp_path: Path, place: int
) -> None:
    first = ask(ASKED)
    (file,) = (tmp_path / "store").glob("*/answers/*")
    data = bytearray(file.read_bytes())
    data[place % len(data)] ^= 1
    file.write_bytes(data)
    again = ask(ASKED)
    assert again.stdout == first.stdout
    assert "answered before" not in again.stderr


def test_an_answer_whose_quote_is_no_slice_is_given_anew(
    ask: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is right, the quote is not."""
    whole = Kept.keep

    def lie(self: Kept, key: dict[str, object], content: bytes) -> None:
        whole(self, key, content.replace(b"15,000", b"16,000"))

    monkeypatch.setattr(Kept, "keep", lie)
    ask(ASKED)
    again = ask(ASKED)
    assert again.stdout.startswith("15,000 [1]")
    assert "answered before" not in again.stderr


def test_answers_are_for_the_user_alone_and_can_be_switched_off(
    ask: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_REMEMBER", "0")
    ask(ASKED)
    assert [*(tmp_path / "store").glob("*/answers")] == []
    monkeypatch.delenv("RAG_REMEMBER")
    ask(ASKED)
    (folder,) = (tmp_path / "store").glob("*/answers")
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())] == [0o700, 0o600]


def test_a_remembered_answer_still_tells_that_its_file_has_changed(
    ask: Run, small_documents: Path
) -> None:
    ask(ASKED)
    with (small_documents / "सैनिक.txt").open("a", encoding="utf-8") as file:
        file.write("x")
    again = ask(ASKED)
    assert "answered before" in again.stderr
    assert "सैनिक.txt has changed since it was indexed" in again.stderr


def test_what_belongs_to_a_remembered_answer_is_there(ask: Run) -> None:
    words = ("--sources", "--open", "1", "--why", ASKED)
    ask(*words)
    again = ask(*words)
    assert "answered before" in again.stderr
    assert "this is the answer it got then" in again.stdout
    assert "ख़ुफ़िया एजेंसी" in again.stdout  # the sentence after it


# Loading ahead


@pytest.mark.parametrize(
    ("question", "loaded"),
    [
        ("who sent troops?", True),  # in another script than most documents
        (ASKED, False),  # a number
        ("did they send troops?", False),  # a sentence tells
        ("रूस में कितने सैनिक भेजे गए?", False),
    ],
)
def test_the_generator_is_loaded_ahead_where_it_is_likely_needed(
    ask: Run,
    question: str,
    loaded: bool,
    small_documents: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("river.txt", "مدرسة.txt"):
        (small_documents / name).unlink()
    begun: list[str] = []
    begin = rag.session._begin

    def watch(work: Callable[[], Any]) -> Any:
        begun.append(work.__name__)
        return begin(work)

    monkeypatch.setattr(rag.session, "_begin", watch)
    ask(question)
    assert ("_make_generator" in begun) is loaded


def test_nothing_is_loaded_for_an_answer_that_is_remembered(
    ask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(rag.session, "_begin", lambda work: begun.append(work.__name__))
    ask(ASKED)
    assert begun == ["_load_embedder"]
    ask(ASKED)
    assert begun == ["_load_embedder"]


def test_loading_begins_before_there_is_anything_to_show_with(
    ask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    expect, display = rag.session.Session.expect, rag.display.Display.__init__

    def expected(*given: Any, **more: Any) -> None:
        order.append("load")
        expect(*given, **more)

    def shown(*given: Any, **more: Any) -> None:
        order.append("show")
        display(*given, **more)

    monkeypatch.setattr(rag.session.Session, "expect", expected)
    monkeypatch.setattr(rag.display.Display, "__init__", shown)
    assert ask(ASKED).exit_code == 0
    assert order == ["load", "show"]


def test_a_generator_that_fails_ahead_is_one_line_where_it_is_needed(
    ask: Run, models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModelCorrupt("x.gguf is no model", "Fetch it again.")

    monkeypatch.setattr(rag.session.LlamaGenerator, "load", refuse)
    # What the reader points at stands in another script, and is no number.
    models["reader"] = FakeReader({"troops": "सैनिक"})
    one_error(ask("who sent troops?"), 1, "x.gguf is no model")
