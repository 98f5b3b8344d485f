"""Words that another script writes for the same thing: by sound, and by CLDR.

A name keeps its sound when it changes scripts, so the words of a tokenizer's vocabulary
that sound like it (`rag.language.sound`) are its possible spellings; which of them is meant
the embedder tells, because it was trained on both (William, Willem and Vilhelm all sound
like विलियम; the first is the nearest). Countries, languages, months and weekdays, whose names
often do not sound alike, come from the Unicode CLDR through Babel. It does not translate
anything else.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import msgspec
import platformdirs

from rag.embedding import Embedder
from rag.kept import Kept
from rag.language import dominant_script, sound, word_spans, words
from rag.language.identify import COMMON
from rag.settings import APP
from rag.stamps import program, stamp

T = TypeVar("T")
# The spelling must be so near to the word, as a cosine of the embedder; a higher bar did not
# keep out the wrong ones (benchmarks/LOG.md), so a spelling is a candidate and no verdict.
NEAR = 0.88
# So many spellings of one sound are compared, the commonest first.
SPELLINGS = 40
LONGEST_NAME = 5  # words
MOST_BYTES = 10_000_000  # a script takes a quarter of a megabyte at the most
_BEGINS_WORD = "▁"

Spellings = Mapping[str, Sequence[str]]


class Lexicon:
    """Spellings in one script, from a vocabulary, by sound."""

    def __init__(
        self,
        script: str,
        vocabulary: Iterable[str],
        embedder: Embedder,
        kept: Kept | None = None,
    ) -> None:
        """Take the words of a script from a vocabulary that lists common ones first.

        What was made of it is found again in `kept`.
        """
        self._embedder = embedder
        self._spellings = _found_again(script, list(vocabulary), kept)

    def spelling(self, word: str) -> str:
        """Return how a word of another script is spelt here; '' where nothing is near."""
        found = self._spellings.get(sound(word), [])[:SPELLINGS]
        if not found:
            return ""
        vectors = self._embedder.embed_queries([word, *found])
        cosines = vectors[1:] @ vectors[0]
        best = int(cosines.argmax())
        return found[best] if cosines[best] >= NEAR else ""


def _found_again(script: str, vocabulary: Sequence[str], kept: Kept | None) -> Spellings:
    """Return the words of a script by their sound; it takes .4 s to tell anew."""
    if kept is None:
        return _by_sound(script, vocabulary)
    digest = hashlib.sha256("\n".join(vocabulary).encode("utf-8", "replace")).hexdigest()
    key = {"script": script, "vocabulary": digest, "program": program()}
    return _once(kept, key, dict[str, list[str]], lambda: _by_sound(script, vocabulary))


def _once(kept: Kept, key: Mapping[str, object], kind: type[T], make: Callable[[], T]) -> T:
    """Return what was kept under a key, or make it and keep it."""
    with suppress(msgspec.DecodeError):
        if (content := kept.find(key)) is not None:
            return msgspec.json.decode(content, type=kind)
    made = make()
    kept.keep(key, msgspec.json.encode(made))
    return made


def _by_sound(script: str, vocabulary: Iterable[str]) -> dict[str, list[str]]:
    spellings = defaultdict(list)
    begins = cache(dominant_script)
    for piece in vocabulary:
        word = piece.removeprefix(_BEGINS_WORD)
        # Names: the vocabulary is of a hundred languages (hezar, siden, menteri).
        if word == piece or len(word) < 3 or word[0].islower():
            continue
        # Of 250,000 pieces: what can be told by one letter is, and ASCII needs no folding.
        if word.isascii():
            if script == "Latin" and word.isalpha() and (key := sound(word.lower())):
                spellings[key].append(word)
            continue
        if begins(word[0]) not in (script, COMMON) or dominant_script(word) != script:
            continue
        # Not isalpha(): the vowel signs of Indic scripts are no letters.
        said = word_spans(word)
        if [place for _, *place in said] == [[0, len(word)]] and (key := sound(said[0][0])):
            spellings[key].append(word)
    return dict(spellings)


def lexicons_of_user(folder: Path | None = None) -> Kept:
    """Return where spellings by sound are kept: in a folder, or in the user's cache."""
    folder = folder or Path(platformdirs.user_cache_dir(APP)) / "lexicons"
    return Kept(folder, "lexicon 1", MOST_BYTES, parents=True)


@lru_cache(maxsize=64)
def shared_names(source: str, target: str) -> Mapping[tuple[str, ...], str]:
    """Map the folded words of a name in one language to the name in another.

    Countries, languages, months and weekdays, for two ISO 639-1 codes; empty where CLDR
    lacks one of them.
    """
    from babel import Locale, UnknownLocaleError

    try:
        one, other = Locale.parse(source), Locale.parse(target)
    except (UnknownLocaleError, ValueError):
        return {}
    found: dict[tuple[str, ...], str] = {}
    for table in ("languages", "territories"):
        names = getattr(other, table)
        for code, name in getattr(one, table).items():
            # Languages with three letters are small ones whose names are also words:
            # सेना is an army, and in Mozambique a language.
            known = len(code) == 2 or "_" in code or table == "territories"
            if known and code in names and not code.isdigit():
                found[tuple(words(name))] = names[code]
    for table in ("days", "months"):
        for context in ("stand-alone", "format"):
            names = getattr(other, table)["format"]["wide"]
            for number, name in getattr(one, table)[context]["wide"].items():
                found[tuple(words(name))] = names[number]
    found.pop((), None)
    return found


def kept_names(source: str, target: str, kept: Kept | None) -> Mapping[tuple[str, ...], str]:
    """Return `shared_names`, found again in `kept`: Babel takes .05 s to tell them anew."""
    babel = find_spec("babel")
    if kept is None or babel is None or babel.origin is None:
        return shared_names(source, target)
    key = {"names": [source, target], "babel": stamp(Path(babel.origin)), "program": program()}

    def made() -> list[tuple[tuple[str, ...], str]]:
        return list(shared_names(source, target).items())

    return dict(_once(kept, key, list[tuple[tuple[str, ...], str]], made))


def named(said: Sequence[str], names: Mapping[tuple[str, ...], str]) -> tuple[int, str]:
    """Return how many of the first words are a known name, the longest, and that name."""
    for length in range(min(len(said), LONGEST_NAME), 0, -1):
        if name := names.get(tuple(said[:length])):
            return length, name
    return 0, ""
