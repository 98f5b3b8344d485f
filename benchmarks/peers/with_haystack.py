"""Haystack: an indexing and a RAG pipeline, as its tutorials and its llama.cpp page have them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from haystack import Pipeline
from haystack.components.builders import AnswerBuilder, ChatPromptBuilder
from haystack.components.converters import TextFileToDocument
from haystack.components.preprocessors import DocumentCleaner, DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.generators.llama_cpp import LlamaCppChatGenerator
from serving import PASSAGE, QUERY, Reply, Setup, file_names, plain_weights, serve

TOP_K = 3
PROMPT = """Answer the question using the provided context.
Question: {{question}}
Context:
{% for doc in documents %}
    {{ doc.content }}
{% endfor %}
"""
STORE = "store.json"


class HaystackPeer:
    """Two pipelines over an `InMemoryDocumentStore`, which it saves as JSON."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._pipeline = Pipeline()
        plain_weights()

    def index(self, documents: str, store: str) -> int:
        """See `serving.Peer`."""
        kept = InMemoryDocumentStore(embedding_similarity_function="cosine")
        parts: dict[str, Any] = {
            "converter": TextFileToDocument(),
            "cleaner": DocumentCleaner(),
            "splitter": DocumentSplitter(split_by="word", split_length=150, split_overlap=50),
            "embedder": SentenceTransformersDocumentEmbedder(
                model=self._setup.embedder, prefix=PASSAGE, progress_bar=False
            ),
            "writer": DocumentWriter(document_store=kept),
        }
        connected(parts).run({"converter": {"sources": sorted(Path(documents).iterdir())}})
        kept.save_to_disk(str(Path(store) / STORE))
        return kept.count_documents()

    def load(self, store: str) -> None:
        """See `serving.Peer`."""
        setup = self._setup
        kept = InMemoryDocumentStore.load_from_disk(str(Path(store) / STORE))
        threads = {"n_threads": setup.threads, "n_threads_batch": setup.threads}
        parts: dict[str, Any] = {
            "embedder": SentenceTransformersTextEmbedder(
                model=setup.embedder, prefix=QUERY, progress_bar=False
            ),
            "retriever": InMemoryEmbeddingRetriever(document_store=kept, top_k=TOP_K),
            "prompt": ChatPromptBuilder(template=[ChatMessage.from_user(PROMPT)]),
            "llm": LlamaCppChatGenerator(
                model=setup.generator,
                n_ctx=setup.context,
                model_kwargs={**threads, "verbose": False},
                generation_kwargs={"max_tokens": setup.max_tokens, "temperature": 0.0},
            ),
            "answers": AnswerBuilder(),
        }
        pipeline = Pipeline()
        for name, part in parts.items():
            pipeline.add_component(name, part)
        pipeline.connect("embedder.embedding", "retriever.query_embedding")
        pipeline.connect("retriever.documents", "prompt.documents")
        pipeline.connect("prompt.prompt", "llm.messages")
        pipeline.connect("llm.replies", "answers.replies")
        pipeline.connect("retriever.documents", "answers.documents")
        pipeline.warm_up()
        self._pipeline = pipeline

    def ask(self, question: str, say: Callable[[str], None]) -> Reply:
        """See `serving.Peer`."""

        def hear(chunk: StreamingChunk) -> None:
            say(chunk.content)

        result = self._pipeline.run(
            {
                "embedder": {"text": question},
                "prompt": {"question": question},
                "llm": {"streaming_callback": hear},
                "answers": {"query": question},
            }
        )
        found = result["answers"]["answers"][0].documents
        return Reply(file_names([document.meta["file_path"] for document in found]))


def connected(parts: dict[str, Any]) -> Pipeline:
    """Return a pipeline of parts of which each feeds the next."""
    pipeline = Pipeline()
    for name, part in parts.items():
        pipeline.add_component(name, part)
    names = list(parts)
    for one, other in itertools.pairwise(names):
        pipeline.connect(one, other)
    return pipeline


if __name__ == "__main__":
    serve(HaystackPeer)
