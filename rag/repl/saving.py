"""A conversation as a file: Markdown to read, or JSON lines to go on with.

A file that is there is never written over unless that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from rag.conversation import Turn
from rag.datatypes import Answer, Citation
from rag.display import answer_object, one_line, to_json
from rag.errors import UsageError
from rag.passage import numbered
from rag.session import Session
from rag.wording import closest, refusal

MARKDOWN = (".md", ".markdown", ".txt")
JSON = (".json", ".jsonl")
# What Markdown would take for itself.
_SPECIAL = re.compile(r"([\\`*_\[\]<>&#|~])")


def target(name: str, *, overwrite: bool, mend: str) -> Path:
    """Return the file to save to.

    Raises `UsageError` where its suffix says no format, or where it is there already;
    `mend` says how it is written over.
    """
    try:
        path = Path(name).expanduser()
        there = path.exists()
    except (RuntimeError, OSError, ValueError) as error:  # ~ of no user; too long; a NUL
        raise UsageError(f"{name} is no file name", "Write it like this: talk.md") from error
    if path.suffix.lower() not in MARKDOWN + JSON:
        kinds = ", ".join(MARKDOWN + JSON)
        raise UsageError(f"{name} says no format", f"End its name in one of {kinds}.")
    if there and not overwrite:
        raise UsageError(f"{path} exists already", mend)
    return path


def save(path: Path, turns: Sequence[Turn], session: Session, *, overwrite: bool) -> None:
    """Write the answered turns; raises `UsageError` where the file cannot be written."""
    answered = [(turn, turn.answer) for turn in turns if turn.answer is not None]
    if path.suffix.lower() in JSON:
        text = "".join(to_json(turn_object(t, a, session)) + "\n" for t, a in answered)
    else:
        escape = _plain if path.suffix.lower() == ".txt" else _escaped
        text = "\n".join(_markdown(turn, answer, escape) for turn, answer in answered)
    try:
        # "x" leaves a file alone that came to be since it was looked for.
        with path.open("w" if overwrite else "x", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{path} cannot be written: {reason}", "Name another file.") from error


def turn_object(turn: Turn, answer: Answer, session: Session) -> dict[str, object]:
    """Return a turn as JSON has it: the object of an answer, and how it was understood."""
    understood = turn.understood
    return {
        **answer_object(
            answer,
            manifest=session.manifest,
            store=str(session.settings.store),
            generator=session.generator_identity,
            stale=session.stale(answer),
        ),
        "understood": understood.text if understood.follows else None,
        "follows": list(understood.follows),
    }


def _markdown(turn: Turn, answer: Answer, escape: Callable[[str], str]) -> str:
    """Return a question as a heading, the answer, and each source with its sentence."""
    lines = [f"## {escape(answer.question)}", ""]
    if turn.understood.follows:
        lines += [f"(understood with: {escape('; '.join(turn.understood.follows))})", ""]
    if answer.refused:
        lines += [escape(refusal(answer.language)), ""]
        if answer.evidence:
            lines += [escape(closest(answer.language)), ""]
    else:
        lines += [escape(answer.text), ""]
    for citation in numbered(answer):
        lines += _source(citation, escape)
    return "\n".join(lines)


def _source(citation: Citation, escape: Callable[[str], str]) -> list[str]:
    page = f", page {citation.page}" if citation.page is not None else ""
    names = [citation.path, *(quote.chunk.path for quote in citation.also)]
    head = f"{escape(f'[{citation.number}]')} {', '.join(map(escape, names))}{page}"
    return [head, "", f"> “{escape(citation.quote.text)}”", ""]


def _plain(text: str) -> str:
    return one_line(text)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", one_line(text))
