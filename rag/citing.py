"""What the generator wrote, held against the sentences that it was shown.

The generator can name a sentence only by its number in the prompt; a number that was not
shown is dropped. Which file and which words are cited is decided here, from the evidence
itself: a quote is always a slice of a document. A claim is supported by a sentence when
every number of the claim stands in it (in any script's digits, however grouped) and, where
both are in one script, most of its words do too. Names that cross scripts cannot be
compared here; for those the generator's own label is all there is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.datatypes import Citation, Evidence, Quote
from rag.language import dominant_script, numbers, words
from rag.language.identify import COMMON

_LABEL = re.compile(r"[ \t]*[\[【［]\s*(\d{1,3})(?:\s*[,;]\s*(\d{1,3}))*\s*[\]】］]")
_LABEL_DIGITS = re.compile(r"\d{1,3}")
SUPPORT = 0.5
# Shortest common beginning that makes two inflected words count as one (सैनिक, सैनिकों).
STEM = 3
STEM_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of the generator and the numbers of the sentences that it named."""

    text: str
    labels: tuple[int, ...]


def claims(output: str) -> list[Claim]:
    """Cut an output into claims: text, up to and including the labels that follow it."""
    found: list[Claim] = []
    start = 0
    for match in _LABEL.finditer(output):
        text = output[start : match.start()].strip(" \t\r\n,;.।")
        labels = tuple(int(d) for d in _LABEL_DIGITS.findall(match.group()))
        if text:
            found.append(Claim(text, labels))
        elif found:
            found[-1] = Claim(found[-1].text, found[-1].labels + labels)
        start = match.end()
    rest = output[start:].strip(" \t\r\n,;.।")
    if rest:
        found.append(Claim(rest, ()))
    return found


def supports(claim: str, sentence: str) -> bool:
    """Whether a sentence can prove a claim, as far as its numbers and words tell."""
    if not set(numbers(claim)) <= set(numbers(sentence)):
        return False
    said = [w for w in words(claim) if not w[0].isdigit()]
    script = dominant_script(sentence)
    if not said or script != dominant_script(claim):
        # A row of mere numbers is in no script; it says nothing of a claim without one.
        return bool(numbers(claim)) or (bool(said) and script != COMMON)
    present = set(words(sentence))
    matched = sum(1 for word in said if _present(word, present))
    return matched / len(said) >= SUPPORT


def comparable(claim: str, sentence: str) -> bool:
    """Whether `supports` has more to go by than the absence of a contradiction."""
    return bool(numbers(claim)) or dominant_script(claim) == dominant_script(sentence)


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


def cite(claim: Claim, evidence: Sequence[Evidence]) -> Evidence | None:
    """Choose the sentence that proves a claim, or `None` where none of them does.

    The sentence that the generator named comes first if it supports the claim, then the
    others in their order, as far as numbers or words can be compared at all.
    """
    by_number = {e.number: e for e in evidence}
    named = [by_number[n] for n in claim.labels if n in by_number]
    for item in named:
        if supports(claim.text, item.quote.text):
            return item
    for item in evidence:
        text = item.quote.text
        if comparable(claim.text, text) and supports(claim.text, text):
            return item
    return None


def citation(number: int, evidence: Evidence) -> Citation:
    """Make the citation of a sentence under the number that the reader sees."""
    quote: Quote = evidence.quote
    return Citation(number, quote.chunk.path, quote.chunk.page, quote)
