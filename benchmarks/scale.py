"""How the index grows: vectors and keywords at 10 k, 100 k and 1 M chunks.

    python benchmarks/scale.py XQUAD --cache FOLDER [--sizes 10000 100000 1000000] [--only vectors]

XQUAD is a folder with *.json. Passages: e5 vectors of its paragraphs and sentences in all
languages at hand, and around them synthetic ones: between a real vector and one of its twenty
nearest, plus noise with the covariance of the real ones, scaled by `NOISE`, and normalised.
Questions: XQuAD's own, embedded, never a synthetic one. The table gives the cosines of both, so
that it can be seen how like the real ones they are. Keywords: each chunk is five sentences of
XQuAD drawn at random, as the program would write them. Each part runs in a process of its own,
whose peak memory is reported (resident, without the pages of mapped files).
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rag.embedding import SentenceTransformerEmbedder
from rag.index.database import Database
from rag.index.draft import VectorDraft, load_vectors
from rag.index.rows import Rows
from rag.index.vectors import Vectors
from rag.language import sentences, sound, words
from rag.models import SilentProgress, resolve_embedder
from rag.settings import Settings

NOISE = 0.35
NEIGHBOURS = 20
ASKED = 300
K = 10
CHANGED = 100
SENTENCES_A_CHUNK = 5


class Source(NamedTuple):
    """Where the real texts are, and where their vectors are kept."""

    xquad: Path
    cache: Path


def texts(folder: Path) -> tuple[list[str], list[str]]:
    """Return the paragraphs and sentences, and the questions, of XQuAD's files."""
    passages, questions = set(), set()
    for path in sorted(folder.glob("*.json")):
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                text = paragraph["context"]
                passages.add(text)
                passages.update(text[s:e] for s, e in sentences(text))
                questions.update(q["question"] for q in paragraph["qas"])
    kept = sorted(p for p in passages if len(p) > 20)
    return kept, random.Random(1).sample(sorted(questions), 1500)


def real_vectors(source: Source) -> tuple[Vectors, Vectors]:
    """Return the vectors of the passages and of the questions, embedded once."""
    path = source.cache / "real.npz"
    if not path.exists():
        settings = Settings.load({"offline": True})
        file = resolve_embedder(settings.embedder, settings, SilentProgress())
        embedder = SentenceTransformerEmbedder.load(file, offline=True)
        passages, questions = texts(source.xquad)
        np.savez(path, p=embedder.embed_passages(passages), q=embedder.embed_queries(questions))
    with np.load(path) as found:
        return found["p"], found["q"]


