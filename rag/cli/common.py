"""What the two commands share: options, and one wrapper that words every failure."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from rag.errors import REINSTALL, RagError

if TYPE_CHECKING:
    from rag.display import Display
    from rag.models import Progress
    from rag.session import Session
    from rag.settings import Settings

# New objects, minus freed ones, before Python looks for garbage among them; see `run`.
FEW_LOOKS = 50_000
REFUSED = 3
INTERRUPTED = 130

Store = Annotated[
    Path | None, typer.Option("--store", help="The index's folder.", show_default=False)
]
EmbedderName = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        help="A name of `rag models list`, a sentence-transformers folder, or a hub name.",
        show_default=False,
    ),
]
GeneratorName = Annotated[
    str | None,
    typer.Option(
        "--generator",
        help="A name of `rag models list`, any GGUF file, or REPO:FILE of the hub.",
        show_default=False,
    ),
]
Offline = Annotated[
    bool | None, typer.Option("--offline", help="Never use the network.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result and no more.")]
TopK = Annotated[
    int | None,
    typer.Option("--k", "-k", min=1, max=1000, help="How many chunks to find.", show_default=False),
]

RerankerName = Annotated[
    str | None,
    typer.Option(
        "--reranker",
        help="A cross-encoder's folder or hub name, to reorder what is found.",
        show_default=False,
    ),
]
Strictness = Annotated[
    str | None,
    typer.Option(
        "--strictness",
        metavar="low|normal|high",
        help="How readily to say that the documents do not tell.",
        show_default=False,
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        "--in", metavar="GLOB", help="Look only in files of such a name.", show_default=False
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--lang", metavar="CODE", help="Only in documents in this language.", show_default=False
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="DATE",
        help="Only in documents of this day (2025-08-13), month or year or later.",
        show_default=False,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="DATE",
        help="… of this day or earlier.",
        show_default=False,
    ),
]


class Reports(Protocol):
    """Tells users of a failure."""

    def error(self, error: RagError) -> None:
        """Print it as one line."""
        ...


class Screen:
    """A `Display` that is made when there is something to show.

    Rich and Markdown take a tenth of a second to import, which a question better spends while
    its models are loaded. It is its own `progress`.
    """

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        self.quiet = quiet
        self.as_json = as_json

    @cached_property
    def display(self) -> Display:
        """The display."""
        from rag.display import Display

        return Display(quiet=self.quiet, as_json=self.as_json)

    def error(self, error: RagError) -> None:
        """Print a failure; see `Display`."""
        self.display.error(error)

    @property
    def progress(self) -> Progress:
        """Where progress is told."""
        return self

    def start(self, name: str, total: int | None) -> None:
        """Begin something; see `Progress`."""
        self.display.progress.start(name, total)

    def advance(self, count: int) -> None:
        """Go on; see `Progress`."""
        self.display.progress.advance(count)

    def note(self, text: str) -> None:
        """Tell something; see `Progress`."""
        self.display.progress.note(text)

    def finish(self) -> None:
        """Come to an end; see `Progress`."""
        self.display.progress.finish()


def progress_of(display: Display | Screen) -> Progress:
    """Return where progress is told: nowhere when quiet."""
    from rag.models import SilentProgress

    return SilentProgress() if display.quiet else display.progress


def load_settings(**flags: object) -> Settings:
    """Build the settings from every layer, the flags on top."""
    from rag.settings import Settings

    return Settings.load(flags)


def search(questions: Sequence[str], session: Session, display: Display) -> int:
    """Show what each question finds; return 0 where anything was found, else 3."""
    from rag.display import search_object

    any_hits = False
    for number, question in enumerate(questions):
        found = session.search(question)
        any_hits = any_hits or bool(found.hits)
        if display.as_json:
            manifest, store = session.index.manifest, str(session.settings.store)
            value = search_object(question, found, manifest, store)
            display.json(value, indent=2 if len(questions) == 1 else None)
            continue
        if len(questions) > 1:
            display.question(question, first=number == 0)
        display.search(found)
    return 0 if any_hits else REFUSED


@contextmanager
def reporting(display: Reports) -> Iterator[None]:
    """Turn a failure into its line and its exit code; no traceback ever reaches a user."""
    try:
        yield
    except RagError as error:
        display.error(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        display.error(RagError("Interrupted", "Nothing is lost; run the command again."))
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # `ask … | head` has seen enough; Python would complain once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        display.error(RagError(f"The system says:{where} {error.strerror or error}"))
        raise typer.Exit(1) from None
    except MemoryError:
        display.error(RagError("The machine has not enough memory for this"))
        raise typer.Exit(1) from None


def run(app: Callable[[], None]) -> None:
    """Run a Typer app; Ctrl-C while modules are still loading is no traceback either.

    What modules make when they are imported stays, so Python looks for garbage among it less
    often: that takes some hundredths of a second of those in which a question waits.
    """
    gc.set_threshold(FEW_LOOKS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app()
    except KeyboardInterrupt:
        sys.stderr.write("Error: Interrupted. Nothing is lost; run the command again.\n")
        sys.exit(INTERRUPTED)
    except ImportError as error:
        reason = " ".join(str(error).split())
        sys.stderr.write(f"Error: The installation is damaged: {reason}. {REINSTALL}\n")
        sys.exit(1)
