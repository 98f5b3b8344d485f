"""A GGUF file to an engine: threads, weights as they lie, and every failure in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt
from rag.generation.engine import LlamaEngine
from rag.models import ModelFile, trained_context
from rag.processor import physical_cores

SEED = 20250813
# llama.cpp rounds a window up to a multiple of this.
STEP = 256


def load_engine(file: ModelFile, *, context: int, threads: int = 0) -> LlamaEngine:
    """Map a GGUF file; raises `ModelCorrupt` where llama.cpp refuses it.

    The window is `context`, or what the model was trained for where that is less: beyond it
    llama.cpp complains on stderr and the model writes nonsense.
    """
    from jinja2 import TemplateError
    from llama_cpp import Llama

    count = threads or physical_cores()
    window = window_of(context, trained_context(Path(file.path)))
    try:
        with _plain_weights():
            return LlamaEngine(
                Llama(
                    file.path,
                    n_ctx=window,
                    n_threads=count,
                    n_threads_batch=count,
                    seed=SEED,
                    verbose=False,
                )
            )
    except TemplateError as error:  # the library compiles every template of the file
        raise ModelCorrupt(
            f"A chat template of {file.path} cannot be read: {error}",
            "Name another model with --generator (rag models list).",
        ) from error
    except (ValueError, OSError, RuntimeError) as error:
        raise ModelCorrupt(
            f"llama.cpp cannot load {file.path}: {error}",
            "Check it: rag models verify. Fetch it again, or name another with --generator.",
        ) from error


def window_of(context: int, trained: int | None) -> int:
    """Return the window to ask for: it must not be rounded up beyond the trained one."""
    if trained is None or -(-context // STEP) * STEP <= trained:
        return context
    return trained // STEP * STEP or trained


@contextmanager
def _plain_weights() -> Iterator[None]:
    """Load the weights as they lie in the file, not repacked for the processor.

    llama.cpp's AMX kernels crash on Xeons of the Sapphire Rapids family when built with
    common compilers (ggml-org/llama.cpp issue 20824, pull request 26954): every decode
    ends in SIGSEGV at `ldtilecfg`. Without repacking they are never chosen. It costs about
    15% in generation and gains about 40% in reading the prompt, which is the longer part
    here (benchmarks/LOG.md), and the weights stay mapped from the page cache instead of
    being copied. `Llama` has no argument for it, hence the exchanged defaults.
    """
    from llama_cpp import llama_cpp as library

    original = library.llama_model_default_params

    def plain() -> Any:
        parameters = original()
        parameters.use_extra_bufts = False
        return parameters

    library.llama_model_default_params = plain
    try:
        yield
    finally:
        library.llama_model_default_params = original
