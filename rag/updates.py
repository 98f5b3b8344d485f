"""Trained updates of low rank (Hu et al. 2021, "LoRA") on a model of llama.cpp.

Who puts them on holds the model and its contexts; this module knows only their handles.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.errors import ModelCorrupt


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
