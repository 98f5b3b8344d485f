"""What a run tells on its way: bytes that are done, and what could not be read."""

from __future__ import annotations

from rag.models import Progress


class Telling:
    """A progress, and the failures so far, one line each."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.failed: list[str] = []

    def fail(self, line: str, size: int = 0) -> None:
        """Remember, and tell, why a file of so many bytes could not be read."""
        self.failed.append(line)
        self._progress.note(f"Skipped: {line}")
        self.advance(size)

    def advance(self, size: int) -> None:
        """Tell that so many bytes are done."""
        self._progress.advance(size)
