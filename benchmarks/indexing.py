"""What `rag index` costs without an embedder: reading, memory, and looking again.

    python benchmarks/indexing.py SHARED unchanged [--files 10000]
    python benchmarks/indexing.py SHARED memory [--megabytes 100 300] [--texts 'xquad.en*.json']
    python benchmarks/indexing.py SHARED profile [--megabytes 5]

SHARED is a folder with xquad/*.json (of which --texts may choose) and seeds/*.txt. Files are
made of their sentences, drawn at random, with a title and now and then a line of a site, and
a number of its own behind every sentence: half of all sentences stand in many files, half in
one, and no two chunks are alike. The embedder is a fake: a vector is drawn from a digest of the
text, and tokens are guessed from the number of characters, so that only the indexer itself is
measured. Peak memory is `VmHWM` of a process of its own.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import json
import multiprocessing
import pstats
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.embedding import Vectors
from rag.index import Index
from rag.ingest import Report, files_of, index_documents
from rag.language import sentences
from rag.models import SilentProgress
from rag.settings import Settings

DIMENSION = 384
FILE_CHARACTERS = 100_000
EVERY = "*.json"


class Drawn:
    """An embedder whose vectors are random, the same for the same text."""

    identity, dimension = "drawn@1", DIMENSION

    def __init__(self) -> None:
        self.seconds = 0.0
        self.tokens = 0

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions."""
        return self.embed_passages(texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Embed passages."""
        start = time.perf_counter()
        found = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            seed = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
            row[:] = np.random.Generator(
                np.random.SFC64(int.from_bytes(seed, "big"))
            ).standard_normal(DIMENSION, dtype=np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        self.seconds += time.perf_counter() - start
        self.tokens += sum(self.count_tokens(texts))
        return found

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Guess: four characters a token."""
        return [1 + len(text) // 4 for text in texts]


def pool(shared: Path, texts: str) -> list[str]:
    """Return the sentences that files are made of."""
    found: list[str] = []
    for path in sorted((shared / "xquad").glob(texts)):
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                text = paragraph["context"]
                found += [text[s:e] for s, e in sentences(text)]
    for path in sorted((shared / "seeds").glob("*.txt")) if texts == EVERY else []:
        text = path.read_text(encoding="utf-8")
        found += [text[s:e] for s, e in sentences(text)]
    return found


def write_files(shared: Path, folder: Path, total: int, each: int, texts: str = EVERY) -> int:
    """Write files of about `each` characters until `total` bytes lie there; return how many."""
    folder.mkdir()
    drawn, lines, written, number = random.Random(5), pool(shared, texts), 0, 0
    while written < total:
        parts, length = [f"The report of day {number}"], 0
        while length < each:
            line = f"{drawn.choice(lines)} {drawn.randrange(10**9)}."
            parts.append(line)
            length += len(line)
            if drawn.random() < 0.2:
                parts.append("\n")
        parts.append("\n\nLeave a Reply\n")
        data = " ".join(parts).encode()
        (folder / f"{number:06}.txt").write_bytes(data)
        written += len(data)
        number += 1
    return number


def settings_of(folder: Path) -> Settings:
    """Return settings with a store in this folder."""
    return Settings(store=folder / "store", documents=folder / "d", models=folder, offline=True)


def run(folder: Path) -> Report:
    """Index the files of a folder."""
    return index_documents([folder / "d"], settings_of(folder), Drawn(), SilentProgress())


def hashed(files: Sequence[Path]) -> float:
    """Return how long it takes to read and hash files, whose paths are known, in seconds."""
    start = time.perf_counter()
    for path in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256").hexdigest()
    return time.perf_counter() - start


def unchanged(shared: Path, count: int) -> None:
    """Print what looking again at an unchanged folder costs, against hashing its files."""
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer)
        written = write_files(shared, folder / "d", count * 4_500, 2_000)
        start = time.perf_counter()
        made = run(folder)
        print(f"{written:,} files, {made.manifest.chunks:,} chunks, {made.manifest.sentences:,} "
              f"sentences, built in {time.perf_counter() - start:.1f} s")  # fmt: skip
        size = sum(p.stat().st_size for p in settings_of(folder).store.rglob("*") if p.is_file())
        print(f"the index has {size / 1e6:,.0f} MB")
        paths = [file.path for file in files_of([folder / "d"]).files]
        for _ in range(5):
            alone = hashed(paths)
            start = time.perf_counter()
            assert not run(folder).written
            again = time.perf_counter() - start
            print(f"hashing {alone:.3f} s, rag index {again:.3f} s, ratio {again / alone:.2f}")
        one = paths[17]
        for act in ("change", "delete", "add"):
            if act == "delete":
                one.unlink()
            else:
                one.write_text("A new text about the river is here.\n" * 3, encoding="utf-8")
            start = time.perf_counter()
            assert run(folder).written
            print(f"{act} one file: {time.perf_counter() - start:.2f} s")


def _built(folder: Path) -> dict[str, float]:
    drawn = Drawn()
    start = time.perf_counter()
    report = index_documents([folder / "d"], settings_of(folder), drawn, SilentProgress())
    taken = time.perf_counter() - start
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1])
    return {
        "chunks": report.manifest.chunks,
        "sentences": report.manifest.sentences,
        "seconds": taken,
        "of which drawing vectors": drawn.seconds,
        "tokens embedded": drawn.tokens,
        "peak MB": peak / 1e3,
    }


def memory(shared: Path, sizes: Sequence[int], texts: str) -> None:
    """Print the peak memory of building indexes of some sizes."""
    for size in sizes:
        with tempfile.TemporaryDirectory() as outer:
            folder = Path(outer)
            write_files(shared, folder / "d", size * 1_000_000, FILE_CHARACTERS, texts)
            with multiprocessing.get_context("spawn").Pool(1) as processes:
                figures = processes.apply(_built, (folder,))
            stored = sum(p.stat().st_size for p in (folder / "store").rglob("*") if p.is_file())
            told = "  ".join(f"{name} {value:,.0f}" for name, value in figures.items())
            print(f"{size} MB: {told}  index MB {stored / 1e6:,.0f}", flush=True)


def profile(shared: Path, size: int) -> None:
    """Print where the time goes when an index is built and opened."""
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer)
        write_files(shared, folder / "d", size * 1_000_000, FILE_CHARACTERS)
        measured = cProfile.Profile()
        measured.runcall(run, folder)
        pstats.Stats(measured).sort_stats("tottime").print_stats(28)
        Index.load(settings_of(folder).store).close()


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("what", choices=("unchanged", "memory", "profile"))
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--texts", default=EVERY)
    parser.add_argument("--megabytes", type=int, nargs="+", default=None)
    asked = parser.parse_args()
    if asked.what == "unchanged":
        unchanged(asked.shared, asked.files)
    elif asked.what == "memory":
        memory(asked.shared, asked.megabytes or [100, 300], asked.texts)
    else:
        profile(asked.shared, (asked.megabytes or [5])[0])


if __name__ == "__main__":
    main()
