"""The span reader's file: what was trained, as a GGUF adapter that llama.cpp puts on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gguf
import numpy as np

from rag.models.e5_gguf import LAYER
from rag.spans import BIAS, WEIGHT

# The trained layers of the encoder, and LoRA's alpha/rank.
LINEAR = tuple(name for name in LAYER if not name.endswith("LayerNorm"))
SCALE = 2.0


def write_reader(path: Path, tensors: Mapping[str, np.ndarray], about: Mapping[str, str]) -> None:
    """Write updates named `encoder.layer.N.PART.down` and `.up`, and a head, in float16.

    The head stands in the metadata. `about` has the keys base, licence and data.
    """
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    downs = [name.removesuffix(".down") for name in tensors if name.endswith(".down")]
    writer.add_float32("adapter.lora.alpha", SCALE * len(tensors[f"{downs[0]}.down"]))
    writer.add_string("general.license", about["licence"])
    writer.add_description(f"updates of {about['base']}, trained on {about['data']}")
    for key, name in ((WEIGHT, "head.weight"), (BIAS, "head.bias")):
        writer.add_array(key, tensors[name].astype(np.float32).reshape(-1).tolist())
    for name in sorted(downs):
        number, part = name.removeprefix("encoder.layer.").split(".", 1)
        ours = f"blk.{number}.{LAYER[part]}.weight"
        writer.add_tensor(f"{ours}.lora_a", tensors[f"{name}.down"].astype(np.float16))
        writer.add_tensor(f"{ours}.lora_b", tensors[f"{name}.up"].astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
