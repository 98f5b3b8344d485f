"""What `rag models` does with the cache: list, pull, verify, path.

Each function returns its result for the display to show; none prints. This module does
not know how a file is fetched.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ModelCorrupt, ModelError, ModelUnavailable
from rag.models import catalogue
from rag.models.catalogue import Artifact, Kind, Model
from rag.models.digests import Digests, hash_file
from rag.models.e5_folder import stored_digests
from rag.models.fetch import fetch_artifact, import_artifact
from rag.models.progress import Progress, SilentProgress
from rag.models.resolve import (
    ModelFile,
    folder_of,
    resolve_embedder,
    resolve_generator,
)
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model of the catalogue and where it is.

    `artifacts` have the digests, revisions and sources. `size` is the bytes to fetch, for
    the smallest route whose size is known; `path` is the file or folder, `None` where it
    is not in the cache; `default` says whether the settings name it.
    """

    name: str
    kind: Kind
    licence: str
    size: int
    path: Path | None
    default: bool
    description: str
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """A file of the cache, hashed anew; `detail` says what was found."""

    artifact: str
    ok: bool
    detail: str


def models_status(settings: Settings) -> list[ModelStatus]:
    """List the catalogue; looks for files but hashes none and opens no network."""
    return [
        ModelStatus(
            name=model.name,
            kind=model.kind,
            licence=model.licence,
            size=_bytes_to_fetch(model),
            path=_place(model, settings.models),
            default=model.name in (settings.generator, settings.embedder),
            description=model.description,
            artifacts=model.artifacts,
        )
        for model in catalogue.MODELS
    ]


def pull(
    name: str, settings: Settings, progress: Progress, source: Path | None = None
) -> ModelFile:
    """Fetch and verify a model, or bring it from `source`, a file or a folder.

    Raises `UsageError` for a name that the catalogue has not, `ModelUnavailable` and
    `ModelCorrupt`.
    """
    model = catalogue.get(name)
    if source is not None:
        _bring(model, source.expanduser(), settings.models)
    _mend(model, settings, progress)
    return _resolve(model, settings, progress)


def verify(name: str | None, settings: Settings) -> list[Verified]:
    """Hash every cached file of a model (`None`: of all) and compare with the catalogue.

    A model that was named and is not in the cache is one failure. Raises `UsageError`
    for an unknown name.
    """
    models = catalogue.MODELS if name is None else (catalogue.get(name),)
    results: dict[str, Verified] = {}
    for model in models:
        found = _verify_model(model, settings.models)
        if not found and name is not None:
            detail = f"not fetched; rag models pull {model.name}"
            found = [Verified(model.name, False, detail)]
        results.update((result.artifact, result) for result in found)
    return list(results.values())


def path(name: str, settings: Settings) -> Path:
    """Return where a model of the catalogue lies; opens no network.

    Raises `UsageError` for an unknown name and `ModelUnavailable` where it is not in the
    cache, with the command that fetches it.
    """
    model = catalogue.get(name)
    try:
        offline = dataclasses.replace(settings, offline=True)
        return Path(_resolve(model, offline, SilentProgress()).path)
    except ModelCorrupt:
        raise
    except ModelError as error:
        raise ModelUnavailable(
            f"{name} is not in {settings.models}", f"Fetch it: rag models pull {name}"
        ) from error


def _mend(model: Model, settings: Settings, progress: Progress) -> None:
    """Fetch again what is in the cache and corrupt.

    Whoever pulls may doubt the cache: all is hashed, so that nothing rests on a stamp.
    """
    cache, offline = settings.models, settings.offline
    _verify_model(model, cache)
    for artifact in model.artifacts:
        if (cache / artifact.filename).exists():
            # Another route may do without it; if none does, resolving will say so.
            with contextlib.suppress(ModelError):
                fetch_artifact(artifact, cache=cache, offline=offline, progress=progress)


def _resolve(model: Model, settings: Settings, progress: Progress) -> ModelFile:
    resolve = resolve_generator if model.kind == "generator" else resolve_embedder
    return resolve(model.name, settings, progress)


def _bytes_to_fetch(model: Model) -> int:
    sizes = [[a.size for a in route] for route in model.routes]
    known = [sum(s for s in route if s is not None) for route in sizes if None not in route]
    return min(known)


def _place(model: Model, cache: Path) -> Path | None:
    for route in model.routes:
        files = [cache / a.filename for a in route]
        place = files[0] if model.kind == "generator" else folder_of(model, route, cache)
        if place.exists():
            return place
    return None


def _bring(model: Model, source: Path, cache: Path) -> None:
    """Import what `source` has of the model's files; raises `ModelError`."""
    found = _in_folder(model, source) if source.is_dir() else _by_digest(model, source)
    for artifact, file in found:
        import_artifact(artifact, file, cache)


def _in_folder(model: Model, folder: Path) -> list[tuple[Artifact, Path]]:
    """Find the model's files by name; raises `ModelUnavailable` where there is none."""
    found = []
    for artifact in model.artifacts:
        file = next((folder / n for n in _names(artifact) if (folder / n).is_file()), None)
        if file is not None:
            found.append((artifact, file))
    if not found:
        names = ", ".join(sorted({n for a in model.artifacts for n in _names(a)}))
        raise ModelUnavailable(f"{folder} has no file of {model.name}", f"Looked for: {names}.")
    return found


def _by_digest(model: Model, file: Path) -> list[tuple[Artifact, Path]]:
    """Tell which of the model's files it is; raises `ModelUnavailable`, `ModelCorrupt`."""
    try:
        digest = hash_file(file)
    except OSError as error:
        raise ModelUnavailable(f"{file} cannot be read: {error}", "Name another.") from error
    found = [(artifact, file) for artifact in model.artifacts if artifact.sha256 == digest]
    if not found:
        wanted = " or ".join(f"{a.sha256} ({a.name})" for a in model.artifacts)
        raise ModelCorrupt(
            f"{file} is no file of {model.name}: its sha256 is {digest}",
            f"Wanted is {wanted}. Get it anew.",
        )
    return found


def _names(artifact: Artifact) -> tuple[str, ...]:
    """Return what the file may be called: here, and where it comes from."""
    hub = (artifact.hub.filename,) if artifact.hub else ()
    return (artifact.filename, *hub)


def _verify_model(model: Model, cache: Path) -> list[Verified]:
    digests = Digests(cache)
    results = [
        _compare(artifact.name, cache / artifact.filename, artifact.sha256, digests)
        for artifact in model.artifacts
        if (cache / artifact.filename).exists()
    ]
    if model.kind == "embedder":
        for route in model.routes:
            results += _verify_folder(folder_of(model, route, cache), digests)
    return results


def _verify_folder(folder: Path, digests: Digests) -> list[Verified]:
    stored = stored_digests(folder)
    if folder.exists() and not stored:
        return [Verified(folder.name, False, "its manifest is missing; it will be built again")]
    return [
        _compare(f"{folder.name}/{name}", folder / name, sha256, digests)
        for name, sha256 in stored.items()
    ]


def _compare(label: str, file: Path, sha256: str, digests: Digests) -> Verified:
    try:
        digest = digests.anew(file)
    except OSError as error:
        return Verified(label, False, str(error))
    if digest == sha256:
        return Verified(label, True, f"sha256 {sha256}")
    return Verified(label, False, f"sha256 {digest}, not {sha256}")