class Synthetic:
    """Draws unit vectors around real ones; the same seed draws the same."""

    def __init__(self, real: Vectors) -> None:
        self._real = real
        centred = real - real.mean(axis=0)
        _, spread, self._axes = np.linalg.svd(centred, full_matrices=False)
        self._deviation = (spread / len(real) ** 0.5).astype(np.float32)
        order = np.argpartition(-(real @ real.T), NEIGHBOURS, axis=1)
        self._near = order[:, : NEIGHBOURS + 1]

    def draw(self, count: int, seed: int) -> Vectors:
        """Return unit vectors of shape `(count, dimension)`."""
        rng = np.random.default_rng(seed)
        parents = rng.integers(len(self._real), size=count)
        others = self._near[parents, rng.integers(NEIGHBOURS + 1, size=count)]
        share = rng.random((count, 1), dtype=np.float32) / 2
        noise = rng.standard_normal((count, len(self._deviation)), dtype=np.float32)
        between = (1 - share) * self._real[parents] + share * self._real[others]
        drawn = between + NOISE * (noise * self._deviation) @ self._axes
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def peak_mb() -> float:
    """Return the peak of resident memory of this process in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1]) / 1e3


def forget_peak() -> None:
    """Let the peak begin anew: drawing the vectors is not the index's work."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def anonymous_mb() -> float:
    """Return the resident memory that is no page of a mapped file, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(x for x in status.splitlines() if x.startswith("RssAnon")).split()[1]) / 1e3


def timed(calls: Sequence[Callable[[], object]]) -> tuple[float, float]:
    """Return the median and the 95th percentile of some calls, in milliseconds."""
    taken = []
    for call in calls:
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1000)
    return float(np.median(taken)), float(np.percentile(taken, 95))


def megabytes(folder: Path) -> float:
    """Return the size of the files of a folder in MB."""
    return sum(p.stat().st_size for p in folder.iterdir()) / 1e6


def built_vectors(size: int, source: Source, folder: Path) -> dict[str, float]:
    """Make an index of synthetic vectors, as `rag index` does."""
    synthetic = Synthetic(real_vectors(source)[0])
    start = time.perf_counter()
    draft = VectorDraft(folder, "chunks", 384, None)
    for first in range(0, size, 4096):
        count = min(4096, size - first)
        draft.append(range(first + 1, first + count + 1), synthetic.draw(count, first))
    drawn = time.perf_counter() - start
    del synthetic
    forget_peak()
    start = time.perf_counter()
    draft.finish()
    draft.close()
    return {
        "drawing_s": drawn,
        "build_s": time.perf_counter() - start,
        "MB": megabytes(folder),
        "peak_MB": peak_mb(),
    }


def searched_vectors(size: int, source: Source, folder: Path) -> dict[str, float]:
    """Measure searches, recall against all vectors, and what a search keeps in memory."""
    start = time.perf_counter()
    index = load_vectors(folder, "chunks")
    opened = time.perf_counter() - start
    questions = real_vectors(source)[1][:ASKED]
    found: list[list[tuple[int, float]]] = []
    calls = [lambda q=q: found.append(index.search(q, K)) for q in questions]
    index.search(questions[0], K)
    p50, p95 = timed(calls)
    wide = timed([lambda q=q: index.search(q, 24) for q in questions])
    memory = anonymous_mb()
    some = np.random.default_rng(3).choice(size, size // 2, replace=False) + 1
    half = timed([lambda q=q: index.search(q, K, some) for q in questions[:20]])
    true = exact(index, size, questions)
    share = [len({i for i, _ in f} & set(t)) / K for f, t in zip(found, true, strict=True)]
    return {
        "open_s": opened,
        "p50_ms": p50,
        "p95_ms": p95,
        "k24_p50_ms": wide[0],
        "half_p50_ms": half[0],
        "recall@10": float(np.mean(share)),
        "worst": float(np.min(share)),
        "top1": float(np.mean([f[0][1] for f in found])),
        "top10": float(np.mean([f[-1][1] for f in found])),
        "memory_MB": memory,
        "lists": float(getattr(index, "lists", 0)),
        "looked_at": float(getattr(index, "looked_at", 0)),
    }


def exact(index: object, size: int, questions: Vectors) -> list[list[int]]:
    """Return the ids of the nearest of all vectors by brute force."""
    import faiss

    best = np.full((len(questions), K), -np.inf, dtype=np.float32)
    known = np.zeros((len(questions), K), dtype=np.int64)
    for first in range(1, size + 1, 50_000):
        ids = np.arange(first, min(first + 50_000, size + 1))
        rows = index.vectors(ids)  # type: ignore[attr-defined]
        scores, places = faiss.knn(questions, rows, K, metric=faiss.METRIC_INNER_PRODUCT)
        both = np.concatenate([best, scores], axis=1)
        either = np.concatenate([known, ids[places]], axis=1)
        order = np.argsort(-both, axis=1)[:, :K]
        best = np.take_along_axis(both, order, axis=1)
        known = np.take_along_axis(either, order, axis=1)
    return known.tolist()


def changed_vectors(size: int, source: Source, folder: Path) -> dict[str, float]:
    """Remove and add some vectors, each in a new generation."""
    new = Synthetic(real_vectors(source)[0]).draw(CHANGED, 10**9)
    gone = np.random.default_rng(2).choice(size, CHANGED, replace=False) + 1
    forget_peak()
    taken = {}
    for name in ("delete", "add"):
        with tempfile.TemporaryDirectory(dir=folder.parent) as other:
            start = time.perf_counter()
            draft = VectorDraft(Path(other), "chunks", 384, folder)
            if name == "delete":
                draft.remove(sorted(gone.tolist()))
            else:
                draft.append(range(size + 1, size + CHANGED + 1), new)
            draft.finish()
            draft.close()
            taken[f"{name}{CHANGED}_s"] = time.perf_counter() - start
            index = load_vectors(Path(other), "chunks")
            ids = {index.search(v, 1)[0][0] for v in new}
            assert (name == "add") == (ids == set(range(size + 1, size + CHANGED + 1)))
            assert len(index) == size + (CHANGED if name == "add" else -CHANGED)
    return {**taken, "update_peak_MB": peak_mb()}


def built_keywords(size: int, source: Source, folder: Path) -> dict[str, float]:
    """Make the keyword index of chunks of five sentences each."""
    passages = [p for p in texts(source.xquad)[0] if len(p) < 400]
    said = [" ".join(words(p)) for p in passages]
    heard = [" ".join(filter(None, map(sound, s.split()))) for s in said]
    rng = random.Random(4)
    start = time.perf_counter()
    rows = Rows.open(folder / "text.sqlite")
    db = rows._db
    for number in range(1, size + 1):
        drawn = rng.choices(range(len(said)), k=SENTENCES_A_CHUNK)
        bodies = (" ".join(s[n] for n in drawn) for s in (said, heard))
        db.execute("INSERT INTO words(rowid, body, sounds) VALUES (?, ?, ?)", (number, *bodies))
    db.execute("INSERT INTO words(words) VALUES('optimize')")
    rows.finish()
    rows.close()
    taken = time.perf_counter() - start
    return {"build_s": taken, "MB": megabytes(folder), "peak_MB": peak_mb()}


def searched_keywords(size: int, source: Source, folder: Path) -> dict[str, float]:
    """Measure searching for the words of questions, and counting how frequent they are."""
    text = Database.open(folder / "text.sqlite")
    asked = [words(q) for q in texts(source.xquad)[1][:ASKED]]
    sounds = [{sound(w) for w in q} - {""} for q in asked]

    def counted(number: int) -> None:
        text.frequencies(set(asked[number]))
        text.frequencies(sounds[number], "sounds")

    counting = timed([lambda n=n: counted(n) for n in range(ASKED)])
    both = [lambda n=n: text.search(set(asked[n]), sounds[n], 24) for n in range(ASKED)]
    p50, p95 = timed(both)
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "counting_p50_ms": counting[0],
        "counting_p95_ms": counting[1],
        "memory_MB": anonymous_mb(),
    }


PARTS = {
    "vectors": (built_vectors, searched_vectors, changed_vectors),
    "keywords": (built_keywords, searched_keywords),
}


def main() -> None:
    """Print the figures of each size, and their growth per tenfold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("xquad", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--only", choices=PARTS, default=None)
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    source = Source(asked.xquad, asked.cache)
    real_vectors(source)
    processes = multiprocessing.get_context("spawn")
    for part, steps in PARTS.items():
        if asked.only not in (None, part):
            continue
        before: dict[str, float] = {}
        for size in asked.sizes:
            figures: dict[str, float] = {}
            with tempfile.TemporaryDirectory(dir=asked.cache) as folder:
                for step in steps:
                    with processes.Pool(1) as pool:
                        made = pool.apply(step, (size, source, Path(folder)))
                    figures |= {f"{step.__name__.split('_')[0]}.{k}": v for k, v in made.items()}
            print(f"\n{part}, {size:,} chunks", flush=True)
            for name, value in figures.items():
                old = before.get(name)
                growth = f"  x{value / old:.1f}" if old else ""
                print(f"  {name:28}{value:12,.3f}{growth}", flush=True)
            before = figures


if __name__ == "__main__":
    main()
