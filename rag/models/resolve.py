"""From what a user writes as a model to the file or folder that is loaded.

A name of the catalogue is fetched and verified, and so is a GGUF file that is named by its
place on the hub; a path is looked at; an embedder's hub name is passed on for
sentence-transformers to resolve. This module loads no model.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from rag.errors import ModelCorrupt, ModelUnavailable, UsageError
from rag.models import catalogue
from rag.models.catalogue import Artifact, Kind, Model
from rag.models.digests import Digests
from rag.models.e5_folder import assemble, is_whole, rebuild
from rag.models.fetch import AllFailed, Tried, cached, failure, locked, require_room, try_fetch
from rag.models.gguf import GGUF_HEADER, GGUF_MAGIC, GGUF_VERSIONS, validate
from rag.models.hub_gguf import fetch_hub_gguf, is_hub_gguf
from rag.models.progress import Progress
from rag.settings import Settings

END_BYTES = 1 << 20
REBUILT_BYTES = 620_000_000  # the folder's weights, for PyTorch and for llama.cpp
HUB_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
# What makes a folder's vectors: weights, configuration, tokenizer; not its read-me.
TELLING = (".safetensors", ".bin", ".json", ".model", ".txt")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that can be loaded.

    `path` is a file (generator), a folder or a hub name (embedder). `sha256` is that of
    the weights where it is known. `identity` names the model in an index: equal
    identities give equal vectors.
    """

    name: str
    path: str
    sha256: str | None
    identity: str


def resolve_generator(spec: str, settings: Settings, progress: Progress) -> ModelFile:
    """Return the GGUF file for a name of the catalogue, a path or OWNER/REPOSITORY:FILE.

    What is missing is fetched. Raises `UsageError` where `spec` names another kind of
    model, `ModelUnavailable` where the file cannot be had and `ModelCorrupt` where it is
    damaged.
    """
    model = _of_kind(spec, "generator")
    if model is None:
        path = Path(spec).expanduser()
        if is_hub_gguf(spec) and not path.exists():
            return _hub_gguf(spec, settings, progress)
        return _own_gguf(path)
    (weights,) = model.routes[0]
    try:
        path = try_fetch(weights, settings.models, offline=settings.offline, progress=progress)
    except AllFailed as failed:
        raise failure(model.name, [weights], failed.tried, settings.offline) from failed
    return ModelFile(model.name, str(path), weights.sha256, _identity(model.name, weights.sha256))


def resolve_embedder(spec: str, settings: Settings, progress: Progress) -> ModelFile:
    """Return the folder for a name of the catalogue or a path, or a hub name as it is.

    A hub name is loaded, and where need be downloaded, by sentence-transformers itself.
    Raises like `resolve_generator`.
    """
    model = _of_kind(spec, "embedder")
    if model is not None:
        return _catalogue_embedder(model, settings, progress)
    folder = Path(spec).expanduser()
    if folder.exists():
        return _own_folder(folder, Digests(settings.models))
    if not HUB_NAME.fullmatch(spec) or spec.startswith("."):
        raise _unknown(spec, "embedder")
    if settings.offline:
        progress.note(f"{spec}: offline, so the hub's own cache must have it already")
    # Not the revision: it is unknown before the first download, and an identity that
    # changes between two runs would make the index refuse its own embedder.
    return ModelFile(spec, spec, None, spec)


def folder_of(model: Model, route: tuple[Artifact, ...], cache: Path) -> Path:
    """Return where the embedder's folder lies, or would lie, that this route makes."""
    full = route is model.routes[0]
    return cache / (model.name if full else f"{model.name}-q4")


def _of_kind(spec: str, kind: Kind) -> Model | None:
    model = catalogue.find(spec)
    if model is not None and model.kind != kind:
        known = ", ".join(catalogue.names(kind))
        raise UsageError(f"{spec} is no {kind}", f"Known: {known}.")
    return model


def _unknown(spec: str, kind: Kind) -> ModelUnavailable:
    known = ", ".join(catalogue.names(kind))
    other = (
        "a GGUF file, here or on the hub (owner/name:file.gguf)"
        if kind == "generator"
        else "a folder or a hub name (owner/name)"
    )
    return ModelUnavailable(
        f"There is no {kind} {spec!r}", f"Name one of the catalogue ({known}), or {other}."
    )


def _identity(name: str, sha256: str) -> str:
    return f"{name}@{sha256[:12]}"


def _catalogue_embedder(model: Model, settings: Settings, progress: Progress) -> ModelFile:
    cache = settings.models
    if here := embedder_here(model, cache):
        return here
    tried: list[Tried] = []
    # A route whose weights are here already comes first: it must not happen that the
    # vectors change, and the index is refused, because another source answers today.
    for route in sorted(model.routes, key=lambda r: cached(r[0], cache) is None):
        try:
            files = [
                try_fetch(artifact, cache, offline=settings.offline, progress=progress)
                for artifact in route
            ]
        except AllFailed as failed:
            tried += failed.tried
            continue
        _build(model, route, files, cache, progress)
        return _embedder_file(model, route, cache)
    raise failure(model.name, model.routes[0], tried, settings.offline)


