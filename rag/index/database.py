"""Documents, chunks, sentences and the keyword index: the reading side of the text file.

The file is written by `rag.index.rows` and only read afterwards (`immutable=1`: no journal,
no lock file, so a read-only folder is enough).
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from rag.datatypes import Chunk, Document, Filter
from rag.index.rows import rows_by_key
from rag.index.schema import LISTED, corrupt, decoded, listed
from rag.index.vectors import ordered

POSTINGS = 50_000
"""The most entries of the keyword index that a search reads: some 20 ms."""
SAMPLE = 1000
MOST_ROWS = 1 << 31  # SQLite takes no integer beyond 64 bits
_CHUNKS = """
SELECT c.id, c.name, d.digest, d.path, c.start, c."end", c.page, c.text, c.context
FROM chunks c JOIN documents d ON d.id = c.document
WHERE c.id IN (SELECT value FROM json_each(?))
"""
_DOCUMENTS = (
    "SELECT id, source, digest, path, title, text, page_starts, date, language FROM documents"
)


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


class Database:
    """Read access to a file that `Rows` made."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open for reading only; raises `StoreCorrupt`."""
        try:
            uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
            db = sqlite3.connect(uri, uri=True, check_same_thread=False)
            db.execute("SELECT count(*) FROM documents").fetchone()
        except sqlite3.Error as error:
            raise corrupt(path, error) from error
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
            raise corrupt(self.path, error) from error

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
            for row, *values in self._rows(_CHUNKS, (listed(rows),))
        }
        if missing := set(rows) - found.keys():
            raise corrupt(self.path, f"it has no chunk {min(missing)}")
        return [found[row] for row in rows]

    def commonest(self) -> tuple[str, str]:
        """Return the language and the script of most documents, of the first ones of many.

        ('', '') where there is none.
        """
        found = []
        for column, table in (("language", "documents"), ("script", "chunks")):
            rows = self._rows(
                f"SELECT {column} FROM (SELECT {column} FROM {table} LIMIT {SAMPLE}) "  # noqa: S608
                f"GROUP BY {column} ORDER BY count(*) DESC, {column} LIMIT 1"
            )
            found.append(str(rows[0][0]) if rows else "")
        return found[0], found[1]

    def scripts(self, rows: Collection[int]) -> dict[int, str]:
        """Return the script of most letters of each chunk."""
        query = f"SELECT id, script FROM chunks WHERE id IN ({LISTED})"  # noqa: S608
        return {int(str(i)): str(script) for i, script in self._rows(query, (listed(rows),))}

    def chunks_of_sentences(self, rows: Sequence[int]) -> list[int]:
        """Return the chunk of each sentence; raises `StoreCorrupt` where there is none."""
        query = f"SELECT id, chunk FROM sentences WHERE id IN ({LISTED})"  # noqa: S608
        found = {int(str(i)): int(str(c)) for i, c in self._rows(query, (listed(rows),))}
        if missing := set(rows) - found.keys():
            raise corrupt(self.path, f"it has no sentence {min(missing)}")
        return [found[row] for row in rows]

    def chunk_places(self, rows: Collection[int]) -> dict[int, tuple[str, int]]:
        """Return the document and the start of each chunk: an order without a history."""
        return self._places("c.id, d.path, c.start", "chunks c", "c.id", rows)

    def sentence_places(self, rows: Collection[int]) -> dict[int, tuple[str, int]]:
        """Return the document and the start of each sentence; see `chunk_places`."""
        tables = "sentences s JOIN chunks c ON c.id = s.chunk"
        return self._places("s.id, d.path, s.start", tables, "s.id", rows)

    def _places(
        self, columns: str, tables: str, key: str, rows: Collection[int]
    ) -> dict[int, tuple[str, int]]:
        query = (
            f"SELECT {columns} FROM {tables} JOIN documents d ON d.id = c.document "  # noqa: S608
            f"WHERE {key} IN ({LISTED})"
        )
        found: Any = self._rows(query, (listed(rows),))
        return {row: (path, start) for row, path, start in found}

    def sentence_rows(self, chunks: Collection[int]) -> list[int]:
        """Return the row ids of the ranked sentences of these chunks."""
        query = f"SELECT id FROM sentences WHERE chunk IN ({LISTED}) AND NOT boilerplate"  # noqa: S608
        return [int(str(row)) for (row,) in self._rows(query, (listed(chunks),))]

    def sentences(self, chunks: Collection[int]) -> dict[int, list[Sentence]]:
        """Return the sentences of each chunk, in the order of the text."""
        query = (
            'SELECT id, chunk, start, "end", boilerplate, words, sounds FROM sentences '  # noqa: S608
            f"WHERE chunk IN ({LISTED}) ORDER BY chunk, start"
        )
        result: dict[int, list[Sentence]] = {chunk: [] for chunk in chunks}
        # Hundreds of rows a question: the schema fixes the types, nothing is converted.
        rows: Any = self._rows(query, (listed(chunks),))
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
        `within` are the only chunks to look at. Equal scores are ordered by document and
        place, whatever the history of the index.
        """
        terms = self._affordable({"body": query_words, "sounds": sounds})
        if not terms or k <= 0:
            return []
        query = " OR ".join(f'{column} : "{term}"' for column, term in terms)
        wanted = k + 1
        while True:
            found = self._matching(query, min(wanted, MOST_ROWS), within)
            # All that tie with the last one must be known before they can be cut.
            if len(found) < wanted or found[-1][1] < found[k - 1][1]:
                return ordered(found, self.chunk_places)[:k]
            wanted *= 2

    def _affordable(self, asked: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
        """Return pairs `(column, term)`, rarest first, as long as a search stays fast.

        What a search costs is how often its terms stand in the index. Above `POSTINGS` the
        commonest are left out, which tell the least; the rarest is always kept.
        """
        counted = []
        for column, given in asked.items():
            plain = {term.replace('"', "") for term in given} - {""}
            counts = self.frequencies(plain, column)
            counted += [(count, column, term) for term, count in counts.items() if count]
        counted.sort()
        total = 0
        kept: list[tuple[str, str]] = []
        for count, column, term in counted:
            total += count
            if kept and total > POSTINGS:
                break
            kept.append((column, term))
        return kept

    def _matching(
        self, query: str, limit: int, within: Collection[int] | None
    ) -> list[tuple[int, float]]:
        only = "" if within is None else f" AND rowid IN ({LISTED})"
        rows = self._rows(
            "SELECT rowid, -bm25(words) FROM words "  # noqa: S608
            f"WHERE words MATCH ?{only} ORDER BY 2 DESC LIMIT ?",
            (query, *(() if within is None else (listed(within),)), limit),
        )
        return [(int(str(row)), float(str(score))) for row, score in rows]

    def frequencies(self, terms: Collection[str], column: str = "body") -> dict[str, int]:
        """Return for each word (or, in the column `sounds`, each sound) the number of chunks."""
        found = dict.fromkeys(terms, 0)
        query = f"SELECT term, doc FROM vocabulary WHERE term IN ({LISTED}) AND col = ?"  # noqa: S608
        for term, count in self._rows(query, (listed(found), column)):
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
        return (str(rows[0][0]), decoded(rows[0][1])) if rows else ("", "")

    def origins(self) -> list[tuple[str, str, str]]:
        """Return `(name, digest, source)` of each document, by name; reads no text."""
        rows = self._rows("SELECT path, digest, source FROM documents ORDER BY path")
        return [(str(path), str(digest), decoded(source)) for path, digest, source in rows]

    def rows_of(self, table: str, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Return for texts, named by `key_of`, a row of `chunks` or `sentences` with its vector."""
        try:
            return rows_by_key(self._db, table, keys, 0, MOST_ROWS)
        except sqlite3.Error as error:
            raise corrupt(self.path, error) from error

    def dates(self, paths: Collection[str]) -> dict[str, str]:
        """Return the date of each document, '' where it has none; see `Document`."""
        rows = self._rows(
            "SELECT path, date FROM documents WHERE path IN (SELECT value FROM json_each(?))",
            (listed(paths),),
        )
        return {decoded(path): str(date) for path, date in rows}

    def documents(self) -> list[tuple[int, Document, str]]:
        """Return `(row, document, source)` for each document, by name."""
        return [_document(values) for values in self._rows(f"{_DOCUMENTS} ORDER BY path")]

    def each_document(self) -> Iterator[tuple[Document, str]]:
        """Yield each document and its source, by name, one at a time."""
        for path, _, _ in self.origins():
            for values in self._rows(f"{_DOCUMENTS} WHERE path = ?", (path,)):
                yield _document(values)[1:]

    def contradictions(self) -> list[str]:
        """List what SQLite finds wrong inside the file."""
        return [str(line) for (line,) in self._rows("PRAGMA quick_check") if line != "ok"]

    def names(self) -> list[Listed]:
        """Describe each document, by name."""
        rows = self._rows(
            "SELECT path, digest, title, characters, date, language FROM documents ORDER BY path"
        )
        return [
            Listed(str(p), str(d), str(t), int(str(n)), str(day), str(code))
            for p, d, t, n, day, code in rows
        ]

    def chunk_rows_of(self, paths: Collection[str]) -> set[int]:
        """Return the row ids of the chunks of the documents of those names."""
        query = (
            "SELECT c.id FROM chunks c JOIN documents d ON d.id = c.document "  # noqa: S608
            f"WHERE d.path IN ({LISTED})"
        )
        return {int(str(row)) for (row,) in self._rows(query, (listed(paths),))}

    def chunk_rows(self, document: int) -> list[int]:
        """Return the row ids of a document's chunks, in the order of the text."""
        rows = self._rows("SELECT id FROM chunks WHERE document = ? ORDER BY start", (document,))
        return [int(str(row[0])) for row in rows]


def _document(values: Sequence[object]) -> tuple[int, Document, str]:
    """Return row, document and source of a row of `_DOCUMENTS`."""
    row, source, digest, path, title, text, starts, date, language = values
    pages = tuple(json.loads(str(starts)))
    document = Document(
        str(digest), str(path), str(title), str(text), pages, str(date), str(language)
    )
    return int(str(row)), document, decoded(source)


def _passes(name: str, pattern: str) -> bool:
    """Whether a glob fits a name or its last part; some systems write names in NFD."""
    name, pattern = (unicodedata.normalize("NFC", text) for text in (name, pattern))
    return any(
        pattern == part or fnmatchcase(part, pattern) for part in (name, name.rpartition("/")[2])
    )
