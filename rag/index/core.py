"""`Index`: a loaded generation, ready to be searched.

Joins vectors, text and manifest. Knows no embedder: `check` compares identities only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from rag.datatypes import Chunk, Manifest, Quote
from rag.errors import StoreCorrupt
from rag.index import store as disk
from rag.index.database import Database, Sentence
from rag.index.draft import TEXT, Draft, load_vectors
from rag.index.entries import Entry
from rag.index.rows import CHUNKS, SENTENCES
from rag.index.schema import REBUILD
from rag.index.vectors import SearchedVectors, Vectors, cosines
from rag.index.verifying import Trust, Watched


class Index:
    """Chunks, sentences and words of all documents of one store."""

    def __init__(
        self,
        manifest: Manifest,
        text: Database,
        chunks: SearchedVectors,
        sentences: SearchedVectors,
        watched: Watched,
    ) -> None:
        # The sentences are not counted in the text: that would read them all.
        counts = (manifest.documents, manifest.chunks, manifest.sentences)
        if counts != (text.count("documents"), len(chunks), len(sentences)):
            raise StoreCorrupt("Text and vectors of the index do not agree", REBUILD)
        self.manifest = manifest
        self.text = text
        self._chunks = chunks
        self._sentences = sentences
        self._watched = watched

    @classmethod
    def load(cls, store: Path, *, trust: Trust = "large") -> Index:
        """Open the generation in use, every file checked against its digest.

        `trust` says when a file that looks as it did is not hashed again. Raises
        `StoreMissing`, `StoreCorrupt` or `StoreMismatch`.
        """

        def opened() -> Index:
            folder, manifest = disk.current(store, trust=trust)
            with ExitStack() as undo:
                watched = undo.enter_context(closing(Watched(folder, manifest.files)))
                text = undo.enter_context(closing(Database.open(folder / TEXT)))
                chunks, sentences = (load_vectors(folder, name) for name in (CHUNKS, SENTENCES))
                index = cls(manifest, text, chunks, sentences, watched)
                undo.pop_all()
            return index

        return disk.settled(store, opened)

    @staticmethod
    def save(
        store: Path,
        entries: Sequence[Entry],
        *,
        embedder: str,
        dimension: int,
        chunking: str,
        roots: Sequence[str],
        follow_links: bool = False,
    ) -> Manifest:
        """Write a new generation of these entries; the caller holds the write lock."""

        def fill(draft: Draft) -> None:
            for entry in entries:
                draft.add_entry(entry)

        return Index.write(
            store,
            None,
            fill,
            embedder=embedder,
            dimension=dimension,
            chunking=chunking,
            roots=roots,
            follow_links=follow_links,
        )

    @staticmethod
    def write(
        store: Path,
        old: Path | None,
        fill: Callable[[Draft], None],
        *,
        embedder: str,
        dimension: int,
        chunking: str,
        roots: Sequence[str],
        follow_links: bool = False,
    ) -> Manifest:
        """Write a new generation, made by `fill` from the one in the folder `old`.

        The caller holds the write lock. Raises `StoreError` and what `fill` raises.
        """
        counts = (0, 0, 0)

        def make(folder: Path) -> None:
            nonlocal counts
            draft = Draft(folder, old, dimension)
            try:
                fill(draft)
                counts = draft.finish()
            finally:
                draft.close()

        def manifest(folder: Path, files: Mapping[str, str]) -> Manifest:
            documents, chunks, sentences = counts
            return Manifest(
                format=disk.FORMAT,
                embedder=embedder,
                dimension=dimension,
                chunking=chunking,
                documents=documents,
                chunks=chunks,
                sentences=sentences,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                roots=tuple(roots),
                files=dict(files),
                follow_links=follow_links,
            )

        return disk.commit(store, manifest, make)

    def check(self, embedder: str, chunking: str | None = None) -> None:
        """Raise `StoreMismatch` unless the index was made with these."""
        disk.check(self.manifest, embedder, chunking)

    def verify(self) -> None:
        """Raise `StoreCorrupt` where a file is no longer what was opened.

        Costs a look at each file, unless one has been touched.
        """
        try:
            self._watched.verify(REBUILD)
        except OSError as error:
            raise StoreCorrupt(f"The index is damaged: {error}", REBUILD) from error

    def close(self) -> None:
        """Close the files."""
        self.text.close()
        self._watched.close()

    def search_chunks(
        self, vector: Vectors, k: int, within: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return at most `k` pairs `(chunk row, cosine)`, best first.

        Equal cosines are ordered by document and place, whatever the index's history.
        """
        return self._chunks.search(vector, k, within, self.text.chunk_places)

    def search_sentences(
        self, vector: Vectors, k: int, within: Collection[int] | None = None
    ) -> list[tuple[int, float]]:
        """Return the chunks of the `k` best sentences as pairs `(chunk row, cosine)`.

        `within` are the only chunks to look at.
        """
        ids = None if within is None else self.text.sentence_rows(within)
        found = self._sentences.search(vector, k, ids, self.text.sentence_places)
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
        whole = cosines(self._chunks.vectors(chunks), vector)
        flat = [s for chunk in chunks for s in sentences[chunk]]
        scores = iter(cosines(self._sentences.vectors([s.id for s in flat]), vector))
        return {
            chunk: (float(cosine), [(s, float(next(scores))) for s in sentences[chunk]])
            for chunk, cosine in zip(chunks, whole, strict=True)
        }

    def quote(self, chunk: Chunk, start: int, end: int) -> Quote:
        """Return a verified slice; raises `StoreCorrupt` where it leaves the chunk."""
        if not chunk.start <= start < end <= chunk.end:
            raise StoreCorrupt(f"A sentence of {chunk.path} leaves its chunk", REBUILD)
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
