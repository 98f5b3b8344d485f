"""Documents to rows: the writing side of the text file.

Works on a file of its own that nobody reads yet, in one transaction without a journal: a
crash leaves a half-written generation, which the next writer removes. Knows no vector; it
says which rows need one, and of which text.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rag.boilerplate import Outline, outline_of
from rag.datatypes import Chunk
from rag.index.entries import Part, Spans, as_seen, kept_by_chunk, key_of, whole_text
from rag.index.schema import SCHEMA
from rag.language import dominant_script, sound, words

CHUNKS, SENTENCES = "chunks", "sentences"
_CACHE_KB = 64_000
# Rows are taken out of a file of so many chunks without rewriting its keyword index.
_REWRITTEN = 20_000
# Free pages beyond this share of the file are given back.
_FREE = 0.25
_DOCUMENTS = (
    "documents(digest, path, source, title, date, language, characters, boilerplate, "
    "page_starts, outline, text)"
)
_CHUNKS = 'chunks(document, name, start, "end", page, text, context, script, key)'
_SENTENCES = 'sentences(chunk, start, "end", boilerplate, words, sounds, key)'
_WORDS = "words(rowid, body, sounds)"
_FORGOTTEN = "words(words, rowid, body, sounds)"


class Pending(NamedTuple):
    """A row that needs a vector: its id, the name of its text, the text."""

    id: int
    key: bytes
    text: str


class Gone(NamedTuple):
    """Rows of the old generation that were removed: of chunks, and of ranked sentences."""

    chunks: list[int]
    sentences: list[int]


class Rows:
    """The text file of a generation that is being made."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._first = {table: self._last(table) for table in (CHUNKS, SENTENCES)}
        self._removed = False

    @classmethod
    def open(cls, path: Path) -> Rows:
        """Open a file for writing; one that does not exist is made. Raises OSError."""
        new = not path.exists()
        with as_os_errors(path), ExitStack() as undo:
            db = sqlite3.connect(path, isolation_level=None)
            undo.callback(db.close)
            for pragma in (
                "journal_mode=OFF",
                "synchronous=OFF",  # the caller syncs the finished file
                "secure_delete=ON",  # what is forgotten leaves no trace
                f"cache_size=-{_CACHE_KB}",
            ):
                db.execute(f"PRAGMA {pragma}")
            if new:
                db.executescript(SCHEMA)
            db.execute("BEGIN")
            rows = cls(db, path)
            undo.pop_all()
        return rows

    # Documents

    def add(self, part: Part, skipped: Collection[int] = ()) -> tuple[list[int], list[int]]:
        """Insert a document; return the ids of its chunks and of its ranked sentences.

        `skipped` are the places of its boilerplate, as far as it is known. Its keywords are
        inserted by `fill_keywords`. Raises OSError.
        """
        text, spans = part.document.text, part.flat
        said = [words(text[start:end]) for start, end in spans]
        heard = [" ".join(filter(None, map(sound, found))) for found in said]
        spoken = iter([(" ".join(w), h) for w, h in zip(said, heard, strict=True)])
        kept = kept_by_chunk(part.sentences, skipped)
        with as_os_errors(self._path):
            outline = outline_of(part.document, spans, said)
            document = self._insert_document(part, outline, skipped)
            ids: tuple[list[int], list[int]] = ([], [])
            for chunk, group, keep in zip(part.chunks, part.sentences, kept, strict=True):
                row = self._insert_chunk(document, chunk, group, keep)
                ids[0].append(row)
                for span, ranked in zip(group, keep, strict=True):
                    key = key_of(as_seen(text[slice(*span)]))
                    values = (row, *span, not ranked, *next(spoken), key)
                    sentence = self._insert(_SENTENCES, values)
                    if ranked:
                        ids[1].append(sentence)
        return ids

    def _insert_document(self, part: Part, outline: Outline, skipped: Collection[int]) -> int:
        d = part.document
        # The source as bytes: the name of a file need not be text.
        values = (
            d.id, d.path, os.fsencode(part.source), d.title, d.date, d.language, len(d.text),
            packed(skipped), json.dumps(d.page_starts), outline.packed(), d.text,
        )  # fmt: skip
        return self._insert(_DOCUMENTS, values)

    def _insert_chunk(self, document: int, c: Chunk, spans: Spans, kept: Sequence[bool]) -> int:
        key = key_of(whole_text(c.text, c.context, c.start, spans, kept))
        script = dominant_script(c.text)
        values = (document, c.id, c.start, c.end, c.page, c.text, c.context, script, key)
        return self._insert(_CHUNKS, values)

    def remove(self, paths: Collection[str]) -> Gone:
        """Delete the documents of those names; return the rows that went. Raises OSError."""
        gone = Gone([], [])
        with as_os_errors(self._path):
            for path in paths:
                rows = self._db.execute("SELECT id FROM documents WHERE path = ?", (path,))
                for (document,) in rows.fetchall():
                    self._forget_chunks(document, gone)
                    self._db.execute("DELETE FROM documents WHERE id = ?", (document,))
                    self._removed = True
        return gone

    def _forget_chunks(self, document: int, gone: Gone) -> None:
        chunks = [
            row
            for (row,) in self._db.execute("SELECT id FROM chunks WHERE document = ?", (document,))
        ]
        for chunk in chunks:
            self._forget_keywords(chunk)
            rows = self._db.execute(
                "SELECT id FROM sentences WHERE chunk = ? AND id <= ? AND NOT boilerplate",
                (chunk, self._first[SENTENCES]),
            )
            gone.sentences.extend(row for (row,) in rows)
            self._db.execute("DELETE FROM sentences WHERE chunk = ?", (chunk,))
        self._db.execute("DELETE FROM chunks WHERE document = ?", (document,))
        gone.chunks.extend(chunk for chunk in chunks if chunk <= self._first[CHUNKS])

    def move(self, sources: Mapping[str, str]) -> None:
        """Write down where documents, by name, lie now. Raises OSError."""
        with as_os_errors(self._path):
            self._db.executemany(
                "UPDATE documents SET source = ? WHERE path = ?",
                [(os.fsencode(source), path) for path, source in sources.items()],
            )

    # Boilerplate

    def outlines(self) -> tuple[list[int], list[Outline], list[bytes]]:
        """Return ids, outlines and present boilerplate of all documents, by name."""
        documents, outlines, before = [], [], []
        with as_os_errors(self._path):
            # One row after the other: all of them at once would be held twice.
            for document, outline, skipped in self._db.execute(
                "SELECT id, outline, boilerplate FROM documents ORDER BY path"
            ):
                documents.append(document)
                outlines.append(Outline.unpacked(outline))
                before.append(skipped)
        return documents, outlines, before

    def mark(self, document: int, skipped: Collection[int]) -> Gone:
        """Let these sentences of a document be its boilerplate.

        Its chunks and sentences get new ids, so that what is embedded of them is looked at
        again; returned are the old ones that may have a vector. Raises OSError.
        """
        gone = Gone([], [])
        with as_os_errors(self._path):
            rows = self._db.execute(
                'SELECT id, document, name, start, "end", page, text, context, script '
                "FROM chunks WHERE document = ? ORDER BY start",
                (document,),
            ).fetchall()
            groups = [self._sentences(chunk) for chunk, *_ in rows]
            self._forget_chunks(document, gone)
            spans = [tuple((s[0], s[1]) for s in group) for group in groups]
            kept = kept_by_chunk(spans, skipped)
            for row, group, part, keep in zip(rows, groups, spans, kept, strict=True):
                _, *values = row
                start, text, context = values[2], values[5], values[6]
                key = key_of(whole_text(text, context, start, part, keep))
                chunk = self._insert(_CHUNKS, (*values, key))
                for (first, last, *others), ranked in zip(group, keep, strict=True):
                    self._insert(_SENTENCES, (chunk, first, last, not ranked, *others))
            self._db.execute(
                "UPDATE documents SET boilerplate = ? WHERE id = ?", (packed(skipped), document)
            )
        return gone

    def _sentences(self, chunk: int) -> list[Any]:
        return self._db.execute(
            'SELECT start, "end", words, sounds, key FROM sentences WHERE chunk = ? ORDER BY start',
            (chunk,),
        ).fetchall()

    # Keywords

    def fill_keywords(self) -> None:
        """Insert the words of the new chunks, without boilerplate. Raises OSError."""
        with as_os_errors(self._path):
            for chunk in self._new_chunks():
                self._insert(_WORDS, (chunk, *self._body(chunk)))

    def _new_chunks(self) -> Iterator[int]:
        last = self._first[CHUNKS]
        while rows := self._db.execute(
            "SELECT id FROM chunks WHERE id > ? ORDER BY id LIMIT 1000", (last,)
        ).fetchall():
            last = rows[-1][0]
            yield from (row for (row,) in rows)

    def _body(self, chunk: int) -> tuple[str, str]:
        rows = self._db.execute(
            "SELECT words, sounds FROM sentences WHERE chunk = ? AND NOT boilerplate "
            "ORDER BY start",
            (chunk,),
        ).fetchall()
        return " ".join(said for said, _ in rows), " ".join(filter(None, (h for _, h in rows)))

    def _forget_keywords(self, chunk: int) -> None:
        """Take a chunk out of the keyword index, which must be told what it was given."""
        if chunk <= self._first[CHUNKS]:
            self._insert(_FORGOTTEN, ("delete", chunk, *self._body(chunk)))

    # What needs a vector

    def pending(self, table: str, size: int) -> Iterator[list[Pending]]:
        """Yield the new rows of `chunks` or `sentences` that are ranked, so many at a time."""
        read = {CHUNKS: self._pending_chunks, SENTENCES: self._pending_sentences}[table]
        last = self._first[table]
        while True:
            with as_os_errors(self._path):
                window = read(last, size)
            if not window:
                return
            last = window[-1].id
            yield window

    def _pending_chunks(self, last: int, size: int) -> list[Pending]:
        rows = self._db.execute(
            "SELECT id, key, text, context, start FROM chunks WHERE id > ? ORDER BY id LIMIT ?",
            (last, size),
        ).fetchall()
        return [Pending(i, key, self._whole(i, *parts)) for i, key, *parts in rows]

    def _whole(self, chunk: int, text: str, context: str, start: int) -> str:
        rows = self._db.execute(
            'SELECT start, "end", boilerplate FROM sentences WHERE chunk = ? ORDER BY start',
            (chunk,),
        ).fetchall()
        spans = tuple((first, last) for first, last, _ in rows)
        return whole_text(text, context, start, spans, [not skipped for *_, skipped in rows])

    def _pending_sentences(self, last: int, size: int) -> list[Pending]:
        rows = self._db.execute(
            'SELECT s.id, s.key, c.text, s.start - c.start, s."end" - c.start '
            "FROM sentences s JOIN chunks c ON c.id = s.chunk "
            "WHERE s.id > ? AND NOT s.boilerplate ORDER BY s.id LIMIT ?",
            (last, size),
        )
        return [Pending(i, key, as_seen(text[a:b])) for i, key, text, a, b in rows]

    def count_pending(self) -> int:
        """Count the rows that `pending` yields."""
        with as_os_errors(self._path):
            return sum(
                int(self._db.execute(query, (self._first[table],)).fetchone()[0])
                for table, query in (
                    (CHUNKS, "SELECT count(*) FROM chunks WHERE id > ?"),
                    (SENTENCES, "SELECT count(*) FROM sentences WHERE id > ? AND NOT boilerplate"),
                )
            )

    def rows_of(self, table: str, keys: Sequence[bytes], last: int) -> dict[bytes, int]:
        """Return for texts a new row that has their vector: one of an id up to `last`."""
        with as_os_errors(self._path):
            return rows_by_key(self._db, table, keys, self._first[table], last)

    # The end

    def count(self) -> tuple[int, int, int]:
        """Count documents, chunks and ranked sentences."""
        with as_os_errors(self._path):
            counts = [
                int(self._db.execute(query).fetchone()[0])
                for query in (
                    "SELECT count(*) FROM documents",
                    "SELECT count(*) FROM chunks",
                    "SELECT count(*) FROM sentences WHERE NOT boilerplate",
                )
            ]
        return counts[0], counts[1], counts[2]

    def finish(self) -> None:
        """Finish the file; raises OSError."""
        with as_os_errors(self._path):
            new = self._last(CHUNKS) - self._first[CHUNKS]
            chunks = self._db.execute("SELECT count(*) FROM chunks").fetchone()[0]
            # One segment is searched faster than many, and holds nothing that was removed.
            if new * 2 > chunks or (self._removed and chunks <= _REWRITTEN):
                self._db.execute("INSERT INTO words(words) VALUES('optimize')")
            self._db.execute("COMMIT")
            free, pages = (
                self._db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("freelist_count", "page_count")
            )
            if free > _FREE * pages:
                self._db.execute("VACUUM")

    def close(self) -> None:
        """Close the file as it is, finished or not."""
        self._db.close()

    def _last(self, table: str) -> int:
        """Return the largest id that was ever used."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        found = row.fetchone()
        return int(found[0]) if found else 0

    def _insert(self, into: str, values: Sequence[object]) -> int:
        marks = ", ".join("?" * len(values))
        row = self._db.execute(f"INSERT INTO {into} VALUES ({marks})", values).lastrowid  # noqa: S608
        assert row is not None
        return row


def packed(places: Collection[int]) -> bytes:
    """Return places, ascending, in four bytes each."""
    return np.array(sorted(places), dtype="<u4").tobytes()


def rows_by_key(
    db: sqlite3.Connection, table: str, keys: Sequence[bytes], first: int, last: int
) -> dict[bytes, int]:
    """Return for texts the first ranked row with an id above `first` and up to `last`.

    One step into the index for each text, however many ranked rows have it.
    """
    found: dict[bytes, int] = {}
    ranked = " AND NOT boilerplate" if table == SENTENCES else ""
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        asked = ", ".join(["(?)"] * len(some))
        row = (
            f"SELECT id FROM {table} INDEXED BY {table}_by_key "  # noqa: S608
            f"WHERE key = wanted AND id > ? AND id <= ?{ranked} ORDER BY id LIMIT 1"
        )
        query = f"WITH asked(wanted) AS (VALUES {asked}) SELECT wanted, ({row}) FROM asked"  # noqa: S608
        rows = db.execute(query, (*some, first, last))
        found.update((key, number) for key, number in rows if number is not None)
    return found


@contextmanager
def as_os_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite fails with into OSError, a full disk told from the rest."""
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
        raise OSError(errno.ENOSPC if full else errno.EIO, f"{path}: {error}") from error
