"""How a word sounds, roughly: one key for the spellings of a name in any script.

A name keeps its consonants when it changes scripts (Lavrov, लावरोव and Лавров give `lvrv`),
so its key is what is left of a romanisation without vowels, aspirates and double letters.
The romanisation is anyascii's, letter by letter. It is coarse on purpose: keys are
compared only between scripts, and weighted by how rare they are. What it buys:
benchmarks/LOG.md. It does not know which words are names.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

SHORTEST = 3
"""Shorter keys say nothing: half of all words of two consonants collide."""

# Spellings of one sound, applied in this order to lower-case Latin letters.
_ONE_SOUND = (
    (re.compile("sch|sh"), "s"),
    (re.compile("tch|ch"), "C"),
    (re.compile("ck|q"), "k"),
    (re.compile("ph"), "f"),
    (re.compile("x"), "ks"),
    (re.compile("w"), "v"),
    (re.compile("z"), "j"),
    (re.compile("c(?=[eiy])"), "s"),
    (re.compile("c"), "k"),
    (re.compile("(?<=[a-zC])h"), ""),  # aspirates: kh, th, bh
    (re.compile("[aeiouy]"), ""),
    (re.compile("m(?=[a-zC])"), "n"),  # an anusvara is any nasal
    (re.compile(r"(.)\1+"), r"\1"),
)


@lru_cache(maxsize=1 << 16)
def sound(word: str) -> str:
    """Return the key of a folded word, or '' where it is too short to tell anything."""
    from anyascii import anyascii

    if any(character.isdigit() for character in word):
        return ""
    latin = word
    if not word.isascii():
        latin = "".join(c for c in unicodedata.normalize("NFD", word) if not _is_accent(c))
    plain = latin.isascii()
    key = re.sub("[^a-z]", "", (latin if plain else anyascii(word)).lower())
    if not plain:
        key = re.sub("ch?", "C", key)  # in romanisations c is the ch of church
    for pattern, replacement in _ONE_SOUND:
        key = pattern.sub(replacement, key)
    return key.lower() if len(key) >= SHORTEST else ""


def _is_accent(character: str) -> bool:
    return "\u0300" <= character <= "\u036f"
