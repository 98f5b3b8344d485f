"""What /proc/cpuinfo tells, on texts written for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag import processor
from rag.processor import multiplies_bfloat16, physical_cores, spin_briefly


def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def core(package: int, number: int) -> str:
    return f"physical id\t: {package}\ncore id\t: {number}\nflags\t: fpu avx512f\n"


def test_physical_cores_are_among_the_usable() -> None:
    assert 1 <= physical_cores() <= len(os.sched_getaffinity(0))


def test_hyper_threads_are_not_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told(monkeypatch, tmp_path, "\n".join([core(0, 0), core(0, 1), core(0, 0), core(0, 1)]))
    assert physical_cores() == 2


def test_a_machine_that_tells_no_cores_has_the_usable_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told(monkeypatch, tmp_path, "processor\t: 0\nFeatures\t: fp asimd\n")
    assert physical_cores() == 8
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert physical_cores() == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 sse", True),
        ("flags\t\t: fpu amx_bf16", True),
        ("Features\t: fp asimd bf16", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("bugs\t\t: bf16", False),
        ("", False),
    ],
)
def test_bfloat16_is_told_by_its_flag(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, expected: bool
) -> None:
    told(monkeypatch, tmp_path, text)
    assert multiplies_bfloat16() is expected


def test_waiting_threads_give_up_the_core_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    spin_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    spin_briefly()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    spin_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == "2000"
