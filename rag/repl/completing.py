"""What Tab offers: commands, and what may stand after them. Knows no terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rag.models import names
from rag.passage import numbered
from rag.reading import printable
from rag.repl.commands import CLEAR, COMMANDS, Talk, find


@dataclass(frozen=True, slots=True)
class Offer:
    """A text in place of the last `length` characters; `tells` is said beside it."""

    text: str
    length: int
    tells: str = ""


def offers(line: str, talk: Talk) -> list[Offer]:
    """Return what may stand where the line ends; nothing for a question.

    Files and folders are not listed here: `paths_wanted` says whether they are wanted.
    """
    name, space, rest = line.partition(" ")
    if not name.startswith(":"):
        return []
    if not space:
        return [
            Offer(c.name + (" " if c.takes else ""), len(name), c.tells)
            for c in COMMANDS
            if c.name.startswith(name)
        ]
    command = find(name)
    if command is None:
        return []
    typed = rest.lstrip()
    wanted = typed.casefold()
    return [
        Offer(text, len(typed), tells)
        for text, tells in _arguments(command.kind, talk)
        if text != typed and wanted in text.casefold()
    ]


def paths_wanted(line: str) -> tuple[str, bool] | None:
    """Return the path that is being typed, and whether only folders fit; `None` for others."""
    name, space, rest = line.partition(" ")
    command = find(name) if space else None
    if command is None or command.kind not in {"folder", "file", "model"}:
        return None
    typed = rest.lstrip()
    if command.kind == "model" and not typed.startswith((".", "/", "~")):
        return None
    if command.kind == "folder":  # there may be several
        typed = typed.rpartition(" ")[2]
    return typed, command.kind == "folder"


def _arguments(kind: str, talk: Talk) -> Iterable[tuple[str, str]]:
    if kind == "name":
        listed = talk.session.text.names()
        # No titles: the menu would cut letters of Hindi in the middle.
        said = ((d.path, f"{d.date} {d.language}".strip()) for d in listed)
        return [*said, (CLEAR, "all files")]
    if kind == "language":
        codes = sorted({d.language for d in talk.session.text.names()})
        return [*((code, "") for code in codes), (CLEAR, "all languages")]
    if kind == "number":
        answer = next((t.answer for t in reversed(talk.turns) if t.answer), None)
        cited = numbered(answer) if answer else []
        return [(str(c.number), printable(c.path)) for c in cited]
    if kind == "model":
        return [(name, "") for name in names("generator")]
    return []
