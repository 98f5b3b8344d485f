"""Answers made comparable as the evaluation of MLQA does.

Lower case, punctuation of every script dropped, articles dropped by language, cut into
tokens (Lewis et al. 2020, "MLQA: Evaluating Cross-lingual Extractive Question Answering";
SQuAD's normalisation, Rajpurkar et al. 2016, beyond English). Two things are
ours: texts are composed first (NFC), so that ज़ is one word however it was typed, and the
scripts without spaces beside Chinese are cut into characters too. This module compares
nothing.
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from functools import cache

from rag.language.characters import SPACELESS

_ARTICLES = {
    "en": r"\b(?:a|an|the)\b",
    "es": r"\b(?:un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    # Arabic writes its article as a part of the word. MLQA drops these two letters where-
    # ever they stand; so do we, to be comparable.
    "ar": "ال",
    "vi": r"\b(?:của|là|cái|chiếc|những)\b",
}
_ONE_BY_ONE = re.compile(f"([{SPACELESS}])")
# In these languages a token is a character.
SPACELESS_LANGUAGES = frozenset({"zh", "ja", "th", "lo", "km", "my"})


def tokens(text: str, language: str) -> list[str]:
    """Return the normalised tokens of an answer in a language (ISO 639-1)."""
    text = unicodedata.normalize("NFC", text).lower().translate(_punctuation())
    if language in _ARTICLES:
        text = re.sub(_ARTICLES[language], " ", text)
    if language in SPACELESS_LANGUAGES:
        text = _ONE_BY_ONE.sub(r" \1 ", text)
    return text.split()


@cache
def _punctuation() -> dict[int, None]:
    """Map to nothing: Unicode categories P*, and the ASCII symbols like $ and +."""
    found = (c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c)[0] == "P")
    return dict.fromkeys(map(ord, [*found, *string.punctuation]))
