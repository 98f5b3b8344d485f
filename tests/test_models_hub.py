"""Generators named by repository and file, over a hub on this machine; the recommended ones.

The stand-in answers as the hub does for a large file: a redirect that carries revision,
size and digest, and the bytes at another address.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rag.cli.rag import app as rag_app
from rag.errors import ModelCorrupt, ModelUnavailable, UsageError
from rag.models import (
    RECOMMENDED,
    SilentProgress,
    hub,
    is_hub_gguf,
    models_status,
    path,
    pull,
    recommended,
    resolve_generator,
    total_memory,
    verify,
)
from rag.settings import Settings

SPEC = "owner/some-GGUF:deep/model-Q4_K_M.gguf"
FILE = "owner--some-GGUF--deep--model-Q4_K_M.gguf"
OLD, NEW = "a" * 40, "b" * 40
_HEAD = struct.pack("<4sIQQ", b"GGUF", 3, 1, 0) + struct.pack("<Q1sIQIQ", 1, b"x", 1, 8, 0, 0)
WEIGHTS = _HEAD + bytes(-len(_HEAD) % 32) + bytes(32)  # one tensor of eight numbers


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    """One repository with one large file; `asked` lists the paths that were asked for."""

    content = WEIGHTS
    digest = sha256(WEIGHTS)
    revision = OLD
    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        if self.path == "/bytes":
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.content)))
        elif self.path.endswith("/deep/model-Q4_K_M.gguf"):
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/bytes")
            self.send_header("X-Repo-Commit", self.revision)
            self.send_header("X-Linked-Etag", f'"{self.digest}"')
            self.send_header("X-Linked-Size", str(len(self.content)))
            self.send_header("Content-Length", "0")
        else:
            self.send_response(404 if self.path != "/" else 200)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        if self.path == "/bytes":
            self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    handler = type("Handler", (Hub,), {"asked": []})
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    hub.unreachable_reason.cache_clear()
    yield handler
    from huggingface_hub import close_session

    close_session()
    listening.shutdown()
    listening.server_close()
    thread.join()
    hub.unreachable_reason.cache_clear()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub.unreachable_reason.cache_clear()
    yield
    hub.unreachable_reason.cache_clear()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=tmp_path / "store", documents=None, models=tmp_path / "cache")


@pytest.fixture
def resolve(settings: Settings) -> Callable[..., object]:
    return lambda spec=SPEC, **changes: resolve_generator(
        spec, replace(settings, **changes), SilentProgress()
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (SPEC, True),
        ("Qwen/Qwen3-8B-GGUF:Qwen3-8B-Q4_K_M.gguf", True),
        ("owner/name", False),
        ("owner/name:file.bin", False),
        ("owner/name:/file.gguf", False),
        ("owner/name:../file.gguf", False),
        ("../name:file.gguf", False),
        ("a/b/c:file.gguf", False),
        ("folder/file.gguf", False),
        ("C:file.gguf", False),
    ],
)
def test_what_names_a_file_of_the_hub(spec: str, expected: bool) -> None:
    assert is_hub_gguf(spec) is expected


def test_a_file_of_the_hub_is_fetched_verified_and_recorded(
    server: type[Hub], resolve: Callable[..., object], settings: Settings
) -> None:
    model = resolve()
    assert model == resolve()
    file = settings.models / FILE
    assert (model.name, model.path, model.sha256) == (SPEC, str(file), sha256(WEIGHTS))
    assert model.identity == f"model-Q4_K_M.gguf@{sha256(WEIGHTS)[:12]}"
    assert file.read_bytes() == WEIGHTS
    assert json.loads((settings.models / ".hub" / f"{FILE}.json").read_bytes()) == {
        "repo": "owner/some-GGUF",
        "file": "deep/model-Q4_K_M.gguf",
        "revision": OLD,
        "sha256": sha256(WEIGHTS),
        "size": len(WEIGHTS),
    }
    # What was announced is what is fetched: at its revision, not at the newest one.
    assert f"/owner/some-GGUF/resolve/{OLD}/deep/model-Q4_K_M.gguf" in server.asked


def test_what_is_recorded_is_used_without_a_network(
    server: type[Hub], resolve: Callable[..., object], settings: Settings
) -> None:
    model = resolve()
    server.revision, server.digest = NEW, "0" * 64
    server.asked.clear()
    assert resolve(offline=True) == resolve() == model
    assert path(SPEC, settings) == Path(settings.models / FILE)
    assert server.asked == []


def test_a_damaged_file_is_fetched_again_at_its_revision(
    server: type[Hub], resolve: Callable[..., object], settings: Settings
) -> None:
    model = resolve()
    (settings.models / FILE).write_bytes(b"GGUF, but damaged")
    with pytest.raises(ModelCorrupt, match="offline forbids"):
        resolve(offline=True)
    server.revision = NEW
    assert resolve() == model
    assert (settings.models / FILE).read_bytes() == WEIGHTS


def test_other_bytes_than_announced_are_refused(
    server: type[Hub], resolve: Callable[..., object], settings: Settings
) -> None:
    server.digest = "1" * 64
    with pytest.raises(ModelCorrupt, match=f"sha256 {sha256(WEIGHTS)}, not {'1' * 64}") as caught:
        resolve()
    assert SPEC in str(caught.value)
    assert not (settings.models / FILE).exists()
    assert models_status(settings)[-1].name != SPEC


def test_a_hub_that_announces_no_digest_is_not_believed(
    server: type[Hub], resolve: Callable[..., object]
) -> None:
    server.digest = "abc"
    with pytest.raises(ModelUnavailable, match="announces no digest"):
        resolve()
    assert "/bytes" not in server.asked


def test_a_file_that_is_no_model_is_refused(
    server: type[Hub], resolve: Callable[..., object]
) -> None:
    server.content = b"<html>sign in</html>"
    server.digest = sha256(server.content)
    with pytest.raises(ModelCorrupt, match="is no GGUF file"):
        resolve()


def test_a_name_that_the_hub_does_not_know_is_one_line(
    server: type[Hub], resolve: Callable[..., object]
) -> None:
    with pytest.raises(ModelUnavailable, match=r"does not give owner/some-GGUF:none\.gg") as caught:
        resolve("owner/some-GGUF:none.gguf")
    message = str(caught.value)
    assert "--generator FILE" in message
    assert "\n" not in message


def test_offline_and_a_dead_hub_say_what_to_do(
    closed: None, resolve: Callable[..., object]
) -> None:
    with pytest.raises(ModelUnavailable, match=f"network: rag models pull {SPEC}"):
        resolve(offline=True)
    with pytest.raises(ModelUnavailable, match="The hub does not give"):
        resolve()


def test_a_part_of_a_split_model_is_refused(closed: None, resolve: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match="one part of several"):
        resolve("owner/name:big-Q8_0-00001-of-00002.gguf")


def test_a_record_that_contradicts_itself_is_no_record(
    server: type[Hub], resolve: Callable[..., object], settings: Settings
) -> None:
    resolve()
    record = settings.models / ".hub" / f"{FILE}.json"
    for damage in (b"{", b"[]", record.read_bytes().replace(b"owner/", b"other/")):
        record.write_bytes(damage)
        with pytest.raises(ModelUnavailable, match="offline forbids"):
            resolve(offline=True)


def test_a_pulled_model_is_listed_verified_and_located(
    server: type[Hub], settings: Settings
) -> None:
    assert [r.ok for r in verify(SPEC, settings)] == [False]
    with pytest.raises(ModelUnavailable, match=f"rag models pull {SPEC}"):
        path(SPEC, settings)
    settings = replace(settings, generator=SPEC)
    pull(SPEC, settings, SilentProgress())
    status = models_status(settings)[-1]
    assert (status.name, status.size, status.default) == (SPEC, len(WEIGHTS), True)
    assert status.path == settings.models / FILE
    assert [(r.artifact, r.ok) for r in verify(None, settings)] == [(SPEC, True)]
    (settings.models / FILE).write_bytes(WEIGHTS[:-1] + b"!")
    assert [r.ok for r in verify(SPEC, settings)] == [False]
    pull(SPEC, settings, SilentProgress())
    assert [r.ok for r in verify(SPEC, settings)] == [True]


def test_from_brings_no_model_of_the_hub(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--generator"):
        pull(SPEC, settings, SilentProgress(), tmp_path / "file.gguf")


def test_a_file_here_of_that_name_comes_first(
    closed: None,
    resolve: Callable[..., object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "name:mine.gguf").write_bytes(WEIGHTS)
    assert resolve("owner/name:mine.gguf").sha256 is None


# The recommended ones


def test_every_recommendation_can_be_used_as_it_is_named() -> None:
    assert len({r.spec for r in RECOMMENDED}) == len(RECOMMENDED)
    for r in RECOMMENDED:
        assert is_hub_gguf(r.spec)
        assert "-of-" not in r.filename
        assert r.licence and r.languages
    assert [r.size for r in RECOMMENDED] == sorted(r.size for r in RECOMMENDED)


@pytest.mark.parametrize(("gigabytes", "count"), [(4, 0), (6, 2), (8, 3), (16, 7), (32, 8)])
def test_a_machine_is_recommended_what_it_can_hold(gigabytes: int, count: int) -> None:
    assert recommended(gigabytes * 10**9) == list(RECOMMENDED[:count])


def test_an_unknown_memory_hides_nothing() -> None:
    assert recommended(None) == list(RECOMMENDED)


def test_this_machine_tells_its_memory() -> None:
    memory = total_memory()
    assert memory is not None
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal:"))
    assert memory == kilobytes * 1024


def list_models(tmp_path: Path, *arguments: str, columns: str = "80") -> str:
    env = {"RAG_MODELS": str(tmp_path / "models"), "COLUMNS": columns}
    result = CliRunner().invoke(rag_app, ["models", "list", *arguments], env=env)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_list_says_what_fits_and_what_was_not_measured(tmp_path: Path, columns: str) -> None:
    text = list_models(tmp_path, "--memory", "8", columns=columns)
    shelf = text[text.index("Stronger models") :].splitlines()
    assert "NOT MEASURED HERE" in shelf[0]
    assert shelf[1] == "3 fit 8.0 GB of memory; 5 larger ones need more (--memory GB shows them)"
    assert (
        shelf[2].split() == "Gemma 3 4B 2.5 GB, needs 5.5 GB Gemma terms over 140 languages".split()
    )
    assert shelf[3] == (
        '    ask --generator ggml-org/gemma-3-4b-it-GGUF:gemma-3-4b-it-Q4_K_M.gguf "…"'
    )
    assert len([line for line in shelf if "ask --generator" in line]) == 3
    assert all(len(line) <= 80 for line in shelf if "ask --generator" not in line)


def test_the_json_list_has_all_and_says_which_fit(tmp_path: Path) -> None:
    value = json.loads(list_models(tmp_path, "--json", "--memory", "6"))
    assert value["memory_bytes"] == 6_000_000_000
    assert [r["fits"] for r in value["recommended"]] == [True] * 2 + [False] * 6
    assert not any(r["measured"] for r in value["recommended"])
    first = value["recommended"][0]
    assert first["generator"] == f"{first['repository']}:{first['file']}"
    assert first["needs_bytes"] == 2_489_757_856 + 3_000_000_000


def test_a_memory_that_is_none_is_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(rag_app, ["models", "list", "--memory", "-1"])
    assert result.exit_code == 2
