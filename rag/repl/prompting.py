"""The line editor: history across sessions, several lines, completion.

Enter sends; Alt-Enter (or Esc, Enter) breaks the line, and pasted lines stay one
question. The history lies in the user's state folder, readable by the user alone, and
keeps the last `KEPT` questions. Where it cannot be read or written, that is said once and
the session goes on.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import platformdirs
from prompt_toolkit import PromptSession, utils
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output

from rag.reading import printable
from rag.repl.commands import Talk
from rag.repl.completing import offers, paths_wanted
from rag.settings import APP

KEPT = 1000
MENU_LINES = 6
# Where the vowel signs are: Devanagari to Vedic, Saurashtra to Meetei Mayek, Brahmi on.
_SIGNS = (range(0x0900, 0x1D00), range(0xA800, 0xAC00), range(0x11000, 0x12000))


class Prompt:
    """Reads what the user types; raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C."""

    def __init__(
        self,
        talk: Talk,
        history: Path | None = None,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        _widen_vowel_signs()
        self._session: PromptSession[str] = PromptSession(
            history=_history(history or history_file(), talk.display.note),
            completer=LineCompleter(talk),
            key_bindings=_bindings(),
            multiline=True,
            prompt_continuation=lambda width, *_: " " * width,
            reserve_space_for_menu=MENU_LINES,
            input=input,
            output=output,
        )

    def __call__(self, prompt: str) -> str:
        """Return what was typed, lines and all."""
        return self._session.prompt(prompt)


def history_file() -> Path:
    """Return where the history lies."""
    return Path(platformdirs.user_state_dir(APP)) / "history"


class BoundedHistory(FileHistory):
    """A history file of the user's own (mode 0600); a failure to write is told once."""

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        super().__init__(str(path))
        self._note: Callable[[str], None] | None = note
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        entries = list(self.load_history_strings())  # the latest first
        if len(entries) > 2 * KEPT:
            self._shorten(path, entries[:KEPT])

    def _shorten(self, path: Path, latest: list[str]) -> None:
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        os.close(os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600))
        shorter = FileHistory(str(fresh))
        for entry in reversed(latest):
            shorter.store_string(entry)
        fresh.replace(path)

    def store_string(self, string: str) -> None:
        """Append an entry to the file."""
        try:
            # A terminal may give bytes that are no text.
            super().store_string(string.encode("utf-8", "replace").decode("utf-8"))
        except OSError as error:
            if self._note is not None:
                self._note(_unkept(self.filename, error))
                self._note = None


def _history(path: Path, note: Callable[[str], None]) -> History:
    try:
        return BoundedHistory(path, note)
    except OSError as error:
        note(_unkept(path, error))
        return InMemoryHistory()


def _unkept(path: object, error: OSError) -> str:
    return f"Note: what you ask is not kept: {path} cannot be used: {error.strerror or error}"


class LineCompleter(Completer):
    """Completes commands and what stands after them."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterator[Completion]:
        """Yield what may stand at the cursor."""
        line = document.text_before_cursor
        for offer in offers(line, self._talk):
            yield Completion(
                offer.text, -offer.length, display=printable(offer.text), display_meta=offer.tells
            )
        yield from self._paths(line, complete_event)

    def _paths(self, line: str, event: CompleteEvent) -> Iterable[Completion]:
        wanted = paths_wanted(line)
        if wanted is None:
            return ()
        typed, folders = wanted
        paths = PathCompleter(only_directories=folders, expanduser=True)
        return paths.get_completions(Document(typed), event)


def _widen_vowel_signs() -> None:
    """Let vowel signs (category Mc) take a cell, as `rag.display` does.

    So do the C library, and with it most terminals and other editors; `wcwidth`, which
    prompt_toolkit asks, says that they take none. The cursor would be put wrong after Hindi.
    """
    known = getattr(utils, "_CHAR_SIZES_CACHE", None)
    if known is not None:
        for block in _SIGNS:
            known.update({c: 1 for c in map(chr, block) if unicodedata.category(c) == "Mc"})


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings
