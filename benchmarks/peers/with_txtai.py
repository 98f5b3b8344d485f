"""txtai: an embeddings database with content, and its RAG pipeline, as its quickstart has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving import PASSAGE, QUERY, Reply, Setup, file_names, plain_weights, serve
from txtai import RAG, Embeddings
from txtai.pipeline import Segmentation

SYSTEM = "You are a friendly assistant"
TEMPLATE = """
  Answer the following question using the provided context.

  Question:
  {question}

  Context:
  {context}
"""


class TxtaiPeer:
    """`Embeddings(content=True)`, saved as it saves itself, and `RAG`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._rag: Any = None
        self._found: list[str] = []
        plain_weights()

    def index(self, documents: str, store: str) -> int:
        """See `serving.Peer`."""
        sections = Segmentation(sections=True)
        pieces = [
            (str(path), piece)
            for path in sorted(Path(documents).iterdir())
            for piece in sections(path.read_text(encoding="utf-8"))
        ]
        embeddings = Embeddings(
            path=self._setup.embedder,
            content=True,
            instructions={"query": QUERY, "data": PASSAGE},
        )
        embeddings.index(pieces)
        embeddings.save(store)
        return len(pieces)

    def load(self, store: str) -> None:
        """See `serving.Peer`."""
        embeddings = Embeddings()
        embeddings.load(store)

        def search(queries: list[str], limit: int) -> list[list[dict[str, Any]]]:
            """Search as the pipeline would, and remember: a stream has no references."""
            found: list[list[dict[str, Any]]] = embeddings.batchsearch(queries, limit)
            self._found = [result["id"] for result in found[0]]
            return found

        setup = self._setup
        self._rag = RAG(
            search,
            setup.generator,
            system=SYSTEM,
            template=TEMPLATE,
            n_ctx=setup.context,
            n_threads=setup.threads,
            n_threads_batch=setup.threads,
        )

    def ask(self, question: str, say: Callable[[str], None]) -> Reply:
        """See `serving.Peer`."""
        pieces = self._rag(question, maxlength=self._setup.max_tokens, stream=True, temperature=0.0)
        for piece in pieces:
            say(piece)
        return Reply(file_names(self._found))


if __name__ == "__main__":
    serve(TxtaiPeer)
