"""Documents, chunks, sentences and the keyword index, in one SQLite file.

The file is written once, by `write`, and only read afterwards (`immutable=1`: no journal,
no lock file, so a read-only folder is enough). Full text search is SQLite's FTS5 with
Okapi BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework"). FTS5
never sees a document's text: it is fed our own words and their sounds, joined by spaces,
because its tokenizer would cut Devanagari at the combining marks. Boilerplate is kept out
of it, and has no vectors.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from rag.datatypes import Chunk, Document, Filter
from rag.errors import StoreCorrupt
from rag.index.vectors import Vectors
from rag.language import dominant_script, sound, words

MOST_ROWS = 1 << 31  # SQLite takes no integer beyond 64 bits
_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL, path TEXT NOT NULL UNIQUE,
    source BLOB NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, page_starts TEXT NOT NULL,
    date TEXT NOT NULL, language TEXT NOT NULL
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents(id),
    name TEXT NOT NULL UNIQUE, start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER,
    text TEXT NOT NULL, context TEXT NOT NULL, script TEXT NOT NULL
);
CREATE INDEX chunks_by_document ON chunks(document);
CREATE TABLE sentences (
    id INTEGER PRIMARY KEY, chunk INTEGER NOT NULL REFERENCES chunks(id),
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, boilerplate INTEGER NOT NULL,
    words TEXT NOT NULL, sounds TEXT NOT NULL
);
CREATE INDEX sentences_by_chunk ON sentences(chunk);
CREATE VIRTUAL TABLE words USING fts5(
    body, sounds, content='',
    tokenize="unicode61 remove_diacritics 0 categories 'L* M* N*' tokenchars '.'"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'col');
"""
_CHUNKS = """
SELECT c.id, c.name, d.digest, d.path, c.start, c."end", c.page, c.text, c.context
FROM chunks c JOIN documents d ON d.id = c.document
WHERE c.id IN (SELECT value FROM json_each(?))
"""
# A list of any length as one value.
_LISTED = "SELECT value FROM json_each(?)"


class Sentence(NamedTuple):
    """A row of the sentences table; offsets refer to the document's text.

    `boilerplate` says that it is not ranked and has no vector. `words` and `sounds` are
    its folded words and their sounds, each once.
    """

    id: int
    chunk: int
    start: int
    end: int
    boilerplate: bool = False
    words: frozenset[str] = frozenset()
    sounds: frozenset[str] = frozenset()


