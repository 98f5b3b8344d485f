"""What the generator wrote, held against the passage that it was shown.

The generator has no say in citations. Its claim is looked for in the sentences of the
passage, and the one that supports it best is cited; none that does, and the claim is
dropped. A quote is always a slice of a document. What looks like a label in the output is
dropped.

A claim is supported by its sentence when every number of the claim stands in it (in any
script's digits, however grouped) and, where both are in one script, most of its words do
too. Names that cross scripts cannot be compared here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.datatypes import Citation, Evidence
from rag.language import dominant_script, numbers, words
from rag.language.identify import COMMON

_LABEL = re.compile(r"[ \t]*[\[【［][^\]】］\n]{0,40}[\]】］]?")
_ENDS = " \t\r\n,;.।。"
SUPPORT = 0.5
# Shortest common beginning that makes two inflected words count as one (सैनिक, सैनिकों).
STEM = 3
STEM_SHARE = 0.6


def claim_of(output: str) -> str:
    """Return what an output claims: its first line up to a label, without end marks."""
    first = output.strip().split("\n", 1)[0]
    parts = (part.strip(_ENDS) for part in _LABEL.split(first))
    return next((part for part in parts if part), "")


def supports(claim: str, sentence: str) -> bool:
    """Whether a sentence can prove a claim, as far as its numbers and words tell."""
    if not set(numbers(claim)) <= set(numbers(sentence)):
        return False
    said = [w for w in words(claim) if not w[0].isdigit()]
    if not said:
        return bool(numbers(claim))
    script = dominant_script(sentence)
    if script != dominant_script(claim):
        # A row of mere numbers is in no script; it says nothing of a claim without one.
        return script != COMMON or bool(numbers(claim))
    present = set(words(sentence))
    matched = sum(1 for word in said if _present(word, present))
    return matched / len(said) >= SUPPORT


def _present(word: str, present: set[str]) -> bool:
    if word in present:
        return True
    return any(_common(word, other) >= max(STEM, STEM_SHARE * len(other)) for other in present)


def _common(one: str, other: str) -> int:
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length


def locate(claim: str, sentences: Sequence[str], preferred: int = 0) -> int | None:
    """Return which sentence supports a claim best; `None` where none does.

    The one that holds the most of its words, and among those `preferred` first.
    """
    said = set(words(claim))
    best: tuple[int, bool, int] | None = None
    for place, sentence in enumerate(sentences):
        if supports(claim, sentence):
            rank = (len(said & set(words(sentence))), place == preferred, -place)
            best = max(best, rank) if best else rank
    return None if best is None else -best[2]


def citation(number: int, evidence: Evidence, date: str = "") -> Citation:
    """Make the citation of a sentence under the number that the reader sees."""
    quote = evidence.quote
    return Citation(number, quote.chunk.path, quote.chunk.page, quote, evidence.also, date)


def overlap(one: str, other: str) -> float:
    """Return the token F1 of two texts, in [0, 1], by sets of words."""
    a, b = set(words(one)), set(words(other))
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0
