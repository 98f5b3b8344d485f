"""Is everything here sound? Environment, models, index and caches, looked at one by one.

Each check yields findings, and each finding says what is wrong, where, and what mends it;
some can be mended at once, without losing anything. Nothing is trusted here: files are hashed
whatever their stamps say. This package prints nothing, opens no network to examine, and
changes nothing (but the stamps that it renews) unless a finding is told to mend itself.

    finding       what a check says
    environment   Python, packages, native libraries, disk
    weights       model files against their digests
    store         the index, inside and against its documents
    caches        what can be made anew: states, lexicons, answers, indexes of `ask --docs`
"""

from __future__ import annotations

from collections.abc import Iterator

from rag.doctor.environment import examine_environment
from rag.doctor.finding import Finding, Gravity, Part
from rag.errors import RagError
from rag.models import Progress
from rag.settings import Settings

__all__ = ["Finding", "Gravity", "Part", "examine"]


def examine(settings: Settings, progress: Progress) -> Iterator[Finding]:
    """Look at everything; what is sound is a finding, too."""
    yield from _whole("environment", examine_environment(settings))
    try:
        # They need the libraries that may have turned out not to load.
        from rag.doctor.caches import examine_caches
        from rag.doctor.store import examine_index
        from rag.doctor.weights import examine_models

        yield from _whole("models", examine_models(settings, progress))
        yield from _whole("index", examine_index(settings, progress))
        yield from _whole("caches", examine_caches(settings))
    except ImportError as error:
        what = f"The rest could not be examined: {error}"
        yield Finding("environment", "broken", what, "Mend the environment first.")


def _whole(part: Part, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings of a part; what ends it before its time is one, too."""
    try:
        yield from findings
    except RagError as error:
        yield Finding(part, "broken", error.what, error.mend)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        yield Finding(part, "broken", f"{where}{error.strerror or error}")
