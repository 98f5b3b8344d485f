"""Messages to text: the `Generator` protocol, and its implementation on llama.cpp.

    core        the protocol, and what a generation took
    template    the GGUF's own chat template, with its model's whims
    engine      llama.cpp: tokens in, tokens out
    loading     a GGUF file to an engine
    llama       the generator: template and engine together, thinking hidden

Decoding is greedy, so the same messages give the same text on the same machine. Nothing
here knows of documents or citations, and importing it loads no llama_cpp.
"""

from rag.generation.core import Generator, Usage
from rag.generation.llama import LlamaGenerator

__all__ = ["Generator", "LlamaGenerator", "Usage"]
