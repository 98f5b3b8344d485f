"""What each part of the search buys: python benchmarks/retrieval.py XQUAD.

Searches the paragraphs of xquad.{hi,en}.half.json with every question of both languages,
through the program's own `ingest` and `retrieve`, with one part switched off at a time:
keywords, sounds (names across scripts), the sentence before a pronoun. Prints a Markdown
table: nDCG@10 and recall@1 by paragraph, the share of questions whose answer lies in the
first 4 and 6 sentences shown, and the median length of 4. Then the same, for articles under
their title, with and without the title as context; and the time of a search against that of
embedding its question. Ratios compare; times do not.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import rag.ingest
import rag.retrieve
from rag.embedding import Embedder, Vectors, load_embedder
from rag.index import Index
from rag.models import SilentProgress, resolve_embedder
from rag.settings import Settings

PAIRS = (("hi", "hi"), ("en", "hi"), ("en", "en"), ("hi", "en"))
HEADER = (
    "| | pair | nDCG@10 | recall@1 | in 4 | in 6 | length of 4 |\n|---|---|---|---|---|---|---|"
)


class Cached:
    """An embedder that embeds each text once."""

    def __init__(self, inner: Embedder) -> None:
        self.inner, self.identity, self.dimension = inner, inner.identity, inner.dimension
        self._known: dict[tuple[str, str], Vectors] = {}

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions."""
        return self._all("query", texts, self.inner.embed_queries)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed pieces of documents."""
        return self._all("passage", texts, self.inner.embed_passages)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens."""
        return self.inner.count_tokens(texts)

    def _all(
        self, kind: str, texts: Sequence[str], embed: Callable[[Sequence[str]], Vectors]
    ) -> Vectors:
        new = [t for t in dict.fromkeys(texts) if (kind, t) not in self._known]
        self._known.update({(kind, t): v for t, v in zip(new, embed(new), strict=True)})
        return np.array([self._known[kind, t] for t in texts])


@dataclass(frozen=True)
class Gold:
    """Where a question's answer stands."""

    path: str
    start: int
    end: int


def articles(xquad: Path, lang: str) -> list[dict[str, Any]]:
    """Read a half."""
    text = (xquad / f"xquad.{lang}.half.json").read_text(encoding="utf-8")
    return list(json.loads(text)["data"])


def questions(found: list[dict[str, Any]]) -> dict[str, str]:
    """Map ids to questions."""
    return {q["id"]: q["question"] for a in found for p in a["paragraphs"] for q in p["qas"]}


def by_paragraph(found: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, Gold]]:
    """Return one file a paragraph, and where the answers stand in them."""
    files, gold = {}, {}
    paragraphs = [p for a in found for p in a["paragraphs"]]
    for number, paragraph in enumerate(paragraphs):
        name = f"{number:04}.txt"
        files[name] = paragraph["context"]
        for q in paragraph["qas"]:
            answer = q["answers"][0]
            start = answer["answer_start"]
            gold[q["id"]] = Gold(name, start, start + len(answer["text"]))
    return files, gold


def by_article(found: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, Gold]]:
    """Return one file an article, under its title."""
    files, gold = {}, {}
    for number, article in enumerate(found):
        name, text = f"{number:03}.txt", article["title"].replace("_", " ") + "\n\n"
        for paragraph in article["paragraphs"]:
            for q in paragraph["qas"]:
                start = len(text) + q["answers"][0]["answer_start"]
                gold[q["id"]] = Gold(name, start, start + len(q["answers"][0]["text"]))
            text += paragraph["context"].replace("\n", " ") + "\n\n"
        files[name] = text
    return files, gold


@contextmanager
def indexed(files: dict[str, str], embedder: Cached) -> Iterator[Index]:
    """Index some texts in a temporary store."""
    with TemporaryDirectory() as folder:
        documents = Path(folder, "documents")
        documents.mkdir()
        for name, text in files.items():
            (documents / name).write_bytes(text.encode("utf-8"))
        settings = replace(Settings.load(env={}), store=Path(folder, "store"))
        rag.ingest.index_documents([documents], settings, embedder, SilentProgress())
        index = Index.load(settings.store)
        try:
            yield index
        finally:
            index.close()


