"""The tables of the text file, and what its writing and its reading side share.

Full text search is SQLite's FTS5 with Okapi BM25 (Robertson and Zaragoza 2009, "The
Probabilistic Relevance Framework"). FTS5 never sees a document's text: it is fed our own
words and their sounds, joined by spaces, because its tokenizer would cut Devanagari at the
combining marks. Boilerplate is kept out of it, and has no vectors.

A row id is never used twice (`AUTOINCREMENT`): vectors lie under it in other files, where
those of a removed row may stay for a while.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path

from rag.errors import StoreCorrupt

REBUILD = "Run: rag index --rebuild"
SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest TEXT NOT NULL, path TEXT NOT NULL,
    source BLOB NOT NULL, title TEXT NOT NULL, date TEXT NOT NULL, language TEXT NOT NULL,
    characters INTEGER NOT NULL, boilerplate BLOB NOT NULL, page_starts TEXT NOT NULL,
    outline BLOB NOT NULL, text TEXT NOT NULL
);
CREATE UNIQUE INDEX documents_by_path ON documents(path);
CREATE INDEX documents_by_origin ON documents(path, digest, source);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL REFERENCES documents(id),
    name TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER,
    text TEXT NOT NULL, context TEXT NOT NULL, script TEXT NOT NULL, key BLOB NOT NULL
);
CREATE INDEX chunks_by_document ON chunks(document);
CREATE INDEX chunks_by_key ON chunks(key);
CREATE TABLE sentences (
    id INTEGER PRIMARY KEY AUTOINCREMENT, chunk INTEGER NOT NULL REFERENCES chunks(id),
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, boilerplate INTEGER NOT NULL,
    words TEXT NOT NULL, sounds TEXT NOT NULL, key BLOB NOT NULL
);
CREATE INDEX sentences_by_chunk ON sentences(chunk);
CREATE INDEX sentences_by_key ON sentences(key);
CREATE VIRTUAL TABLE words USING fts5(
    body, sounds, content='',
    tokenize="unicode61 remove_diacritics 0 categories 'L* M* N*' tokenchars '.'"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'col');
"""
# A list of any length as one value.
LISTED = "SELECT value FROM json_each(?)"


def listed(values: Collection[int] | Collection[str]) -> str:
    """Return the value for the mark in `LISTED`."""
    return json.dumps(list(values))


def decoded(value: object) -> str:
    """Return a path, which need not be text, from its column."""
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def corrupt(path: Path, why: object) -> StoreCorrupt:
    """Word that the file contradicts itself."""
    return StoreCorrupt(f"The index file {path} is damaged: {why}", "Run: rag index --rebuild")
