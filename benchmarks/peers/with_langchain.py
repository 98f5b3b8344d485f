"""LangChain: the two-step chain of its RAG tutorial, an agent without tools.

Its middleware searches with the question and puts what was found into the system message.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, dynamic_prompt
from langchain_community.chat_models import ChatLlamaCpp
from langchain_community.document_loaders import DirectoryLoader, TextLoader
from langchain_core.documents import Document
from langchain_core.messages import AIMessageChunk
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from serving import PASSAGE, QUERY, Reply, Setup, file_names, plain_weights, serve

# The page of the llama.cpp integration has these 300 tokens; the class's own default is 8.
BATCH = 300
STORE = "store.json"


class LangChainPeer:
    """`RecursiveCharacterTextSplitter`, `InMemoryVectorStore` dumped to JSON, `create_agent`."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._agent: Any = None
        self._found: list[Document] = []
        plain_weights()
        self._embeddings = HuggingFaceEmbeddings(
            model_name=setup.embedder,
            encode_kwargs={"prompt": PASSAGE},
            query_encode_kwargs={"prompt": QUERY},
        )

    def index(self, documents: str, store: str) -> int:
        """See `serving.Peer`."""
        loader = DirectoryLoader(
            documents, glob="*.txt", loader_cls=TextLoader, loader_kwargs={"encoding": "utf-8"}
        )
        splitter = RecursiveCharacterTextSplitter(
            chunk_size=1000, chunk_overlap=200, add_start_index=True
        )
        pieces = splitter.split_documents(loader.load())
        vectors = InMemoryVectorStore(self._embeddings)
        vectors.add_documents(pieces)
        vectors.dump(str(Path(store) / STORE))
        return len(pieces)

    def load(self, store: str) -> None:
        """See `serving.Peer`."""
        vectors = InMemoryVectorStore.load(str(Path(store) / STORE), self._embeddings)
        setup = self._setup
        model = ChatLlamaCpp(
            model_path=setup.generator,
            temperature=0.0,
            n_ctx=setup.context,
            n_batch=BATCH,
            n_threads=setup.threads,
            max_tokens=setup.max_tokens,
            # The class would put 10,000 in the place of the model's own base of a million,
            # and the model writes nonsense; 0 means the model's own.
            rope_freq_base=0.0,
            model_kwargs={"n_threads_batch": setup.threads},
            verbose=False,
        )

        @dynamic_prompt
        def with_context(request: ModelRequest) -> str:
            self._found = vectors.similarity_search(request.state["messages"][-1].text)
            context = "\n\n".join(document.page_content for document in self._found)
            return (
                "You are a helpful assistant. Use the following context in your response:"
                f"\n\n{context}"
            )

        self._agent = create_agent(model, tools=[], middleware=[with_context])

    def ask(self, question: str, say: Callable[[str], None]) -> Reply:
        """See `serving.Peer`."""
        asked = {"messages": [{"role": "user", "content": question}]}
        for message, _ in self._agent.stream(asked, stream_mode="messages"):
            if isinstance(message, AIMessageChunk):
                say(message.text)
        return Reply(file_names([d.metadata["source"] for d in self._found]))


if __name__ == "__main__":
    serve(LangChainPeer)