def embedder_here(model: Model, cache: Path) -> ModelFile | None:
    """Return the embedder of the catalogue where its folder is whole; makes nothing."""
    digests = Digests(cache)
    for route in model.routes:
        if is_whole(folder_of(model, route, cache), route[0].sha256, digests):
            return _embedder_file(model, route, cache)
    return None


def _build(
    model: Model, route: tuple[Artifact, ...], files: list[Path], cache: Path, progress: Progress
) -> None:
    folder = folder_of(model, route, cache)
    with locked(cache, folder.name, progress):
        if is_whole(folder, route[0].sha256, Digests(cache)):
            return
        weights, tokenizer = files
        if weights.suffix == ".safetensors":
            assemble(weights, tokenizer, folder)
            return
        progress.note(f"{model.name}: rebuilding the weights from the 4-bit file")
        require_room(cache, REBUILT_BYTES)
        rebuild(weights, tokenizer, folder)


def _embedder_file(model: Model, route: tuple[Artifact, ...], cache: Path) -> ModelFile:
    sha256 = route[0].sha256
    path = str(folder_of(model, route, cache))
    return ModelFile(model.name, path, sha256, _identity(model.name, sha256))


def _hub_gguf(spec: str, settings: Settings, progress: Progress) -> ModelFile:
    artifact = fetch_hub_gguf(spec, settings.models, offline=settings.offline, progress=progress)
    path = settings.models / artifact.filename
    # The digest says that it is what the hub announced, not that it is a model.
    _own_gguf(path)
    name = spec.rpartition("/")[2].rpartition(":")[2]
    return ModelFile(spec, str(path), artifact.sha256, _identity(name, artifact.sha256))


def _own_gguf(path: Path) -> ModelFile:
    """Look at the head of a user's GGUF file; raises `ModelUnavailable`, `ModelCorrupt`."""
    if not path.is_file():
        raise _unknown(str(path), "generator")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(END_BYTES)
            file.seek(max(0, size - END_BYTES))
            tail = file.read(END_BYTES)
    except OSError as error:
        raise ModelUnavailable(f"{path} cannot be read: {error}") from error
    if not head.startswith(GGUF_MAGIC):
        raise ModelCorrupt(f"{path} is no GGUF file", "Name a file in the GGUF format.")
    if size <= GGUF_HEADER.size:
        raise ModelCorrupt(f"{path} is truncated: it has {size} bytes", "Download it again.")
    _, version, tensors, _ = GGUF_HEADER.unpack_from(head)
    if version not in GGUF_VERSIONS or tensors == 0:
        raise ModelCorrupt(
            f"{path} is a GGUF file of version {version} with {tensors} tensors",
            f"Versions {GGUF_VERSIONS[0]} and {GGUF_VERSIONS[1]} can be read.",
        )
    try:
        validate(path)
    except (OSError, ValueError) as error:
        raise ModelCorrupt(f"{path} is damaged: {error}", "Download it again.") from error
    # The head holds the metadata and the tail some weights; hashing all would take seconds.
    digest = hashlib.sha256(head + tail + str(size).encode()).hexdigest()
    return ModelFile(path.name, str(path.resolve()), None, _identity(path.name, digest))


def _own_folder(folder: Path, digests: Digests) -> ModelFile:
    """Look at a user's sentence-transformers folder; raises `ModelUnavailable`."""
    if not any((folder / name).is_file() for name in ("modules.json", "config.json")):
        raise ModelUnavailable(
            f"{folder} is no sentence-transformers folder: it has no modules.json",
            "Name a folder that SentenceTransformer.save has written.",
        )
    try:
        telling = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in TELLING)
        if pickled := _pickled(telling):
            raise ModelCorrupt(
                f"{pickled} may be a pickle, which could run code, and is not loaded",
                "Save the model as safetensors: model.save_pretrained(FOLDER).",
            )
        parts = [f"{p.relative_to(folder).as_posix()} {digests.of(p)}\n" for p in telling]
    except OSError as error:
        raise ModelUnavailable(f"{folder} cannot be read: {error}") from error
    digest = hashlib.sha256("".join(parts).encode()).hexdigest()
    return ModelFile(folder.name, str(folder.resolve()), None, _identity(folder.name, digest))


def _pickled(files: list[Path]) -> Path | None:
    """Return weights that PyTorch would unpickle, because no safetensors lie beside them."""
    safe = {p.parent for p in files if p.match("model*.safetensors")}
    weights = (p for p in files if p.match("pytorch_model*.bin") and p.parent not in safe)
    return next(weights, None)
