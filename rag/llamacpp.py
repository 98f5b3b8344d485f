"""What every model in llama.cpp begins with: weights mapped from a file, trained updates on them.

Who loads them holds the handles and frees them; this module knows no context's settings. The
updates are of low rank (Hu et al. 2021, "LoRA").
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt
from rag.processor import spin_briefly


def load_weights(file: Path) -> Any:
    """Map a GGUF file; return its handle, a false one where llama.cpp refuses it.

    The weights stay as they lie in the file and are not repacked for the processor. llama.cpp's
    AMX kernels crash on Xeons of the Sapphire Rapids family when built with common compilers
    (ggml-org/llama.cpp issue 20824, pull request 26954): every decode ends in SIGSEGV at
    `ldtilecfg`; without repacking they are never chosen. It costs about 15% in generation and
    gains about 40% in reading the prompt, which is the longer part here (benchmarks/LOG.md),
    and the weights stay mapped instead of being copied. Call it before anything of llama_cpp
    is imported, for `spin_briefly`.
    """
    spin_briefly()
    from llama_cpp import llama_cpp as library

    logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)
    library.llama_backend_init()
    parameters = library.llama_model_default_params()
    parameters.use_extra_bufts = False
    return library.llama_model_load_from_file(str(file).encode(), parameters)


def load_updates(model: Any, path: Path) -> Any:
    """Load a GGUF file of updates for a model, which frees them with itself.

    Raises `ModelCorrupt` where llama.cpp cannot use them for these weights.
    """
    from llama_cpp import llama_cpp as library

    found = library.llama_adapter_lora_init(model, str(path).encode())
    if not found:
        raise ModelCorrupt(
            f"llama.cpp cannot load the trained updates {path}",
            "Reinstall the package: pip install --force-reinstall rag-ask",
        )
    return found


def put_on(context: Any, updates: Sequence[Any]) -> None:
    """Let a context of llama.cpp add these updates to the weights, and no others.

    Raises `RuntimeError` where it refuses.
    """
    from llama_cpp import llama_cpp as library

    count = len(updates)
    pointers = (library.llama_adapter_lora_p_ctypes * count)(*updates)
    if library.llama_set_adapters_lora(
        context, pointers, count, (ctypes.c_float * count)(*[1.0] * count)
    ):
        raise RuntimeError("llama.cpp cannot use the trained updates")
