"""What `rag models` does with the cache: list, pull, verify, path.

Each function returns its result for the display to show; none prints. This module does
not know how a file is fetched.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ModelCorrupt, ModelError, ModelUnavailable, UsageError
from rag.models import catalogue
from rag.models.bringing import bring
from rag.models.catalogue import Artifact, Kind, Model
from rag.models.digests import Digests
from rag.models.e5_folder import stored_digests
from rag.models.fetch import fetch_artifact
from rag.models.hub_gguf import LICENCE, all_recorded, is_hub_gguf, recorded
from rag.models.progress import Progress, SilentProgress
from rag.models.resolve import (
    ModelFile,
    embedder_here,
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
    """A file of the cache, hashed anew; `detail` says what was found.

    `model` is one that needs it: pulling that brings it back.
    """

    model: str
    artifact: str
    ok: bool
    detail: str


def models_status(settings: Settings) -> list[ModelStatus]:
    """List the catalogue, then what else was pulled from the hub.

    Looks for files but hashes none and opens no network.
    """
    pulled = [_hub_status(artifact, settings) for artifact in all_recorded(settings.models)]
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
    ] + pulled


def pull(
    name: str, settings: Settings, progress: Progress, source: Path | None = None
) -> ModelFile:
    """Fetch and verify a model, or bring one of the catalogue from a file or a folder.

    Raises `UsageError` for a name that the catalogue has not, `ModelUnavailable` and
    `ModelCorrupt`.
    """
    if is_hub_gguf(name):
        return _pull_from_hub(name, settings, progress, source)
    model = catalogue.get(name)
    if source is not None:
        bring(model, source.expanduser(), settings.models)
    _mend(model, settings, progress)
    return _resolve(model, settings, progress)


def verify(name: str | None, settings: Settings) -> list[Verified]:
    """Hash every cached file of a model (`None`: of all) and compare with the catalogue.

    A model that was named and is not in the cache is one failure. Raises `UsageError`
    for an unknown name.
    """
    if name is not None and is_hub_gguf(name):
        missing = Verified(name, name, False, f"not fetched; rag models pull {name}")
        return _verify_hub([recorded(name, settings.models)], settings.models) or [missing]
    models = catalogue.MODELS if name is None else (catalogue.get(name),)
    results: dict[str, Verified] = {}
    for model in models:
        found = _verify_model(model, settings.models)
        if not found and name is not None:
            detail = f"not fetched; rag models pull {model.name}"
            found = [Verified(model.name, model.name, False, detail)]
        results.update((result.artifact, result) for result in found)
    pulled = all_recorded(settings.models) if name is None else []
    return [*results.values(), *_verify_hub(pulled, settings.models)]


def path(name: str, settings: Settings) -> Path:
    """Return where a model of the catalogue or of the hub lies; opens no network.

    Raises `UsageError` for an unknown name and `ModelUnavailable` where it is not in the
    cache, with the command that fetches it.
    """
    model = None if is_hub_gguf(name) else catalogue.get(name)
    try:
        offline = dataclasses.replace(settings, offline=True)
        if model is None:
            return Path(resolve_generator(name, offline, SilentProgress()).path)
        return Path(_resolve(model, offline, SilentProgress()).path)
    except ModelCorrupt:
        raise
    except ModelError as error:
        raise ModelUnavailable(
            f"{name} is not in {settings.models}", f"Fetch it: rag models pull {name}"
        ) from error


def identity_here(settings: Settings) -> str | None:
    """Return the identity of the embedder that the settings name; makes and fetches nothing.

    `None` where it is not here, or damaged.
    """
    model = catalogue.find(settings.embedder)
    if model is not None:
        here = embedder_here(model, settings.models)
        return None if here is None else here.identity
    offline = dataclasses.replace(settings, offline=True)
    try:
        return resolve_embedder(settings.embedder, offline, SilentProgress()).identity
    except ModelError:
        return None


def _hub_status(artifact: Artifact, settings: Settings) -> ModelStatus:
    path = settings.models / artifact.filename
    return ModelStatus(
        name=artifact.name,
        kind="generator",
        licence=LICENCE,
        size=artifact.size or 0,
        path=path if path.exists() else None,
        default=artifact.name == settings.generator,
        description=artifact.description,
        artifacts=(artifact,),
    )


def _pull_from_hub(
    name: str, settings: Settings, progress: Progress, source: Path | None
) -> ModelFile:
    if source is not None:
        raise UsageError(
            "--from brings models of the catalogue", f"Name the file itself: --generator {source}"
        )
    # Whoever pulls may doubt the cache, and a stamp is renewed by hashing.
    _verify_hub([recorded(name, settings.models)], settings.models)
    return resolve_generator(name, settings, progress)


def _verify_hub(artifacts: Sequence[Artifact | None], cache: Path) -> list[Verified]:
    digests = Digests(cache)
    return [
        _compare(a.name, a.name, cache / a.filename, a.sha256, digests)
        for a in artifacts
        if a is not None and (cache / a.filename).exists()
    ]


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


def _verify_model(model: Model, cache: Path) -> list[Verified]:
    digests = Digests(cache)
    results = [
        _compare(model.name, artifact.name, cache / artifact.filename, artifact.sha256, digests)
        for artifact in model.artifacts
        if (cache / artifact.filename).exists()
    ]
    if model.kind == "embedder":
        for route in model.routes:
            results += _verify_folder(model, folder_of(model, route, cache), digests)
    return results


def _verify_folder(model: Model, folder: Path, digests: Digests) -> list[Verified]:
    stored = stored_digests(folder)
    if folder.exists() and not stored:
        detail = "its manifest is missing; it will be built again"
        return [Verified(model.name, folder.name, False, detail)]
    return [
        _compare(model.name, f"{folder.name}/{name}", folder / name, sha256, digests)
        for name, sha256 in stored.items()
    ]


def _compare(model: str, label: str, file: Path, sha256: str, digests: Digests) -> Verified:
    try:
        digest = digests.anew(file)
    except OSError as error:
        return Verified(model, label, False, str(error))
    if digest == sha256:
        return Verified(model, label, True, f"sha256 {sha256}")
    return Verified(model, label, False, f"sha256 {digest}, not {sha256}")
