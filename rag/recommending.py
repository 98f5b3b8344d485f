"""The shelf below `rag models list`: stronger models on the hub that this machine can hold.

It prints facts of `rag.models.recommended` and fetches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from rag.models import RECOMMENDED, Recommendation, recommended


def show_recommended(out: Console, memory: int | None) -> None:
    """Print the models that fit `memory`, in bytes, each with the command that uses it."""
    fit = recommended(memory)
    out.print()
    out.print(Text("Stronger models on the hub, NOT MEASURED HERE", "bold"))
    out.print(Text(_heading(fit, memory), "dim"))
    for r in fit:
        facts = f"{_gb(r.size):>7}, needs {_gb(r.needs):>7}  {r.licence:<13} {r.languages}"
        out.print(Text.assemble((f"{r.name:<19}", "cyan"), facts), soft_wrap=True)
        # Never broken: a command is there to be copied.
        out.print(Text(f"    {command(r)}"), soft_wrap=True)


def command(model: Recommendation) -> str:
    """Return what a user types to ask with this model."""
    return f'ask --generator {model.spec} "…"'


def recommended_object(memory: int | None) -> dict[str, Any]:
    """Return the shelf as JSON has it: every model, and whether it fits."""
    fit = recommended(memory)
    return {
        "memory_bytes": memory,
        "recommended": [
            {
                "name": r.name,
                "generator": r.spec,
                "repository": r.repo,
                "file": r.filename,
                "bytes": r.size,
                "needs_bytes": r.needs,
                "fits": r in fit,
                "licence": r.licence,
                "languages": r.languages,
                "measured": False,
                "command": command(r),
            }
            for r in RECOMMENDED
        ],
    }


def _heading(fit: Sequence[Recommendation], memory: int | None) -> str:
    if memory is None:
        return "This machine does not tell its memory; tell it: --memory GB"
    more = f"{len(RECOMMENDED) - len(fit)} larger ones"
    rest = f"; {more} need more (--memory GB shows them)" if len(fit) < len(RECOMMENDED) else ""
    return f"{len(fit)} fit {_gb(memory)} of memory{rest}"


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
