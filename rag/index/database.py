"""Documents, chunks, sentences and the keyword index, in one SQLite file.

The file is written once, by `write`, and only read afterwards (`immutable=1`: no journal,
no lock file, so a read-only folder is enough). Full text search is SQLite's FTS5 with
Okapi BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework"). FTS5
never sees a document's text: it is fed our own words, joined by spaces, because its
tokenizer would cut Devanagari at the combining marks.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rag.datatypes import Chunk, Document
from rag.errors import StoreCorrupt
from rag.index.vectors import Vectors
from rag.language import words

MOST_ROWS = 1 << 31  # SQLite takes no integer beyond 64 bits
_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
    source BLOB NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, page_starts TEXT NOT NULL
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents(id),
    name TEXT NOT NULL UNIQUE, start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER,
    text TEXT NOT NULL
);
CREATE INDEX chunks_by_document ON chunks(document);
CREATE TABLE sentences (
    id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL REFERENCES chunks(id),
    start INTEGER NOT NULL, "end" INTEGER NOT NULL
);
CREATE INDEX sentences_by_chunk ON sentences(chunk);
CREATE VIRTUAL TABLE words USING fts5(
    body, content='', tokenize="unicode61 remove_diacritics 0 categories 'L* M* N*' tokenchars '.'"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row');
"""
_CHUNK = """
SELECT c.name, d.digest, d.path, c.start, c."end", c.page, c.text
FROM chunks c JOIN documents d ON d.id = c.document WHERE c.id = ?
"""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A row of the sentences table; offsets refer to the document's text."""

    id: int
    chunk: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A document that is ready to be indexed.

    `source` is the absolute path it was read from; `sentences[i]` are the sentence spans
    of `chunks[i]`. `chunk_vectors` has one row a chunk; `sentence_vectors` one row a
    sentence, in the order of the chunks.
    """

    document: Document
    source: str
    chunks: tuple[Chunk, ...]
    sentences: tuple[tuple[tuple[int, int], ...], ...]
    chunk_vectors: Vectors
    sentence_vectors: Vectors

    def __post_init__(self) -> None:
        spans = sum(len(s) for s in self.sentences)
        if len(self.chunks) != len(self.sentences) or len(self.chunks) != len(self.chunk_vectors):
            raise ValueError(f"{self.document.path}: chunks, sentences and vectors misaligned")
        if spans != len(self.sentence_vectors):
            raise ValueError(f"{self.document.path}: {spans} sentences, other count of vectors")


def write(path: Path, entries: Iterable[Entry]) -> tuple[list[int], list[int]]:
    """Write a new database; return the row ids of the chunks and of the sentences.

    Both lists are in the order of the entries' vectors. Raises OSError.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=OFF")
            db.execute("PRAGMA synchronous=OFF")  # the caller syncs the finished file
            db.executescript(_SCHEMA)
            db.execute("BEGIN")
            ids = _insert_all(db, entries)
            db.execute("COMMIT")
            return ids
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
        raise OSError(errno.ENOSPC if full else errno.EIO, f"{path}: {error}") from error


def _insert_all(db: sqlite3.Connection, entries: Iterable[Entry]) -> tuple[list[int], list[int]]:
    chunk_ids: list[int] = []
    sentence_ids: list[int] = []
    for entry in entries:
        d = entry.document
        # As bytes: the name of a file need not be text.
        source = os.fsencode(entry.source)
        row = (d.id, d.path, source, d.title, d.text, json.dumps(d.page_starts))
        document = _insert(db, "documents(digest, path, source, title, text, page_starts)", row)
        for chunk, spans in zip(entry.chunks, entry.sentences, strict=True):
            row_id = _insert(
                db,
                'chunks(document, name, start, "end", page, text)',
                (document, chunk.id, chunk.start, chunk.end, chunk.page, chunk.text),
            )
            _insert(db, "words(rowid, body)", (row_id, " ".join(words(chunk.text))))
            chunk_ids.append(row_id)
            sentence_ids += [
                _insert(db, 'sentences(chunk, start, "end")', (row_id, s, e)) for s, e in spans
            ]
    return chunk_ids, sentence_ids


def _insert(db: sqlite3.Connection, into: str, values: Sequence[object]) -> int:
    marks = ", ".join("?" * len(values))
    row = db.execute(f"INSERT INTO {into} VALUES ({marks})", values).lastrowid  # noqa: S608
    assert row is not None
    return row


