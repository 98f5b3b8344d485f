"""The interactive session: a question in, an answer out, until `:quit`.

Ctrl-C stops the answer that is being written and keeps the session; Ctrl-D ends it. A
failure is one line, and the session goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from rag.display import Display
from rag.errors import RagError
from rag.session import Session

PROMPT = "? "
HELP = """Ask a question in any language, on one line.
  :help   this list
  :info   what is in the index
  :quit   end the session (Ctrl-D does, too); Ctrl-C stops an answer"""


class Repl:
    """A loop over one session.

    `read` returns a line or raises EOFError; it is `input` unless a test scripts it.
    """

    def __init__(
        self, session: Session, display: Display, read: Callable[[str], str] | None = None
    ) -> None:
        self._session = session
        self._display = display
        self._read = read or input

    def run(self) -> int:
        """Loop until the user leaves; return the exit code 0."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 (its import gives `input` editing and a history)
        # Loading takes seconds: better now than after the first question was typed.
        manifest = self._session.answerer.index.manifest
        self._display.note(f"{manifest.documents} documents. Ask a question, or :help, or :quit.")
        while True:
            try:
                line = self._read(PROMPT).strip()
            except EOFError:
                self._display.line("")
                return 0
            except KeyboardInterrupt:
                self._display.line("")
                continue
            if line in {":quit", ":q", ":exit"}:
                return 0
            if line:
                self._do(line)

    def _do(self, line: str) -> None:
        try:
            if line.startswith(":"):
                self._command(line)
            else:
                self._answer(line)
        except RagError as error:
            self._display.error(error)
        except KeyboardInterrupt:
            self._display.note("Stopped.")

    def _command(self, line: str) -> None:
        if line == ":help":
            self._display.line(HELP)
        elif line == ":info":
            manifest = self._session.index.manifest
            self._display.info(
                {
                    "store": str(self._session.settings.store),
                    "documents": manifest.documents,
                    "chunks": manifest.chunks,
                    "embedder": manifest.embedder,
                    "generator": self._session.generator_identity,
                }
            )
        else:
            self._display.note(f"There is no command {line}; :help lists them.")

    def _answer(self, question: str) -> None:
        with self._display.streaming() as show:
            answer = self._session.ask(question, show)
        self._display.answer(answer)
        self._display.stale(self._session.stale(answer))
        self._display.line("")