class Listed(NamedTuple):
    """A document without its text; `characters` is its length, `date` may be empty."""

    path: str
    digest: str
    title: str
    characters: int
    date: str
    language: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A document that is ready to be indexed.

    `source` is the absolute path it was read from; `sentences[i]` are the sentence spans
    of `chunks[i]`, and `boilerplate` the places of those that are not ranked, counted
    through all chunks. `chunk_vectors` has one row a chunk; `sentence_vectors` one row a
    sentence that is ranked, in the order of the chunks.
    """

    document: Document
    source: str
    chunks: tuple[Chunk, ...]
    sentences: tuple[tuple[tuple[int, int], ...], ...]
    chunk_vectors: Vectors
    sentence_vectors: Vectors
    boilerplate: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        spans = sum(len(s) for s in self.sentences)
        if len(self.chunks) != len(self.sentences) or len(self.chunks) != len(self.chunk_vectors):
            raise ValueError(f"{self.document.path}: chunks, sentences and vectors misaligned")
        spans -= len(self.boilerplate)
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
        document = _insert_document(db, entry)
        place = 0
        for chunk, spans in zip(entry.chunks, entry.sentences, strict=True):
            row_id = _insert_chunk(db, document, chunk)
            chunk_ids.append(row_id)
            body: list[str] = []
            for start, end in spans:
                found = words(entry.document.text[start:end])
                ranked = place not in entry.boilerplate
                sentence = _insert_sentence(db, row_id, (start, end), found, ranked)
                if ranked:
                    sentence_ids.append(sentence)
                    body += found
                place += 1
            heard = " ".join(filter(None, map(sound, body)))
            _insert(db, "words(rowid, body, sounds)", (row_id, " ".join(body), heard))
    return chunk_ids, sentence_ids


def _insert_document(db: sqlite3.Connection, entry: Entry) -> int:
    d = entry.document
    # As bytes: the name of a file need not be text.
    source = os.fsencode(entry.source)
    return _insert(
        db,
        "documents(digest, path, source, title, text, page_starts, date, language)",
        (d.id, d.path, source, d.title, d.text, json.dumps(d.page_starts), d.date, d.language),
    )


def _insert_chunk(db: sqlite3.Connection, document: int, c: Chunk) -> int:
    script = dominant_script(c.text)
    return _insert(
        db,
        'chunks(document, name, start, "end", page, text, context, script)',
        (document, c.id, c.start, c.end, c.page, c.text, c.context, script),
    )


def _insert_sentence(
    db: sqlite3.Connection, chunk: int, span: tuple[int, int], found: Sequence[str], ranked: bool
) -> int:
    once = dict.fromkeys(found)
    heard = " ".join(filter(None, dict.fromkeys(map(sound, once))))
    return _insert(
        db,
        'sentences(chunk, start, "end", boilerplate, words, sounds)',
        (chunk, *span, not ranked, " ".join(once), heard),
    )


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

    def _rows(
        self, query: str, values: Sequence[object] | Mapping[str, object] = ()
    ) -> list[tuple[object, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise _corrupt(self._path, error) from error

    def count(self, table: str) -> int:
        """Count the rows of `documents` or `chunks`, or the ranked ones of `sentences`."""
        if table not in {"documents", "chunks", "sentences"}:
            raise ValueError(table)
        ranked = " WHERE NOT boilerplate" if table == "sentences" else ""
        return int(str(self._rows(f"SELECT count(*) FROM {table}{ranked}")[0][0]))  # noqa: S608

    def chunk(self, row: int) -> Chunk:
        """Return one chunk by its row id; raises `StoreCorrupt` where there is none."""
        return self.chunks([row])[0]

    def chunks(self, rows: Sequence[int]) -> list[Chunk]:
        """Return chunks by their row ids; raises `StoreCorrupt` where there is none."""
        # The schema fixes the types.
        found = {
            row: Chunk(*values)  # type: ignore[arg-type]
            for row, *values in self._rows(_CHUNKS, (_listed(rows),))
        }
        if missing := set(rows) - found.keys():
            raise _corrupt(self._path, f"it has no chunk {min(missing)}")
        return [found[row] for row in rows]

    def scripts(self, rows: Collection[int]) -> dict[int, str]:
        """Return the script of most letters of each chunk."""
        query = f"SELECT id, script FROM chunks WHERE id IN ({_LISTED})"  # noqa: S608
        return {int(str(i)): str(script) for i, script in self._rows(query, (_listed(rows),))}

    def chunks_of_sentences(self, rows: Sequence[int]) -> list[int]:
        """Return the chunk of each sentence; raises `StoreCorrupt` where there is none."""
        query = f"SELECT id, chunk FROM sentences WHERE id IN ({_LISTED})"  # noqa: S608
        found = {int(str(i)): int(str(c)) for i, c in self._rows(query, (_listed(rows),))}
        if missing := set(rows) - found.keys():
            raise _corrupt(self._path, f"it has no sentence {min(missing)}")
        return [found[row] for row in rows]

    def sentence_rows(self, chunks: Collection[int]) -> list[int]:
        """Return the row ids of the ranked sentences of these chunks."""
        query = f"SELECT id FROM sentences WHERE chunk IN ({_LISTED}) AND NOT boilerplate"  # noqa: S608
        return [int(str(row)) for (row,) in self._rows(query, (_listed(chunks),))]

    def sentences(self, chunks: Collection[int]) -> dict[int, list[Sentence]]:
        """Return the sentences of each chunk, in the order of the text."""
        query = (
            'SELECT id, chunk, start, "end", boilerplate, words, sounds FROM sentences '  # noqa: S608
            f"WHERE chunk IN ({_LISTED}) ORDER BY chunk, start"
        )
        result: dict[int, list[Sentence]] = {chunk: [] for chunk in chunks}
        # Hundreds of rows a question: the schema fixes the types, nothing is converted.
        rows: Any = self._rows(query, (_listed(chunks),))
        for i, chunk, start, end, skipped, said, heard in rows:
            sets = frozenset(said.split()), frozenset(heard.split())
            result[chunk].append(Sentence(i, chunk, start, end, bool(skipped), *sets))
        return result

    def search(
        self,
        query_words: Collection[str],
        sounds: Collection[str],
        k: int,
        within: Collection[int] | None = None,
    ) -> list[tuple[int, float]]:
        """Return at most `k` pairs `(chunk row, BM25)` with any of these, best first.

        FTS5's `bm25()` is the negated score; it is returned positive, higher is better.
        `within` are the only chunks to look at.
        """
        parts = [
            f"{column} : ({' OR '.join(terms)})"
            for column, given in (("body", query_words), ("sounds", sounds))
            if (terms := [f'"{t}"' for t in sorted({g.replace('"', "") for g in given} - {""})])
        ]
        if not parts or k <= 0:
            return []
        only = "" if within is None else f" AND rowid IN ({_LISTED})"
        values = (" OR ".join(parts), *(() if within is None else (_listed(within),)))
        rows = self._rows(
            "SELECT rowid, -bm25(words) FROM words "  # noqa: S608
            f"WHERE words MATCH ?{only} ORDER BY 2 DESC, 1 LIMIT ?",
            (*values, min(k, MOST_ROWS)),
        )
        return [(int(str(row)), float(str(score))) for row, score in rows]

    def frequencies(self, terms: Collection[str], column: str = "body") -> dict[str, int]:
        """Return for each word (or, in the column `sounds`, each sound) the number of chunks."""
        found = dict.fromkeys(terms, 0)
        query = f"SELECT term, doc FROM vocabulary WHERE term IN ({_LISTED}) AND col = ?"  # noqa: S608
        for term, count in self._rows(query, (_listed(found), column)):
            found[str(term)] = int(str(count))
        return found

    def select(self, wanted: Filter) -> list[str]:
        """Return the names of the documents that pass, in order."""
        rows = self._rows(
            "SELECT path FROM documents WHERE (:language = '' OR language = :language) "
            "AND (:since = '' OR date >= :since) AND (:until = '' "
            "OR (date != '' AND substr(date, 1, length(:until)) <= :until)) ORDER BY path",
            {"language": wanted.language, "since": wanted.since, "until": wanted.until},
        )
        names = [str(name) for (name,) in rows]
        return [name for name in names if not wanted.pattern or _passes(name, wanted.pattern)]

    def text(self, path: str) -> str:
        """Return the whole text of the document of that name; '' where there is none."""
        rows = self._rows("SELECT text FROM documents WHERE path = ?", (path,))
        return str(rows[0][0]) if rows else ""

    def origin(self, path: str) -> tuple[str, str]:
        """Return the digest and the source of the document of that name; ('', '') for none."""
        rows = self._rows("SELECT digest, source FROM documents WHERE path = ?", (path,))
        return (str(rows[0][0]), _path(rows[0][1])) if rows else ("", "")

    def dates(self, paths: Collection[str]) -> dict[str, str]:
        """Return the date of each document, '' where it has none; see `Document`."""
        rows = self._rows(
            "SELECT path, date FROM documents WHERE path IN (SELECT value FROM json_each(?))",
            (_listed(paths),),
        )
        return {_path(path): str(date) for path, date in rows}

    def documents(self) -> list[tuple[int, Document, str]]:
        """Return `(row, document, source)` for each document, by name."""
        rows = self._rows(
            "SELECT id, source, digest, path, title, text, page_starts, date, language "
            "FROM documents ORDER BY path"
        )
        return [
            (
                int(str(row)),
                Document(
                    str(i), str(p), str(t), str(x), tuple(json.loads(str(s))), str(day), str(code)
                ),
                _path(src),
            )
            for row, src, i, p, t, x, s, day, code in rows
        ]

    def names(self) -> list[Listed]:
        """Describe each document, by name."""
        rows = self._rows(
            "SELECT path, digest, title, length(text), date, language FROM documents ORDER BY path"
        )
        return [
            Listed(str(p), str(d), str(t), int(str(n)), str(day), str(code))
            for p, d, t, n, day, code in rows
        ]

    def chunk_rows_of(self, paths: Collection[str]) -> set[int]:
        """Return the row ids of the chunks of the documents of those names."""
        query = (
            "SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document "  # noqa: S608
            f"WHERE d.path IN ({_LISTED})"
        )
        return {int(str(row)) for (row,) in self._rows(query, (_listed(paths),))}

    def chunk_rows(self, document: int) -> list[int]:
        """Return the row ids of a document's chunks, in the order of the text."""
        rows = self._rows("SELECT id FROM chunks WHERE document = ? ORDER BY start", (document,))
        return [int(str(row[0])) for row in rows]


def _passes(name: str, pattern: str) -> bool:
    """Whether a glob fits a name or its last part; some systems write names in NFD."""
    name, pattern = (unicodedata.normalize("NFC", text) for text in (name, pattern))
    return any(
        pattern == part or fnmatchcase(part, pattern) for part in (name, name.rpartition("/")[2])
    )


def _listed(values: Collection[int] | Collection[str]) -> str:
    return json.dumps(list(values))


def _path(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def _corrupt(path: Path, why: object) -> StoreCorrupt:
    return StoreCorrupt(f"The index file {path} is damaged: {why}", "Run: rag index --rebuild")
