"""What kind of answer a question asks for: several, or a yes or no.

By the words that say so. A question in a language that is not here, or that says it
otherwise, asks for one answer of any kind.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from rag.language.folding import words
from rag.language.identify import language

_SEVERAL = (
    "list all each both every various sides respectively "
    "सभी सूची दोनों प्रत्येक हर किन्हीं पक्षों "
    "todos todas cada ambos ambas alle beide jede jeder tous toutes chaque "
    "все каждый каждая каждые оба обе перечислите كل جميع كلا tüm hepsi her tutti tutte ogni "
    "entrambi όλοι όλες όλα κάθε toți toate fiecare ambele mỗi"
)
# They count among so many first words only: "which cities did both visit?", but not "which
# problem consists of both …?". Of 426 training questions of XQuAD, each with one answer, 6
# hold one of these words in English, and 1 at the beginning.
_BEGINNING = 4
# Where no space stands between words, they are looked for as they are.
_SEVERAL_WITHIN = ("ทั้งหมด", "ทุก", "所有", "各", "分别")
# Common words of these languages that mean something else there: her book, alle otto.
_OTHERWISE = {"en": "her", "it": "alle"}
# Hindi says a question word twice where it asks for several: कौन-कौन, किन-किन.
_DOUBLED = "कौन किन क्या कहाँ किस"
_AUXILIARIES = (
    "is are was were do does did has have had can could will would should may might isn aren "
    "wasn weren don doesn didn hasn haven hadn won"
)
_ASKING = (
    "who what which when where why how whom whose or कौन कब कहाँ क्यों कैसे कितना कितने कितनी "
    "किस किसने किसे किन किसका किसकी किसके या"
)
_WHETHER = "क्या"
_AMOUNTS = (
    "कितने कितनी कितना कब cuánto cuántos cuánta cuántas cuándo wieviel wieviele wann combien quand "
    "quanti quante quando сколько когда كم متى πόσο πόσα πόσοι πόσες πότε kaç câți câte când"
)
_HOW, _MANY = "how", ("many", "much")
_KNOWN = ("en", "hi")


@cache
def _folded(text: str) -> frozenset[str]:
    return frozenset(words(text))


def asks_for_several(question: str) -> bool:
    """Whether a question says that its answer has several parts."""
    said = words(question)
    if any(a == b and a in _folded(_DOUBLED) for a, b in pairwise(said)):
        return True
    found = _folded(_SEVERAL).intersection(said[:_BEGINNING])
    if found:
        found -= _folded(_OTHERWISE.get(language(question), ""))
    return bool(found) or any(word in question for word in _SEVERAL_WITHIN)


def asks_whether(question: str) -> bool:
    """Whether a question wants a yes or no; known for English and Hindi."""
    said = words(question)
    # "was" is an auxiliary in English and what in German.
    if language(question) not in _KNOWN or not said or not _folded(_ASKING).isdisjoint(said[1:]):
        return False
    return said[0] in _folded(_AUXILIARIES) or said[0] in _folded(_WHETHER)


def asks_for_number(question: str) -> bool:
    """Whether a question most likely has a number or a date for an answer: a guess.

    Of 674 of XQuAD's training questions, in nine languages, that do so by these words, 500
    have a digit in their answer.
    """
    said = words(question)
    if said[:1] == ["when"] or (said[:1] == [_HOW] and said[1:2] and said[1] in _MANY):
        return True
    return not _folded(_AMOUNTS).isdisjoint(said)
