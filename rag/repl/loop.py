"""The loop: Ctrl-C stops the answer that is being written and keeps the session.

A failure is one line, and the session goes on. Ctrl-D and `:quit` end it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence

from rag.conversation import Turn
from rag.datatypes import Filter
from rag.display import Display
from rag.errors import RagError
from rag.repl import commands
from rag.session import Session

PROMPT = "? "


class Repl:
    """A loop over one session.

    `read` returns what was typed or raises EOFError; it is an editor with history and
    completion on a terminal, and `input` elsewhere, unless a test scripts it. `turns` are
    what was asked before.
    """

    def __init__(
        self,
        session: Session,
        display: Display,
        read: Callable[[str], str] | None = None,
        turns: Sequence[Turn] = (),
    ) -> None:
        self._talk = commands.Talk(session, display, list(turns))
        self._read = read

    def run(self) -> int:
        """Loop until the user leaves; return the exit code 0."""
        talk = self._talk
        # Loading takes seconds: better now than after the first question was typed.
        documents = talk.session.answerer.index.manifest.documents
        talk.display.note(f"{documents} documents. Ask a question, or :help, or :quit.")
        read = self._read or _reader(talk)
        while not talk.over:
            try:
                line = read(_prompt(talk)).strip()
            except EOFError:
                talk.display.line("")
                break
            except KeyboardInterrupt:
                continue
            if line:
                self._do(line)
        return 0

    def _do(self, line: str) -> None:
        talk = self._talk
        try:
            if line.startswith(":"):
                commands.run(talk, line)
            else:
                commands.answer(talk, line)
        except RagError as error:
            talk.display.error(error)
        except OSError as error:
            where = f" {error.filename}" if error.filename else ""
            talk.display.error(RagError(f"The system says:{where} {error.strerror or error}"))
        except KeyboardInterrupt:
            talk.display.note("Stopped.")
        if not talk.over:
            talk.display.line("")


def _prompt(talk: commands.Talk) -> str:
    """Return the prompt; it shows the filter, which would be forgotten otherwise."""
    wanted = talk.session.wanted
    return PROMPT if wanted == Filter() else f"[{wanted}] {PROMPT}"


def _reader(talk: commands.Talk) -> Callable[[str], str]:
    """Return the editor on a terminal that can do it, else `input`."""
    terminals = sys.stdin.isatty() and sys.stdout.isatty()
    if not terminals or os.environ.get("TERM", "dumb") == "dumb":
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (its import gives `input` editing)
        return input
    from rag.repl.prompting import Prompt

    return Prompt(talk)
