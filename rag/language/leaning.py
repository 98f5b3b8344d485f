"""Questions that lean on what was asked before ("and how many of them died?").

By a few rules over small tables of each language's grammar words: an opening "and" or "what
about", a pronoun with nothing before it that it could stand for, no word that says
anything, or a fragment ("in April?"). A pronoun with a noun before it has its referent in
the question ("How old was Manning when he ...") and does not lean.

It knows no conversation, and not what a pronoun stands for. How often it is wrong is
measured by `benchmarks/followups.py`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from rag.language.folding import word_spans, words
from rag.language.grammar import TABLES, UNSPACED
from rag.language.identify import language
from rag.language.references import PRONOUNS

# An ellipsis or a fragment is short.
LONGEST_ELLIPSIS = 6
LONGEST_FRAGMENT = 4


@dataclass(frozen=True, slots=True)
class _Cues:
    """A table with its words folded like those of a question."""

    openers: frozenset[str]
    phrases: tuple[str, ...]
    pronouns: frozenset[str]
    strong: frozenset[str]
    subjects: frozenset[str]
    verbs: frozenset[str]
    objects: frozenset[str]
    asks: frozenset[str]
    amounts: frozenset[str]
    empty: frozenset[str]
    relative: frozenset[str]
    before: frozenset[str]
    after: frozenset[str]
    expletive: tuple[str, ...]
    deictic: frozenset[str]
    asked_first: bool


@cache
def _cues(code: str) -> _Cues:
    table = TABLES[code]
    asks, amounts = _folded(table.asks), _folded(table.amounts)
    pronouns = _folded(PRONOUNS.get(code, ""), table.pronouns, table.strong)
    return _Cues(
        openers=_folded(table.openers),
        phrases=_lines(table.phrases),
        pronouns=pronouns - _folded(table.but),
        strong=_folded(table.strong),
        subjects=_folded(table.subjects),
        verbs=_folded(table.verbs),
        objects=_folded(table.objects),
        asks=asks,
        amounts=amounts,
        empty=asks | amounts | _folded(table.grammar, table.verbs, table.openers),
        relative=_folded(table.relative),
        before=_folded(table.before),
        after=_folded(table.after),
        expletive=_lines(table.expletive),
        deictic=_folded(table.deictic),
        asked_first=table.asked_first,
    )


def _folded(*texts: str) -> frozenset[str]:
    return frozenset(words(" ".join(texts)))


def _lines(phrases: Sequence[str]) -> tuple[str, ...]:
    return tuple(_joined(words(phrase)) for phrase in phrases)


def leans_back(question: str, spoken: str = "") -> bool:
    """Whether a question can only be understood from what was asked before it.

    `spoken` is the language of the conversation: few words do not always tell their own.
    """
    if (code := language(question)) in UNSPACED:
        return _leans_unspaced(question, code)
    said = words(question)
    codes = dict.fromkeys(c for c in (code, spoken) if c in TABLES)
    return bool(said) and any(_leans(said, _cues(c)) for c in codes)


def asks_itself(question: str) -> bool:
    """Whether a question has a question word of its own ("in April?" has none)."""
    code = language(question)
    if code in UNSPACED:
        return len(question) > LONGEST_ELLIPSIS
    return code not in TABLES or not _cues(code).asks.isdisjoint(words(question))


def statement(question: str) -> str:
    """Return what a question speaks of, without its question words.

    "How many troops were sent?" gives "troops were sent". Where nothing else is left, or
    the language has no table, the question stays whole.
    """
    plain = question.strip().rstrip("?？؟;।. ")
    code = language(question)
    if code not in TABLES:
        return plain
    kept = "".join(_kept(plain, _cues(code)))
    return " ".join(kept.split()) if set(words(kept)) - _cues(code).empty else plain


def _kept(text: str, cues: _Cues) -> Iterator[str]:
    """Yield the words to keep, each with what stands before it."""
    end, asked, begun = 0, False, False
    for word, start, stop in word_spans(text):
        opening = not begun and (word in cues.openers or word in cues.verbs)
        if not (opening or word in cues.asks or (asked and word in cues.amounts)):
            yield text[end if begun else start : stop]
            begun = True
        asked, end = word in cues.asks, max(end, stop)


def _leans_unspaced(question: str, code: str) -> bool:
    plain = unicodedata.normalize("NFKC", question).strip()
    return plain.startswith(UNSPACED[code])


def _leans(said: Sequence[str], cues: _Cues) -> bool:
    line = _joined(said)
    if said[0] in cues.openers or line.startswith(cues.phrases):
        return True
    if _says_nothing(said, cues) or _is_fragment(said, cues):
        return True
    if not cues.relative.isdisjoint(said) or any(p in line for p in cues.expletive):
        return False
    return any(_points_back(said, place, cues) for place in range(len(said)))


def _says_nothing(said: Sequence[str], cues: _Cues) -> bool:
    """Whether only grammar words stand there: "why?", "when was that?"."""
    return len(said) <= LONGEST_ELLIPSIS and cues.empty | cues.pronouns >= set(said)


def _is_fragment(said: Sequence[str], cues: _Cues) -> bool:
    """Whether it only adds a circumstance: "in April?", "अप्रैल में?"."""
    if len(said) > LONGEST_FRAGMENT or not cues.asks.isdisjoint(said):
        return False
    return said[0] in cues.before or said[-1] in cues.after


def _points_back(said: Sequence[str], place: int, cues: _Cues) -> bool:
    """Whether a pronoun stands there that nothing before it can explain."""
    word, lead = said[place], said[:place]
    last = place == len(said) - 1
    if word in cues.strong:
        return True
    if last and word in cues.objects:
        return True
    if word in cues.subjects and lead and lead[-1] in cues.verbs:
        return cues.openers.isdisjoint(lead)  # "... or did they": of the same sentence
    if word not in cues.pronouns or (not last and said[place + 1] in cues.deictic):
        return False
    return cues.empty >= set(lead) or (cues.asked_first and _only_asked(lead, cues))


def _only_asked(lead: Sequence[str], cues: _Cues) -> bool:
    """Whether the one noun before is what is asked for: "कितने सैनिक उन्होंने"."""
    naming = [place for place, word in enumerate(lead) if word not in cues.empty]
    return len(naming) == 1 and naming[0] > 0 and lead[naming[0] - 1] in cues.asks


def _joined(said: Sequence[str]) -> str:
    """Return the words so that whole ones can be looked for."""
    return f" {' '.join(said)} "
