"""What this machine's processor can do, as Linux tells it in /proc/cpuinfo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# Some microseconds: as fast as the default while nobody else wants the cores.
SPINS = "2000"
# How x86 (AVX-512, AMX) and ARM name instructions that multiply bfloat16 numbers.
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def physical_cores() -> int:
    """Count the physical cores this process may use; hyper-threads only slow llama.cpp."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    usable = usable or 1
    blocks = [dict(_pairs(block)) for block in _cpuinfo().split("\n\n")]
    cores = {(b.get("physical id"), b.get("core id")) for b in blocks if "core id" in b}
    return max(1, min(usable, len(cores))) if cores else usable


def multiplies_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 numbers itself, faster than float32 ones."""
    told = (value for key, value in _pairs(_cpuinfo()) if key in ("flags", "Features"))
    return any(BFLOAT16 & set(value.split()) for value in told)


def spin_briefly() -> None:
    """Let threads of llama.cpp that wait for each other give up the processor soon.

    GNU's OpenMP lets them spin for milliseconds, which another program that wants the core
    turns into whole time slices: with both cores busy, a token took four times as long
    (benchmarks/LOG.md). Must be called before llama.cpp is imported, and changes nothing that
    the user has set.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def _cpuinfo() -> str:
    try:
        return CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()
