"""Models: a catalogue of pinned files, how they are fetched, and how a user's own are named.

    catalogue   facts: digest, size, licence, revision, sources
    digests     SHA-256, remembered in stamps
    progress    how a fetch tells what it does
    hub, wheels the two sources with a network
    hub_gguf    a generator named by repository and file, pinned when first fetched
    recommended stronger generators on the hub, by memory
    fetch       one artifact into the cache: lock, room, sources in order, verification
    e5          the 4-bit embedder, dequantised
    e5_gguf     the same embedder, for llama.cpp
    e5_folder   the folder that both are loaded from
    gguf        the head of a GGUF file
    resolve     a name, path or hub name to a `ModelFile`
    bringing    files that the user brought by hand
    inventory   list, pull, verify, path

Importing this package loads no torch, transformers, llama_cpp, faiss or huggingface_hub.
"""

from rag.models.catalogue import Artifact, HubFile, Model, WheelMember, names
from rag.models.e5 import BLOCK, dequantise
from rag.models.e5_folder import ENCODER, WORDS
from rag.models.e5_pieces import BASE, LIST, LONGEST_PIECE, PIECES, PLACES, TRIE
from rag.models.fetch import fetch_artifact, import_artifact
from rag.models.gguf import float_arrays, trained_context
from rag.models.hub_gguf import is_hub_gguf
from rag.models.inventory import (
    ModelStatus,
    Verified,
    identity_here,
    models_status,
    path,
    pull,
    verify,
)
from rag.models.progress import Progress, SilentProgress
from rag.models.recommended import RECOMMENDED, Recommendation, recommended, total_memory
from rag.models.resolve import ModelFile, resolve_embedder, resolve_generator

__all__ = [
    "BASE",
    "BLOCK",
    "ENCODER",
    "LIST",
    "LONGEST_PIECE",
    "PIECES",
    "PLACES",
    "RECOMMENDED",
    "TRIE",
    "WORDS",
    "Artifact",
    "HubFile",
    "Model",
    "ModelFile",
    "ModelStatus",
    "Progress",
    "Recommendation",
    "SilentProgress",
    "Verified",
    "WheelMember",
    "dequantise",
    "fetch_artifact",
    "float_arrays",
    "identity_here",
    "import_artifact",
    "is_hub_gguf",
    "models_status",
    "names",
    "path",
    "pull",
    "recommended",
    "resolve_embedder",
    "resolve_generator",
    "total_memory",
    "trained_context",
    "verify",
]
