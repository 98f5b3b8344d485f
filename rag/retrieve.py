"""A question to its hits, and the hits to the sentences that may prove an answer.

Two legs: vectors (chunks and single sentences) and keywords. Keyword evidence is added
only to chunks in the script of the question, scaled by how much of the question's words
matched: across scripts words match by accident, and adding them there wrecked the ranking
(nDCG@10 .930 to .428 with plain reciprocal rank fusion, see docs/architecture.md).
This module knows no generator and no display.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rag.datatypes import Evidence, Hit
from rag.embedding import Embedder, Vectors
from rag.index import Index, Sentence
from rag.language import dominant_script, words

# How many candidates each leg brings, as a multiple of the chunks asked for.
DEPTH = 6
KEYWORD_WEIGHT = 0.04
SENTENCE_SHARE = 0.5
MIN_SENTENCE_WORDS = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gives: hits, best first, and the sentences worth showing."""

    hits: tuple[Hit, ...]
    evidence: tuple[Evidence, ...]
