"""Stronger multilingual generators on the hub, for machines that have the memory.

None of them was run or measured here, since no hub could be reached: each is listed because
its publisher names Hindi, or a hundred languages, among what it was trained for. Repository
and file are exact: the comment above each says where the name was seen. The bytes are those
of the file at that time; what is fetched is verified by what the hub announces then.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

# Beside the weights: the window (0.6 GB at 4,096 tokens for Qwen3 8B, twice that for Gemma 3
# 12B), the embedder with its libraries (about 1 GB), and the system.
BESIDES = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A GGUF file on the hub; `size` is in bytes, `languages` what its publisher says."""

    name: str
    repo: str
    filename: str
    size: int
    licence: str
    languages: str

    @property
    def spec(self) -> str:
        """What `--generator` and `rag models pull` take."""
        return f"{self.repo}:{self.filename}"

    @property
    def needs(self) -> int:
        """The memory, in bytes, that a machine should have for it."""
        return self.size + BESIDES


RECOMMENDED = (
    # The hub's own listing of the repository (2.49 GB); bytes in a project that pins it.
    Recommendation(
        "Gemma 3 4B",
        "ggml-org/gemma-3-4b-it-GGUF",
        "gemma-3-4b-it-Q4_K_M.gguf",
        2_489_757_856,
        "Gemma terms",
        "over 140 languages",
    ),
    # Addresses and bytes in three projects that are independent of each other.
    Recommendation(
        "Qwen3 4B 2507",
        "unsloth/Qwen3-4B-Instruct-2507-GGUF",
        "Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        2_497_281_120,
        "Apache-2.0",
        "over 100 languages",
    ),
    # The hub's own listing of the repository (4.92 GB); bytes in a project that checks them.
    Recommendation(
        "Llama 3.1 8B",
        "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF",
        "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
        4_920_739_232,
        "Llama 3.1",
        "8 languages, with Hindi",
    ),
    # Addresses, bytes and digest in two projects that are independent of each other.
    Recommendation(
        "Qwen3 8B",
        "Qwen/Qwen3-8B-GGUF",
        "Qwen3-8B-Q4_K_M.gguf",
        5_027_783_488,
        "Apache-2.0",
        "over 100 languages",
    ),
    # The hub's own listing of the repository, which rounds to 5.06 GB.
    Recommendation(
        "Aya Expanse 8B",
        "bartowski/aya-expanse-8b-GGUF",
        "aya-expanse-8b-Q4_K_M.gguf",
        5_060_000_000,
        "CC-BY-NC-4.0",
        "23 languages, with Hindi",
    ),
    # Addresses in three projects; bytes in one, and 6.80 GiB in another, which is the same.
    Recommendation(
        "Gemma 3 12B",
        "ggml-org/gemma-3-12b-it-GGUF",
        "gemma-3-12b-it-Q4_K_M.gguf",
        7_300_574_976,
        "Gemma terms",
        "over 140 languages",
    ),
    # Addresses, bytes and digest in five projects that are independent of each other.
    Recommendation(
        "Qwen3 14B",
        "Qwen/Qwen3-14B-GGUF",
        "Qwen3-14B-Q4_K_M.gguf",
        9_001_752_960,
        "Apache-2.0",
        "over 100 languages",
    ),
    # Addresses and bytes in three projects. Of its weights a tenth is used for a token, so
    # it is as quick as a 3B model.
    Recommendation(
        "Qwen3 30B-A3B 2507",
        "unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF",
        "Qwen3-30B-A3B-Instruct-2507-Q4_K_M.gguf",
        18_556_686_752,
        "Apache-2.0",
        "over 100 languages",
    ),
)


def recommended(memory: int | None) -> list[Recommendation]:
    """Return those that a machine with so many bytes of memory can hold (`None`: all)."""
    return [r for r in RECOMMENDED if memory is None or r.needs <= memory]


def total_memory() -> int | None:
    """Return the bytes of memory of this machine, `None` where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
