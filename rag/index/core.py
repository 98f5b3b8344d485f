"""`Index`: a loaded generation, ready to be searched.

Joins vectors, text and manifest. Knows no embedder: `check` compares identities only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from rag.datatypes import Chunk, Manifest, Quote
from rag.errors import StoreCorrupt, StoreMismatch
from rag.index import store as disk
from rag.index.database import Database, Entry, Sentence, write
from rag.index.vectors import VectorIndex, Vectors

CHUNKS, SENTENCES, TEXT = "chunks.faiss", "sentences.faiss", "text.sqlite"


class Index:
    """Chunks, sentences and words of all documents of one store."""

    def __init__(
        self, manifest: Manifest, text: Database, chunks: VectorIndex, sentences: VectorIndex
    ) -> None:
        counts = (text.count("chunks"), text.count("sentences"))
        if counts != (len(chunks), len(sentences)):
            raise StoreCorrupt("Text and vectors of the index do not agree", disk.REBUILD)
        self.manifest = manifest
        self.text = text
        self._chunks = chunks
        self._sentences = sentences

    @classmethod
    def load(cls, store: Path) -> Index:
        """Open the generation in use, every file checked against its digest.

        Raises `StoreMissing`, `StoreCorrupt` or `StoreMismatch`.
        """
        for last in (False, True):
            try:
                folder, manifest = disk.current(store)
                return cls(
                    manifest,
                    Database.open(folder / TEXT),
                    VectorIndex.load(folder / CHUNKS),
                    VectorIndex.load(folder / SENTENCES),
                )
            except StoreCorrupt:
                # A writer may have swapped the generation while we were reading the old one.
                if last:
                    raise
        raise AssertionError("unreachable")

    @staticmethod
    def save(
        store: Path,
        entries: Sequence[Entry],
        *,
        embedder: str,
        dimension: int,
        chunking: str,
        roots: Sequence[str],
    ) -> Manifest:
        """Write a new generation of these entries; the caller holds the write lock."""

        def fill(folder: Path) -> None:
            chunk_ids, sentence_ids = write(folder / TEXT, entries)
            for name, ids, parts in (
                (CHUNKS, chunk_ids, [e.chunk_vectors for e in entries]),
                (SENTENCES, sentence_ids, [e.sentence_vectors for e in entries]),
            ):
                empty = np.zeros((0, dimension), dtype=np.float32)
                VectorIndex.build(np.concatenate([empty, *parts]), ids, dimension).save(
                    folder / name
                )

        def manifest(folder: Path, files: Mapping[str, str]) -> Manifest:
            return Manifest(
                format=disk.FORMAT,
                embedder=embedder,
                dimension=dimension,
                chunking=chunking,
                documents=len(entries),
                chunks=sum(len(e.chunks) for e in entries),
                sentences=sum(len(e.sentence_vectors) for e in entries),
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                roots=tuple(roots),
                files=dict(files),
            )

        return disk.commit(store, manifest, fill)

    def check(self, embedder: str, chunking: str | None = None) -> None:
        """Raise `StoreMismatch` unless the index was made with these."""
        mine, yours = [self.manifest.embedder], [embedder]
        if chunking is not None:
            mine.append(self.manifest.chunking)
            yours.append(chunking)
        if mine != yours:
            raise StoreMismatch(
                f"The index was built with {' and '.join(mine)}, not with {' and '.join(yours)}",
                disk.REBUILD,
            )

    def close(self) -> None:
        """Close the database file."""
        self.text.close()

    def search_chunks(
        self, vector: Vectors, k: int, within: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return at most `k` pairs `(chunk row, cosine)`, best first."""
        return self._chunks.search(vector, k, within)

    def search_sentences(
        self, vector: Vectors, k: int, within: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return the chunks of the `k` best sentences as pairs `(chunk row, cosine)`.

        `within` are the only chunks to look at.
        """
        ids = None if within is None else self.text.sentence_rows(within)
        found = self._sentences.search(vector, k, ids)
        rows = self.text.chunks_of_sentences([row for row, _ in found])
        return [(row, score) for row, (_, score) in zip(rows, found, strict=True)]

    def score(
        self, vector: Vectors, chunks: Sequence[int]
    ) -> dict[int, tuple[float, list[tuple[Sentence, float]]]]:
        """Return for each chunk its cosine and its ranked sentences with theirs, in order."""
        sentences = {
            chunk: [s for s in group if not s.boilerplate]
            for chunk, group in self.text.sentences(chunks).items()
        }
        cosines = self._chunks.vectors(chunks) @ vector
        flat = [s for chunk in chunks for s in sentences[chunk]]
        scores = iter(self._sentences.vectors([s.id for s in flat]) @ vector)
        return {
            chunk: (float(cosine), [(s, float(next(scores))) for s in sentences[chunk]])
            for chunk, cosine in zip(chunks, cosines, strict=True)
        }

    def quote(self, chunk: Chunk, start: int, end: int) -> Quote:
        """Return a verified slice; raises `StoreCorrupt` where it leaves the chunk."""
        if not chunk.start <= start < end <= chunk.end:
            raise StoreCorrupt(f"A sentence of {chunk.path} leaves its chunk", disk.REBUILD)
        return Quote(chunk, start, end, chunk.text[start - chunk.start : end - chunk.start])

    def entries(self) -> list[Entry]:
        """Return everything, so that a new generation can carry it over."""
        result = []
        for row, document, source in self.text.documents():
            rows = self.text.chunk_rows(row)
            groups = self.text.sentences(rows)
            flat = [s for r in rows for s in groups[r]]
            result.append(
                Entry(
                    document,
                    source,
                    tuple(self.text.chunks(rows)),
                    tuple(tuple((s.start, s.end) for s in groups[r]) for r in rows),
                    self._chunks.vectors(rows),
                    self._sentences.vectors([s.id for s in flat if not s.boilerplate]),
                    frozenset(place for place, s in enumerate(flat) if s.boilerplate),
                )
            )
        return result
