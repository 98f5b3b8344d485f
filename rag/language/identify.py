"""The script of a text, the language of a question and of a document.

Where the script decides, the script answers; among languages of one script `py3langid`
does (loaded at the first such question: it is 4 MB and takes a moment). It knows nothing
of documents: it judges the few words of a question.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache, lru_cache
from typing import Protocol, cast

from rag.language.folding import words

COMMON = "Zyyy"
"""The script of a text without letters, by its ISO 15924 code."""

_NAMED = {"CJK": "Han", "IDEOGRAPHIC": "Han", "NKO": "Nko"}

BY_SCRIPT = {
    "Devanagari": "hi",  # Marathi and Nepali look alike in a short question
    "Thai": "th", "Greek": "el", "Han": "zh", "Hiragana": "ja", "Katakana": "ja",
    "Hangul": "ko", "Hebrew": "he", "Bengali": "bn", "Tamil": "ta", "Telugu": "te",
    "Gujarati": "gu", "Gurmukhi": "pa", "Kannada": "kn", "Malayalam": "ml", "Oriya": "or",
    "Sinhala": "si", "Lao": "lo", "Khmer": "km", "Myanmar": "my", "Georgian": "ka",
    "Armenian": "hy", "Ethiopic": "am", "Tibetan": "bo",
}  # fmt: skip


# Among which languages py3langid may choose: of all it knows, those that people are likely to
# ask in. Fewer candidates mean fewer mistakes on the few words of a question.
CANDIDATES = {
    "Latin": "en es de fr it pt nl ro tr vi id pl sv cs da no fi hu hr sk ca sw",
    "Cyrillic": "ru uk bg sr",
    "Arabic": "ar fa ur",
}

# A language other than the first candidate must be this probable. On the questions of XQuAD cut to
# their first three words (426 each), 0 calls 98.1 % of the English ones English and 0.4
# calls 99.8 %; uncut, the others stay above 99 %.
_SURE = 0.4
_SURE_OF_ONE_WORD = 0.9

# In a text of two scripts, two of these, one of them first, say that the frame is English
# ("What does ... mean?"); else the Latin words are names within the other script.
_ENGLISH_FRAME = frozenset(
    "a an and are be by can did do does for from give has have how i in is it me mean meaning "
    "of on say tell the this to translate was were what when where which who whom whose why "
    "will with word".split()
)
# Words that begin a question in English and in no other language of our candidates.
_ENGLISH_OPENING = frozenset("how what when where which who whom whose why".split())
_FRAME_SHARE = 0.2
# So many characters of a document tell its language.
_TELLING = 4000


def dominant_script(text: str) -> str:
    """Return the script of most letters of `text` (`"Latin"`, `"Devanagari"`, `"Han"` ...).

    Names are those of the Unicode character names; without letters it is `"Zyyy"`.
    """
    counts = _script_counts(text)
    return counts.most_common(1)[0][0] if counts else COMMON


def language(text: str) -> str:
    """Return the ISO 639-1 code of a question's language; `"en"` where nothing tells."""
    script = _frame_script(text)
    return "en" if script == "Latin" and _plainly_english(text) else _in_script(text, script)


def text_language(text: str) -> str:
    """Return the ISO 639-1 code of a document's language, by the script of most letters."""
    beginning = text[:_TELLING]
    return _in_script(beginning, dominant_script(beginning))


def _in_script(text: str, script: str) -> str:
    if script == "Han" and _script_counts(text).keys() & {"Hiragana", "Katakana"}:
        return "ja"
    return _judged(text, script) if script in CANDIDATES else BY_SCRIPT.get(script, "en")


def _plainly_english(text: str) -> bool:
    """Whether a question begins as English ones do, and goes on so.

    Unpacking the statistics of languages takes a third of a second, and most questions need
    none: of 426 English ones (XQuAD's training articles) 358 are told so, and not one of
    2,130 in German, Romanian, Spanish, Turkish and Vietnamese.
    """
    said = words(text)
    return bool(said) and said[0] in _ENGLISH_OPENING and sum(w in _ENGLISH_FRAME for w in said) > 1


def _frame_script(text: str) -> str:
    """Return the script of the question's own words, whatever the script of its names."""
    counts = _script_counts(text)
    others = counts.total() - counts["Latin"]
    if counts["Latin"] and others >= _FRAME_SHARE * counts.total():
        framed = [word in _ENGLISH_FRAME for word in words(text)]
        if framed[0] and sum(framed) >= 2:
            return "Latin"
        del counts["Latin"]
    return counts.most_common(1)[0][0] if counts.total() else COMMON


def _judged(text: str, script: str) -> str:
    candidates = CANDIDATES[script].split()
    encodable = text.encode("utf-8", "ignore").decode("utf-8")  # no lone surrogates
    probabilities = dict(_identifier().rank(encodable))
    total = sum(probabilities.get(code, 0.0) for code in candidates)
    best = max(candidates, key=lambda code: probabilities.get(code, 0.0))
    one_word = len(text.split()) == 1 and text.isascii()
    sure = _SURE_OF_ONE_WORD if one_word else _SURE
    return best if probabilities[best] >= sure * total else candidates[0]


class _Identifier(Protocol):
    def rank(self, text: str) -> list[tuple[str, float]]: ...


@cache
def _identifier() -> _Identifier:
    from py3langid import langid

    model = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    model.set_languages(" ".join(CANDIDATES.values()).split())
    return cast(_Identifier, model)


def _script_counts(text: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        script = _script(character)
        if script:
            counts[script] += count
    return counts


@lru_cache(maxsize=1 << 14)
def _script(character: str) -> str:
    """Return the script of a letter, or an empty string."""
    if unicodedata.category(character)[0] != "L":
        return ""
    # Full-width and mathematical letters carry no script in their own names.
    plain = unicodedata.normalize("NFKC", character)[0]
    first = unicodedata.name(plain, "").partition(" ")[0].partition("-")[0]
    return _NAMED.get(first, first.capitalize())
