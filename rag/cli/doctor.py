"""`rag doctor`: whether everything here is sound, and mending what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rag.cli import common
from rag.errors import RagError

if TYPE_CHECKING:
    from rag.doctor import Finding


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without losing anything.")
    ] = False,
    as_json: common.AsJson = False,
    quiet: common.Quiet = False,
    store: common.Store = None,
    embedder: common.EmbedderName = None,
    generator: common.GeneratorName = None,
    offline: common.Offline = None,
) -> None:
    """Check environment, models, index and caches, and say what mends each finding.

    Exit codes: 0 nothing is broken (or everything that was is mended), 1 something is.
    """
    from rag.display import Display

    display = Display(quiet=quiet, as_json=as_json)
    with common.reporting(display):
        settings = common.load_settings(
            store=store, embedder=embedder, generator=generator, offline=offline
        )
        from rag.doctor import examine

        told, broken = [], False
        for finding in examine(settings, common.progress_of(display)):
            outcome = _mend(finding) if fix and finding.fix is not None else None
            broken = broken or (finding.gravity == "broken" and outcome != MENDED)
            told.append(display.finding(finding, outcome))
        if as_json:
            display.json({"version": 1, "sound": not broken, "findings": told})
        raise typer.Exit(1 if broken else 0)


MENDED = "mended"


def _mend(finding: Finding) -> str:
    """Mend a finding; say how it went."""
    assert finding.fix is not None
    try:
        finding.fix()
    except RagError as error:
        return f"cannot be mended: {error}"
    except OSError as error:
        return f"cannot be mended: {error.strerror or error}"
    return MENDED
