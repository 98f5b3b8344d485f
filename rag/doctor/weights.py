"""The model files against their digests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from rag.doctor.finding import Finding
from rag.models import Progress, models_status, pull, verify
from rag.settings import Settings


def examine_models(settings: Settings, progress: Progress) -> Iterator[Finding]:
    """Hash every model file in the cache, and look for those that the settings name.

    The user's own files are checked when they are loaded.
    """
    for status in models_status(settings):
        if status.default and status.path is None:
            what = f"{status.name} is not in {settings.models}"
            yield Finding("models", "warning", what, f"Run: rag models pull {status.name}")
    results = verify(None, settings)
    wrong = [result for result in results if not result.ok]
    for result in wrong:
        yield Finding(
            "models",
            "broken",
            f"{settings.models / result.artifact}: {result.detail}",
            f"Run: rag models pull {result.model}",
            None if settings.offline else partial(pull, result.model, settings, progress),
        )
    if results and not wrong:
        yield Finding("models", "sound", f"{len(results)} files in {settings.models}, all bytes")
