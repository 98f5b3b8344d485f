"""A generator named by where it lies on the hub: OWNER/REPOSITORY:FILE.gguf.

Such a file is in nobody's catalogue, so the hub itself is asked for its digest, size and
revision, once; from then on the record in the cache pins it, and it is fetched, verified
and locked like any other artifact. What the hub says of it later changes nothing.

The records: `.hub/NAME.json` in the cache.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from rag.errors import ModelCorrupt, ModelUnavailable, UsageError
from rag.models.catalogue import Artifact, HubFile
from rag.models.digests import private_folder, write_atomically
from rag.models.fetch import AllFailed, try_fetch
from rag.models.hub import announced
from rag.models.progress import Progress, SourceFailed

RECORDS = ".hub"
LICENCE = "see its page"
_SPEC = re.compile(r"([\w.-]+/[\w.-]+):([\w.+-]+(?:/[\w.+-]+)*\.gguf)", re.ASCII)
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
_BY_HAND = "Or download the file yourself and name it: --generator FILE"


def is_hub_gguf(spec: str) -> bool:
    """Tell whether a model is named by its repository and file on the hub."""
    match = _SPEC.fullmatch(spec)
    return match is not None and not {".", ".."} & set(re.split("[/:]", spec))


def fetch_hub_gguf(spec: str, cache: Path, *, offline: bool, progress: Progress) -> Artifact:
    """Return the artifact of that name, its verified file being in `cache`.

    Raises `UsageError` for a part of a split file, `ModelUnavailable` where the file
    cannot be had and `ModelCorrupt` where other bytes came than the hub announced.
    """
    if _PART.search(spec):
        raise UsageError(
            f"{spec} is one part of several", "Name a model that is one file: rag models list"
        )
    known = recorded(spec, cache)
    if known is None and offline:
        raise ModelUnavailable(
            f"{spec} is not in {cache}, and offline forbids to fetch it",
            f"Fetch it with a network: rag models pull {spec}. {_BY_HAND}",
        )
    artifact = known or _ask(spec)
    try:
        try_fetch(artifact, cache, offline=offline, progress=progress)
    except AllFailed as failed:
        reasons = "; ".join(f"{t.source}: {t.reason}" for t in failed.tried)
        kind = ModelCorrupt if any(t.corrupt for t in failed.tried) else ModelUnavailable
        mend = f"Try again: rag models pull {spec}. {_BY_HAND}"
        raise kind(f"{spec} could not be had from {reasons}", mend) from failed
    if known is None:
        _record(artifact, cache)
    return artifact


def recorded(spec: str, cache: Path) -> Artifact | None:
    """Return what the cache's record says of the model, `None` where it has none."""
    return _read(cache / RECORDS / f"{_filename(spec)}.json")


def all_recorded(cache: Path) -> list[Artifact]:
    """Return every model of the hub that has been fetched into the cache."""
    found = [_read(path) for path in sorted((cache / RECORDS).glob("*.json"))]
    return [artifact for artifact in found if artifact is not None]


def _filename(spec: str) -> str:
    """Return the model's file name in the cache: no two repositories share one."""
    return spec.replace("/", "--").replace(":", "--")


def _ask(spec: str) -> Artifact:
    repo, _, filename = spec.partition(":")
    try:
        found = announced(repo, filename)
    except SourceFailed as error:
        mend = f"Compare the name with its page on the hub. {_BY_HAND}"
        raise ModelUnavailable(f"The hub does not give {spec}: {error}", mend) from error
    return _artifact(found.file, found.sha256, found.size)


def _artifact(file: HubFile, sha256: str, size: int | None) -> Artifact:
    spec = f"{file.repo}:{file.filename}"
    return Artifact(
        name=spec,
        filename=_filename(spec),
        size=size,
        sha256=sha256,
        licence=LICENCE,
        hub=file,
        wheels=(),
        description=f"from the hub, revision {file.revision[:8]}",
    )


def _record(artifact: Artifact, cache: Path) -> None:
    assert artifact.hub is not None
    note = {
        "repo": artifact.hub.repo,
        "file": artifact.hub.filename,
        "revision": artifact.hub.revision,
        "sha256": artifact.sha256,
        "size": artifact.size,
    }
    folder = private_folder(cache / RECORDS)
    write_atomically(folder / f"{artifact.filename}.json", json.dumps(note).encode())


def _read(path: Path) -> Artifact | None:
    try:
        note = json.loads(path.read_bytes())
        file = HubFile(str(note["repo"]), str(note["revision"]), str(note["file"]))
        size = note["size"]
        artifact = _artifact(file, str(note["sha256"]), None if size is None else int(size))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # A record speaks for the model that its name says, or not at all.
    return artifact if is_hub_gguf(artifact.name) and path.stem == artifact.filename else None