def row(
    asked: dict[str, str], gold: dict[str, Gold], index: Index, embedder: Cached, chunks: bool
) -> str:
    """Ask every question; return the cells of a row. `chunks` ranks chunks, not files."""
    gains, first, four, six, lengths = [], [], [], [], []
    for key, question in asked.items():
        wanted = gold[key]
        found = rag.retrieve.retrieve(question, index, embedder, k=20, evidence=6)

        def holds(path: str, start: int, end: int, wanted: Gold = wanted) -> bool:
            return path == wanted.path and start < wanted.end and wanted.start < end

        if chunks:
            ranked = [holds(h.chunk.path, h.chunk.start, h.chunk.end) for h in found.hits]
        else:
            names = list(dict.fromkeys(h.chunk.path for h in found.hits))
            ranked = [name == wanted.path for name in names]
        rank = ranked.index(True) + 1 if True in ranked else 99
        gains.append(1 / math.log2(rank + 1) if rank <= 10 else 0.0)
        first.append(rank == 1)
        shown = [holds(e.quote.chunk.path, e.quote.start, e.quote.end) for e in found.evidence]
        four.append(any(shown[:4]))
        six.append(any(shown))
        lengths.append(sum(len(e.quote.text) for e in found.evidence[:4]))
    shares = " | ".join(f"{np.mean(values):.3f}" for values in (gains, first, four, six))
    return f"{shares} | {statistics.median(lengths):.0f}"


@contextmanager
def without(name: str) -> Iterator[None]:
    """Switch a part of the search off."""
    kept: dict[str, Any] = {
        n: getattr(rag.retrieve, n) for n in ("KEYWORD_WEIGHT", "sound", "refers_back")
    }
    changed: dict[str, Any] = {
        "keywords": {"KEYWORD_WEIGHT": 0.0},
        "sounds": {"sound": lambda _: ""},
        "the sentence before": {"refers_back": lambda *_: False},
    }.get(name, {})
    for attribute, value in changed.items():
        setattr(rag.retrieve, attribute, value)
    try:
        yield
    finally:
        for attribute, value in kept.items():
            setattr(rag.retrieve, attribute, value)


@contextmanager
def contexts(kept: bool) -> Iterator[None]:
    """Embed chunks with their title and heading, or without."""
    inputs = rag.ingest._inputs

    def bare(document: Any, chunks: Any, spans: Any, skipped: Any) -> list[str]:
        return inputs(document, [replace(c, context="") for c in chunks], spans, skipped)

    rag.ingest._inputs = inputs if kept else bare
    try:
        yield
    finally:
        rag.ingest._inputs = inputs


def speed(asked: Sequence[str], index: Index, embedder: Cached) -> str:
    """Return the time of a whole search in times of embedding its question (medians)."""
    whole, alone = [], []
    for question in asked:
        start = time.perf_counter()
        embedder.inner.embed_queries([question])
        middle = time.perf_counter()
        rag.retrieve.retrieve(question, index, embedder.inner, k=8, evidence=4)
        alone.append(middle - start)
        whole.append(time.perf_counter() - middle)
    return f"{statistics.median(whole) / statistics.median(alone):.2f}"


def main() -> None:
    """Print the tables."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    xquad = Path(sys.argv[1])
    settings = Settings.load(env={})
    file = resolve_embedder(settings.embedder, settings, SilentProgress())
    embedder = Cached(load_embedder(file))
    data = {lang: articles(xquad, lang) for lang in ("hi", "en")}
    print(HEADER)
    for name in ("", "keywords", "sounds", "the sentence before"):
        for asked, read in PAIRS:
            files, gold = by_paragraph(data[read])
            with indexed(files, embedder) as index, without(name):
                cells = row(questions(data[asked]), gold, index, embedder, chunks=False)
            title = f"without {name}" if name else "as shipped"
            print(f"| {title} | {asked}→{read} | {cells} |", flush=True)
    for kept in (True, False):
        for asked, read in PAIRS:
            files, gold = by_article(data[read])
            with contexts(kept), indexed(files, embedder) as index:
                cells = row(questions(data[asked]), gold, index, embedder, chunks=True)
            name = "with" if kept else "without"
            print(f"| articles, {name} title | {asked}→{read} | {cells} |", flush=True)
    print("\nTime of a search, in times of embedding its question:")
    for asked, read in PAIRS:
        with indexed(by_paragraph(data[read])[0], embedder) as index:
            some = list(questions(data[asked]).values())[:200]
            print(f"{asked}→{read}: {speed(some, index, embedder)}", flush=True)


if __name__ == "__main__":
    main()
