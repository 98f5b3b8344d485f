"""Files of a model that the user brought by hand, found by name or by digest.

This module opens no network and knows no model but the one it is given.
"""

from __future__ import annotations

from pathlib import Path

from rag.errors import ModelCorrupt, ModelUnavailable
from rag.models.catalogue import Artifact, Model
from rag.models.digests import hash_file
from rag.models.fetch import import_artifact


def bring(model: Model, source: Path, cache: Path) -> None:
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
