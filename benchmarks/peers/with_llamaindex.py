"""LlamaIndex: a vector index and its query engine, with every default that it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_cpp import Llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter
from llama_index.core import (
    Settings,
    SimpleDirectoryReader,
    StorageContext,
    VectorStoreIndex,
    load_index_from_storage,
    set_global_tokenizer,
)
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.llms.llama_cpp import LlamaCPP
from serving import PASSAGE, QUERY, Reply, Setup, file_names, plain_weights, serve


class LlamaIndexPeer:
    """`SimpleDirectoryReader`, `VectorStoreIndex`, `as_query_engine`; the store is its JSON."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._engine: Any = None
        plain_weights()
        Settings.embed_model = HuggingFaceEmbedding(
            model_name=setup.embedder, query_instruction=QUERY, text_instruction=PASSAGE
        )

    def index(self, documents: str, store: str) -> int:
        """See `serving.Peer`."""
        # The documentation makes the generator's tokenizer the one that chunks are counted in.
        count_with(Llama(self._setup.generator, vocab_only=True, verbose=False))
        # The documents lie in a cache folder, which its leading dot makes a hidden one.
        read = SimpleDirectoryReader(documents, exclude_hidden=False).load_data()
        made = VectorStoreIndex.from_documents(read)
        made.storage_context.persist(store)
        return len(made.docstore.docs)

    def load(self, store: str) -> None:
        """See `serving.Peer`."""
        llm = generator(self._setup)
        count_with(llm._model)
        index = load_index_from_storage(StorageContext.from_defaults(persist_dir=store))
        self._engine = index.as_query_engine(llm=llm, streaming=True)

    def ask(self, question: str, say: Callable[[str], None]) -> Reply:
        """See `serving.Peer`."""
        response = self._engine.query(question)
        for piece in response.response_gen:
            say(piece)
        found = [node.node.metadata["file_name"] for node in response.source_nodes]
        return Reply(file_names(found))


def count_with(model: Llama) -> None:
    """Let texts be counted in the generator's tokens."""
    set_global_tokenizer(lambda text: model.tokenize(text.encode(), add_bos=False, special=False))


def generator(setup: Setup) -> LlamaCPP:
    """Load the generator; its prompts are written by the chat template of the file.

    The documentation takes the same template from the tokenizer on the hub.
    """

    def messages_to_prompt(messages: Sequence[ChatMessage]) -> str:
        return written([{"role": m.role.value, "content": m.content} for m in messages])

    def completion_to_prompt(completion: str) -> str:
        return written([{"role": "user", "content": completion}])

    def written(messages: list[dict[str, Any]]) -> str:
        template = llm._model.metadata["tokenizer.chat_template"]
        form = Jinja2ChatFormatter(template=template, eos_token="<|im_end|>", bos_token="")
        return str(form(messages=messages).prompt)

    llm = LlamaCPP(
        model_path=setup.generator,
        temperature=0.0,
        max_new_tokens=setup.max_tokens,
        context_window=setup.context,
        model_kwargs={"n_threads": setup.threads, "n_threads_batch": setup.threads},
        messages_to_prompt=messages_to_prompt,
        completion_to_prompt=completion_to_prompt,
        verbose=False,
    )
    return llm


if __name__ == "__main__":
    serve(LlamaIndexPeer)
