"""Our embedding against `SentenceTransformer.encode` as shipped: speed, vectors, ranking.

    python benchmarks/embedding.py XQUAD

XQUAD is a folder with xquad.{hi,en}.half.json. Passages are their 240 paragraphs and the
sentences of these. As shipped: float32, batches of 32, the model's own order. Ours: what
`rag index` does with much text. Speed is taken in turn, three times each, and told as a ratio.
Ranking is by cosine alone, paragraphs of one language, questions of either.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rag.embedding import E5_PROMPTS, SentenceTransformerEmbedder, Vectors, load_embedder
from rag.evaluate.metrics import ranking
from rag.language import sentences
from rag.models import SilentProgress, resolve_embedder
from rag.settings import Settings

LANGUAGES = ("hi", "en")
ROUNDS = 3
K = 10


def half(xquad: Path, language: str) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the paragraphs, and the questions with the place of their paragraph."""
    text = (xquad / f"xquad.{language}.half.json").read_text(encoding="utf-8")
    paragraphs = [p for article in json.loads(text)["data"] for p in article["paragraphs"]]
    # PyTorch's tokenizer takes a space at the end for a token; nothing that we embed has one.
    asked = [(q["question"].strip(), n) for n, p in enumerate(paragraphs) for q in p["qas"]]
    return [p["context"].strip() for p in paragraphs], asked


def ranked(passages: Vectors, questions: Vectors) -> list[list[int]]:
    """Return for each question the ten nearest passages."""
    return [list(map(int, np.argsort(-row)[:K])) for row in questions @ passages.T]


def main(xquad: Path) -> None:
    """Print all figures."""
    from sentence_transformers import SentenceTransformer

    settings = Settings.load({"offline": True})
    file = resolve_embedder(settings.embedder, settings, SilentProgress())
    # As published: our own folder asks for the form of GELU that llama.cpp has.
    shipped = SentenceTransformer(
        file.path, device="cpu", prompts=E5_PROMPTS, config_kwargs={"hidden_act": "gelu"}
    )
    own = SentenceTransformerEmbedder.load(file, offline=True)
    ours = load_embedder(file, offline=True)
    sets = {language: half(xquad, language) for language in LANGUAGES}
    texts = [p for paragraphs, _ in sets.values() for p in paragraphs]
    texts += [p[a:b] for p in texts for a, b in sentences(p)]
    tokens = sum(ours.count_tokens(texts))
    ours.embed_passages(texts[:400])  # beyond what llama.cpp does, so that PyTorch is loaded

    def encode(kind: str, some: Sequence[str]) -> Vectors:
        return np.asarray(
            shipped.encode(list(some), batch_size=32, prompt_name=kind, normalize_embeddings=True),
            dtype=np.float32,
        )

    took: dict[str, list[float]] = {"shipped": [], "ours": []}
    for _ in range(ROUNDS):
        for name, embed in (
            ("shipped", lambda: encode("document", texts)),
            ("ours", lambda: ours.embed_passages(texts)),
        ):
            start = time.perf_counter()
            vectors = embed()
            took[name].append(time.perf_counter() - start)
            if name == "shipped":
                reference = vectors
    cosine = float(np.einsum("ij,ij->i", reference, vectors).min())
    ratios = [a / b for a, b in zip(took["shipped"], took["ours"], strict=True)]
    for name, seconds in took.items():
        print(f"{name}: {tokens / statistics.median(seconds):,.0f} tokens/s")
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"{len(texts)} passages, {tokens:,} tokens; least cosine {cosine:.6f}")
    print("\n| | questions | nDCG@10 shipped | ours | the same ten, in order | as a set |")
    print("|---|---|---|---|---|---|")
    for asked in LANGUAGES:
        questions = [q for q, _ in sets[asked][1]]
        gold = [place for _, place in sets[asked][1]]
        theirs_q, ours_q = encode("query", questions), ours.embed_queries(questions)
        own_q = own.embed_queries(questions)
        for read in LANGUAGES:
            paragraphs = sets[read][0]
            theirs_p = encode("document", paragraphs)
            ours_p = ours.embed_passages(paragraphs)
            before, after = ranked(theirs_p, theirs_q), ranked(ours_p, ours_q)
            # What llama.cpp alone changes: questions by it and by our PyTorch, same passages.
            pairs = list(zip(ranked(ours_p, own_q), after, strict=True))
            same = sum(a == b for a, b in pairs)
            alike = sum(set(a) == set(b) for a, b in pairs)
            scores = [
                statistics.fmean(
                    ranking([str(n) for n in row], {str(g)})["ndcg@10"]
                    for row, g in zip(rows, gold, strict=True)
                )
                for rows in (before, after)
            ]
            print(
                f"| {asked}→{read} | {len(questions)} | {scores[0]:.4f} | {scores[1]:.4f} "
                f"| {same} | {alike} |"
            )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
