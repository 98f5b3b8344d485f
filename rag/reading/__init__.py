"""A file, decoded into a `Document`.

The text is exactly what the file holds: nothing is normalised, and only a byte order mark
is dropped, so that a quote is a true slice of the source. A PDF's text is what pypdf
extracts, with a form feed between pages. This module knows neither folders nor the
index, and every failure is a `ReadingError` of one line that names the file.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from rag.datatypes import Document
from rag.errors import ReadingError
from rag.language import text_language, visible
from rag.language.characters import is_ignorable
from rag.reading.dating import date_of, is_dateline
from rag.reading.decoding import decode
from rag.reading.pdf import read_pdf

__all__ = ["PLAIN_SUFFIXES", "SUFFIXES", "decode", "file_id", "printable", "read_document"]

PLAIN_SUFFIXES = frozenset({".txt", ".text", ".md", ".markdown", ".rst", ".log", ".csv"})
SUFFIXES = PLAIN_SUFFIXES | {".pdf"}
"""The suffixes, in lower case, of files that are looked for in folders."""

_TITLE_CHARS = 120
_TITLE_LINES = 4
_BLOCK = 1 << 20
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_ORDINARY = "\u200c\u200d\ufe0e\ufe0f"  # joiners, and the two selectors of emoji
_MARKDOWN_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+([^\s#].*)$", re.MULTILINE)


def read_document(path: Path, name: str, *, max_bytes: int) -> Document:
    """Read the file at `path`, to be cited as `name`.

    Raises `ReadingError` if it is no regular file, larger than `max_bytes`, unreadable,
    binary, or without any text.
    """
    where = printable(name)
    data = _bytes(path, where, max_bytes)
    if path.suffix.lower() == ".pdf":
        meta, text, page_starts = read_pdf(data, where)
    else:
        meta, text, page_starts = "", decode(data, where), ()
    if not visible(text).strip():
        raise ReadingError(f"{where} is empty")
    return Document(
        id=hashlib.sha256(data).hexdigest(),
        path=name,
        title=_sane(meta) or _title(text, path.suffix.lower()),
        text=text,
        page_starts=page_starts,
        date=date_of(name, text),
        language=text_language(text),
    )


def file_id(path: Path | str, name: str, *, max_bytes: int) -> str:
    """Return the `Document.id` that `read_document` would give, without decoding the file.

    Raises `ReadingError` like it, but not for what only decoding finds out.
    """
    return hashlib.sha256(_bytes(path, printable(name), max_bytes)).hexdigest()


def printable(name: str) -> str:
    """Return `name` with control, invisible and undecodable characters escaped."""
    if name.isascii() and name.isprintable():
        return name
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode("ascii") for c in name)


def _is_shown(character: str) -> bool:
    """Whether a character is drawn, or ordinary in names of Hindi, Persian and emoji."""
    if character in _ORDINARY:
        return True
    return character.isprintable() and not is_ignorable(character)


def _bytes(path: Path | str, where: str, max_bytes: int) -> bytes:
    """Read a regular file; never wait for a pipe or a device."""
    try:
        found = os.stat(path)  # noqa: PTH116 (a `Path` is slow to make)
        _check(found, where, max_bytes)
        # Between the two looks the file may have been replaced by a pipe.
        with os.fdopen(os.open(path, _FLAGS), "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            _check(found, where, max_bytes)
            data = _at_most(cast(BinaryIO, file), max_bytes + 1, min(_BLOCK, found.st_size + 1))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ReadingError(f"{where} cannot be read: {reason}") from error
    if len(data) > max_bytes:
        raise _too_big(where, len(data), max_bytes)
    return data


def _at_most(file: BinaryIO, limit: int, block: int) -> bytes:
    """Read in blocks: Python sets aside the whole of what is asked for at once."""
    parts: list[bytes] = []
    left = limit
    while part := file.read(min(block, left)):
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _check(found: os.stat_result, where: str, max_bytes: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ReadingError(f"{where} is not a regular file")
    if found.st_size > max_bytes:
        raise _too_big(where, found.st_size, max_bytes)


def _too_big(where: str, size: int, max_bytes: int) -> ReadingError:
    return ReadingError(
        f"{where} has {size / 1e6:,.1f} MB, more than the limit of {max_bytes / 1e6:,.1f} MB",
        "Raise max_file_mb in rag.toml to read it.",
    )


def _title(text: str, suffix: str) -> str:
    """Return the first heading of Markdown, else the first line that is no mere date."""
    beginning = text[: 1 << 16]
    heading = _MARKDOWN_HEADING.search(beginning) if suffix in {".md", ".markdown"} else None
    if heading:
        return _shortened(heading[1].rstrip().rstrip("#"))
    lines = [line for line in islice(io.StringIO(beginning), 1000) if line.strip()]
    told = (line for line in lines[:_TITLE_LINES] if not is_dateline(line.strip()))
    return _shortened(next(told, lines[0] if lines else ""))


def _sane(meta: str) -> str:
    """Return the title that a PDF gives itself, or nothing if a program made it up."""
    title = _shortened(meta)
    made_up = len(title) <= 3 or title.lower().startswith(("untitled", "microsoft word -"))
    return "" if made_up else title


def _shortened(line: str) -> str:
    """Return a line of at most 120 characters, cut between words, safe to print."""
    plain = " ".join("".join(c if _is_shown(c) else " " for c in visible(line)).split())
    if len(plain) <= _TITLE_CHARS:
        return plain
    cut = plain.rfind(" ", 0, _TITLE_CHARS)
    return plain[: cut if cut > 0 else _TITLE_CHARS - 1] + "…"
