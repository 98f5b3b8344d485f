"""The index: what was read, cut and embedded, on disk and searchable.

A store is a folder with one generation folder in use and a pointer file that names it:

    vectorstore/CURRENT              {"generation": "g000002", "manifest": "<sha256>"}
    vectorstore/g000002/chunks.faiss     one unit vector a chunk
    vectorstore/g000002/sentences.faiss  one unit vector a sentence
    vectorstore/g000002/text.sqlite      documents, chunks, sentences, keyword index
    vectorstore/g000002/manifest.json    what it was made with; digest of each file

A new generation is written beside the old one, synced, and then the pointer is swapped,
so a crash at any moment leaves the old generation whole. The package knows no embedder
and no question: it takes vectors and words.
"""

from rag.index.core import Index
from rag.index.database import Entry, Listed, Sentence
from rag.index.store import FORMAT, commit, writing
from rag.index.vectors import Vectors

__all__ = ["FORMAT", "Entry", "Index", "Listed", "Sentence", "Vectors", "commit", "writing"]
