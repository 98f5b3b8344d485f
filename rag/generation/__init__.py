"""Messages to text: the `Generator` protocol, and its implementation on llama.cpp.

    core        the protocol, and what a generation took
    template    the GGUF's own chat template, with its model's whims
    model       a file in llama.cpp: tokens in, logits out, and its state
    states      states that are kept on disk
    engine      a prompt in, one step a token out
    loading     a GGUF file to an engine
    llama       the generator: template and engine together, thinking hidden

Decoding is greedy, so the same messages give the same text on the same machine. Nothing
here knows of documents or citations, and importing it loads no llama_cpp.
"""

from rag.generation.core import Generator, Usage
from rag.generation.llama import LlamaGenerator
from rag.generation.states import states_of_user

__all__ = ["Generator", "LlamaGenerator", "Usage", "states_of_user"]
