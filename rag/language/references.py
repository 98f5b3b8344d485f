"""Sentences that speak of something named before ("He arrived in Wonsan").

By the pronouns of the third person, per language, among a sentence's first words. It does
not know what they refer to.
"""

from __future__ import annotations

from functools import cache

from rag.language.folding import words

FIRST_WORDS = 2

PRONOUNS = {
    "en": "he she it they his her its their him them",
    "hi": "वह वे वो उन्होंने उसने उसे उन्हें उनका उनकी उनके उसका उसकी उसके इन्होंने इसने इसका इसकी इसके यह ये",
    "ur": "وہ یہ انہوں اس ان",
    "ar": "هو هي هم هما",
    "fa": "او آنها ایشان",
    "ru": "он она оно они его её ее их ему ей им",
    "es": "él ella ellos ellas",
    "fr": "il elle ils elles",
    "de": "er sie es ihr ihre sein seine",
    "el": "αυτός αυτή αυτό αυτοί",
}
"""Pronouns with which a sentence may begin, by language; `leaning` adds those of questions."""
# In scripts without spaces words are bigrams, and a pronoun is a beginning of the text.
_UNSPACED = ("他", "她", "它", "彼", "เขา", "เธอ", "มัน", "พวกเขา")


@cache
def _pronouns() -> frozenset[str]:
    return frozenset(words(" ".join(PRONOUNS.values())))


def refers_back(sentence: str, said: frozenset[str] | None = None) -> bool:
    """Whether one of the first two words is a pronoun of the third person.

    `said` are the sentence's folded words where they are known: most sentences have no
    pronoun at all, and need not be folded again.
    """
    beginning = sentence.lstrip("\"'“‘«([ ")[:40]
    if beginning.startswith(_UNSPACED):
        return True
    if said is not None and said.isdisjoint(_pronouns()):
        return False
    return not _pronouns().isdisjoint(words(beginning)[:FIRST_WORDS])
