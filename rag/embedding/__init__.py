"""Texts to vectors: the `Embedder` protocol, and what implements it.

    core         the protocol
    awaited      one that is loaded when it is asked for a vector
    tokens       the tokenizer of E5, in SentencePiece
    encoder      an encoder in llama.cpp: tokens in, one vector a token out
    light        multilingual-e5-small: questions by llama.cpp, much text by PyTorch
    transformer  any sentence-transformers model

Questions and passages are embedded by different methods because many models want them
marked differently (E5: `query: ` and `passage: `; Wang et al. 2024, "Multilingual E5 Text
Embeddings: A Technical Report"). The marks stay inside the embedder: no caller ever adds
one. Nothing here knows an index or a document, and importing it loads no heavy library.
"""

from rag.embedding.awaited import Awaited
from rag.embedding.core import E5_PROMPTS, Embedder, Vectors
from rag.embedding.encoder import Encoder, States
from rag.embedding.light import LightEmbedder, load_embedder
from rag.embedding.tokens import Tokenizer
from rag.embedding.transformer import Backbone, SentenceTransformerEmbedder

__all__ = [
    "E5_PROMPTS",
    "Awaited",
    "Backbone",
    "Embedder",
    "Encoder",
    "LightEmbedder",
    "SentenceTransformerEmbedder",
    "States",
    "Tokenizer",
    "Vectors",
    "load_embedder",
]
