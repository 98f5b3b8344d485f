"""A GGUF file to an engine: window, threads, and every failure in one line."""

from __future__ import annotations

from pathlib import Path

from rag.errors import ModelCorrupt
from rag.generation.engine import LlamaEngine
from rag.generation.model import WINDOW_STEP, Model, rounded_up
from rag.kept import Kept
from rag.models import ModelFile, trained_context
from rag.processor import physical_cores


def load_engine(
    file: ModelFile, *, context: int, threads: int = 0, states: Kept | None = None
) -> LlamaEngine:
    """Map a GGUF file; raises `ModelCorrupt` where llama.cpp refuses it.

    The window is `context`, or what the model was trained for where that is less: beyond it
    llama.cpp complains on stderr and the model writes nonsense.
    """
    path = Path(file.path)
    window = window_of(context, trained_context(path))
    try:
        model = Model(path, context=window, threads=threads or physical_cores())
        stat = path.stat()
    except (ValueError, OSError) as error:
        raise ModelCorrupt(
            f"llama.cpp cannot load {path}: {error}",
            "Check it: rag models verify. Fetch it again, or name another with --generator.",
        ) from error
    identity = [file.identity, file.sha256, stat.st_size, stat.st_mtime_ns]
    return LlamaEngine(model, identity, states)


def window_of(context: int, trained: int | None) -> int:
    """Return the window to ask for: it must not be rounded up beyond the trained one."""
    if trained is None or rounded_up(context) <= trained:
        return context
    return trained // WINDOW_STEP * WINDOW_STEP or trained
