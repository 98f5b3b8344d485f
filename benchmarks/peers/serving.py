"""The peer's side of the conversation with `run.py`: one JSON object a line, either way.

Asked for `index`, `load` and `ask`, it says `indexed`, `loaded`, `first` (words can be shown)
and `answer`, or `failed` with a line that tells why. The driver takes all times, from outside.
This file runs in every peer's own environment: it imports nothing but the standard library
and llama-cpp-python.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

# What the model card of multilingual-e5 wants before each text.
QUERY, PASSAGE = "query: ", "passage: "


@dataclass(frozen=True)
class Setup:
    """What is the same for all: the models' paths, and the generator's limits."""

    embedder: str
    generator: str
    threads: int
    context: int
    max_tokens: int


class Reply(NamedTuple):
    """What an answer rests on; `text` where it is another than what was streamed.

    `refused` is `None` where a pipeline has no refusal of its own: its words then tell.
    """

    sources: list[str]
    text: str | None = None
    refused: bool | None = None


class Peer(Protocol):
    """A pipeline over one folder of documents."""

    def index(self, documents: str, store: str) -> int:
        """Index the files of a folder, keep the index on disk, return its number of chunks."""

    def load(self, store: str) -> None:
        """Load the index, and whatever a question needs that can be loaded before it."""

    def ask(self, question: str, say: Callable[[str], None]) -> Reply:
        """Say the answer, piece by piece; return the names of the files it rests on."""


def plain_weights() -> None:
    """Let llama.cpp leave the weights as they lie in the file, as the project does.

    Its AMX kernels crash on Xeons of the Sapphire Rapids family (`rag/llamacpp.py`),
    and one setting for all is also what makes the times comparable.
    """
    from llama_cpp import llama_cpp as library

    original = library.llama_model_default_params

    def plain() -> Any:
        parameters = original()
        parameters.use_extra_bufts = False
        return parameters

    library.llama_model_default_params = plain


def file_names(paths: list[str]) -> list[str]:
    """Return the files' names, each once, best first."""
    return list(dict.fromkeys(Path(path).name for path in paths))


def peak_mb() -> float:
    """Return the highest resident memory of this process so far, in 10^6 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def serve(make: Callable[[Setup], Peer]) -> None:
    """Answer the driver until it closes the pipe."""
    # What libraries print must not get between the lines of the conversation.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(said: str, **more: Any) -> None:
        pipe.write(json.dumps({"said": said, "peak_mb": peak_mb(), **more}) + "\n")
        pipe.flush()

    try:
        peer = make(Setup(**json.loads(sys.argv[1])))
        for line in sys.stdin:
            _do(json.loads(line), peer, tell)
    except Exception as error:
        tell("failed", why=" ".join(f"{type(error).__name__}: {error}".split())[:500])
        raise


def _do(order: dict[str, str], peer: Peer, tell: Callable[..., None]) -> None:
    if order["do"] == "index":
        tell("indexed", chunks=peer.index(order["documents"], order["store"]))
    elif order["do"] == "load":
        peer.load(order["store"])
        tell("loaded")
    else:
        said: list[str] = []

        def say(piece: str) -> None:
            if piece and not said:
                tell("first")
            if piece:
                said.append(piece)

        reply = peer.ask(order["question"], say)
        text = "".join(said).strip() if reply.text is None else reply.text
        tell("answer", text=text, sources=reply.sources, refused=reply.refused)