class Database:
    """Read access to a file that `write` made."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open for reading only; raises `StoreCorrupt`."""
        try:
            uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
            db = sqlite3.connect(uri, uri=True, check_same_thread=False)
            db.execute("SELECT count(*) FROM documents").fetchone()
        except sqlite3.Error as error:
            raise _corrupt(path, error) from error
        return cls(db, path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _corrupt(self._path, error) from error

    def count(self, table: str) -> int:
        """Count the rows of `documents`, `chunks` or `sentences`."""
        if table not in {"documents", "chunks", "sentences"}:
            raise ValueError(table)
        return int(str(self._rows(f"SELECT count(*) FROM {table}")[0][0]))  # noqa: S608

    def chunk(self, row: int) -> Chunk:
        """Return one chunk by its row id; raises `StoreCorrupt` where there is none."""
        rows = self._rows(_CHUNK, (row,))
        if not rows:
            raise _corrupt(self._path, f"it has no chunk {row}")
        return Chunk(*rows[0])  # type: ignore[arg-type]  # the schema fixes the types

    def sentence(self, row: int) -> Sentence:
        """Return one sentence by its row id; raises `StoreCorrupt` where there is none."""
        rows = self._rows('SELECT id, chunk, start, "end" FROM sentences WHERE id = ?', (row,))
        if not rows:
            raise _corrupt(self._path, f"it has no sentence {row}")
        return Sentence(*rows[0])  # type: ignore[arg-type]

    def sentences(self, chunk: int) -> list[Sentence]:
        """Return the sentences of a chunk, in the order of the text."""
        query = 'SELECT id, chunk, start, "end" FROM sentences WHERE chunk = ? ORDER BY start'
        return [Sentence(*row) for row in self._rows(query, (chunk,))]  # type: ignore[arg-type]

    def search(self, query_words: Sequence[str], k: int) -> list[tuple[int, float]]:
        """Return at most `k` pairs `(chunk row, BM25)` with any of the words, best first.

        FTS5's `bm25()` is the negated score; it is returned positive, higher is better.
        """
        terms = sorted({w.replace('"', "") for w in query_words} - {""})
        if not terms or k <= 0:
            return []
        match = " OR ".join(f'"{term}"' for term in terms)
        rows = self._rows(
            "SELECT rowid, -bm25(words) FROM words WHERE words MATCH ? ORDER BY 2 DESC, 1 LIMIT ?",
            (match, min(k, MOST_ROWS)),
        )
        return [(int(str(row)), float(str(score))) for row, score in rows]

    def frequencies(self, query_words: Collection[str]) -> dict[str, int]:
        """Return for each word the number of chunks that hold it, 0 where none does."""
        found = dict.fromkeys(query_words, 0)
        for word in found:
            for (count,) in self._rows("SELECT doc FROM vocabulary WHERE term = ?", (word,)):
                found[word] = int(str(count))
        return found

    def text(self, path: str) -> str:
        """Return the whole text of the document of that name; '' where there is none."""
        rows = self._rows("SELECT text FROM documents WHERE path = ?", (path,))
        return str(rows[0][0]) if rows else ""

    def origin(self, path: str) -> tuple[str, str]:
        """Return the digest and the source of the document of that name; ('', '') for none."""
        rows = self._rows("SELECT digest, source FROM documents WHERE path = ?", (path,))
        return (str(rows[0][0]), _path(rows[0][1])) if rows else ("", "")

    def documents(self) -> list[tuple[int, Document, str]]:
        """Return `(row, document, source)` for each document, by name."""
        rows = self._rows(
            "SELECT id, source, digest, path, title, text, page_starts FROM documents ORDER BY path"
        )
        return [
            (
                int(str(row)),
                Document(str(i), str(p), str(t), str(x), tuple(json.loads(str(s)))),
                _path(src),
            )
            for row, src, i, p, t, x, s in rows
        ]

    def names(self) -> list[tuple[str, str, str, int]]:
        """Return `(path, digest, title, characters)` for each document, by name."""
        rows = self._rows("SELECT path, digest, title, length(text) FROM documents ORDER BY path")
        return [(str(p), str(d), str(t), int(str(n))) for p, d, t, n in rows]

    def chunk_rows_of(self, paths: Collection[str]) -> set[int]:
        """Return the row ids of the chunks of the documents of those names."""
        query = "SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document WHERE d.path = ?"
        return {int(str(row)) for path in paths for (row,) in self._rows(query, (path,))}

    def chunk_rows(self, document: int) -> list[int]:
        """Return the row ids of a document's chunks, in the order of the text."""
        rows = self._rows("SELECT id FROM chunks WHERE document = ? ORDER BY start", (document,))
        return [int(str(row[0])) for row in rows]


def _path(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def _corrupt(path: Path, why: object) -> StoreCorrupt:
    return StoreCorrupt(f"The index file {path} is damaged: {why}", "Run: rag index --rebuild")
