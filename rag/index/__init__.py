"""The index: what was read, cut and embedded, on disk and searchable.

A store is a folder with one generation folder in use and a pointer file that names it:

    vectorstore/CURRENT              {"generation": "g000002", "manifest": "<sha256>"}
    vectorstore/.verified            size, times and inode of each file when it was hashed
    vectorstore/.lock, .holder       who writes holds the lock, and says who it is
    vectorstore/g000002/chunks.faiss     one unit vector a chunk
    vectorstore/g000002/sentences.faiss  one unit vector a sentence
    vectorstore/g000002/text.sqlite      documents, chunks, sentences, keyword index
    vectorstore/g000002/manifest.json    what it was made with; digest of each file
    vectorstore/g000002/answers/         answers that were given over it (`rag.remembering`)

Above 50,000 vectors `chunks.faiss` is an inverted file, and the vectors themselves lie in
`chunks.f32` under the ids of `chunks.ids`; `sentences` likewise.

A new generation is a copy of the old one with rows and vectors removed and added. It is
written beside it, synced, and then the pointer is swapped, so a crash at any moment leaves
the old generation whole. The package knows no embedder and no question: it takes vectors
and words, and names the texts that need a vector.

    entries    what is put in        schema, rows, database   the text file, written and read
    vectors    exact search          stored, quantised, lists search among many vectors
    draft      a generation in the making    previous         the one it is made from
    store      generations and the pointer   verifying        digests     locking     one writer
    core       `Index`
"""

from rag.index.core import Index
from rag.index.database import Database, Listed, Sentence
from rag.index.draft import Draft
from rag.index.entries import Entry, Part, Span, Spans
from rag.index.locking import writing
from rag.index.previous import Previous
from rag.index.store import FORMAT, clear, commit, discard, leftovers, sources_of, sweep
from rag.index.vectors import Vectors

__all__ = [
    "FORMAT",
    "Database",
    "Draft",
    "Entry",
    "Index",
    "Listed",
    "Part",
    "Previous",
    "Sentence",
    "Span",
    "Spans",
    "Vectors",
    "clear",
    "commit",
    "discard",
    "leftovers",
    "sources_of",
    "sweep",
    "writing",
]
