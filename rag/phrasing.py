"""What the generator does for an answer: read a passage, or put a slice into the asker's words.

Across scripts the slice is translated: what is all digits or already in the asker's script
stays, countries, months and the like are named as CLDR has them, and only the rest is asked of
the generator, twice, with and without the question. Of these, and of the slice spelt by the
lexicon where it knows every word, one that has other numbers is none. The default generator
was trained to translate, and how likely a translation of its is right was fitted, too; of
another generator's the nearest in meaning to the slice is taken. One that is less likely right
than wrong is doubtful; one that is not likely at all, or not near, is none: then the slice
itself is shown. This module decides nothing about truth or citations.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise

from rag.calibration import Weights
from rag.citing import claim_of, overlap
from rag.embedding import Embedder
from rag.generation import Generator, Usage
from rag.kept import Kept
from rag.language import dominant_script, numbers, text_language, word_spans, words
from rag.language.identify import COMMON
from rag.lexicon import LONGEST_NAME, Lexicon, kept_names, named
from rag.prompts import REFUSAL, Message, as_data, load, load_for

# A translation must be so near to the original, as a cosine of the embedder; and it has at
# most so many words more than twice as many (benchmarks/LOG.md).
NEAR = 0.87
MORE_WORDS = 3
# The least mean log-likelihood: that of what the generator did not write.
UNLIKELY = -5.0
# Spaces that group digits (8 500): no number ends at them.
HARD_SPACES = "\u00a0\u2009\u202f"
# Words that multiply a number, by power of ten; a translation may not change them.
SCALES = {
    2: "hundred hundreds सौ सैकड़ों",
    3: "thousand thousands हज़ार हज़ारों",
    5: "lakh lakhs लाख लाखों",
    6: "million millions मिलियन",
    7: "crore crores करोड़ करोड़ों",
    9: "billion billions बिलियन अरबों",
    12: "trillion trillions ट्रिलियन",
}
# English names of languages for the prompt that nobody has translated yet.
LANGUAGE_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "cs": "Czech", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "fa": "Persian", "fr": "French",
    "gu": "Gujarati", "he": "Hebrew", "hi": "Hindi", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "kn": "Kannada", "ko": "Korean", "ml": "Malayalam", "nl": "Dutch",
    "mr": "Marathi", "pa": "Punjabi", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish", "ta": "Tamil", "te": "Telugu", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """What a generator wrote about a passage; empty where it refused.

    `refusal` is the probability of the refusal as its first token.
    """

    text: str
    refusal: float


@dataclass(frozen=True, slots=True)
class Translation:
    """A phrase in the asker's script, '' where there is none; `doubtful` if likely wrong."""

    text: str
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a translation of a phrase.

    `cosine` is its nearness in meaning, `likelihood` the mean logarithm of the probabilities
    of its tokens, and `agreement` the lower token F1 with what the generator wrote with and
    without the question.
    """

    text: str
    cosine: float
    likelihood: float
    agreement: float

    def features(self) -> dict[str, float]:
        """Return the numbers that the weights apply to."""
        return {
            "cosine": self.cosine,
            "likelihood": self.likelihood,
            "agreement": self.agreement,
        }


@dataclass(frozen=True, slots=True)
class Trust:
    """Which of several translations is the best, and from when on it is shown.

    From `least` on it is shown as doubtful, from `threshold` on as it is. `weights` of None
    order by cosine: what is known of a generator that nobody calibrated.
    """

    weights: Weights | None
    least: float
    threshold: float

    @staticmethod
    @cache
    def shipped() -> Trust:
        """Load what was fitted for the trained translator (`training/calibrate_translator.py`)."""
        value = json.loads(resources.files("rag").joinpath("translator.json").read_text("utf-8"))
        limits = value["thresholds"]
        right = Weights.from_json(value["right"])
        return Trust(right, float(limits["least"]), float(limits["sure"]))

    def of(self, candidate: Candidate) -> float:
        """Return how far a candidate is to be trusted; comparable with `threshold`."""
        if self.weights is None:
            return candidate.cosine
        return self.weights.probability(candidate.features())


NEARNESS = Trust(None, NEAR, NEAR)


class Phrasing:
    """Puts answers into words with one generator and one embedder.

    `vocabulary` gives the words that a lexicon may spell with, common ones first; what it
    makes of them, and the names that CLDR knows, are kept in `lexicons`.
    """

    def __init__(
        self,
        generator: Callable[[], Generator],
        embedder: Embedder,
        vocabulary: Callable[[], Iterable[str]],
        max_tokens: int,
        lexicons: Kept | None = None,
    ) -> None:
        self._generator = generator
        self._embedder = embedder
        self._max_tokens = max_tokens
        self._lexicon = cache(lambda script: Lexicon(script, vocabulary(), embedder, lexicons))
        self._names = cache(lambda source, target: kept_names(source, target, lexicons))

    def read(
        self,
        question: str,
        language: str,
        passages: Sequence[str],
        on_text: Callable[[str], None],
        usage: Usage,
        hopeful: Callable[[], bool] = lambda: True,
    ) -> Written | None:
        """Let the generator answer from the first of the passages that fits its window.

        Passages are tried from the longest; `None` where none fits. A number is handed to
        `on_text` only if the passage has it. `hopeful` is asked at the first token, when
        `usage.refusal` is known: where it says no, nothing more is written.
        """
        generator = self._generator()
        for passage in passages:
            messages = load_for("read", language).fill(
                {
                    "passage": as_data(passage),
                    "question": as_data(question),
                    "language": LANGUAGE_NAMES.get(language, "the language of the question"),
                }
            )
            if generator.count(messages) + self._max_tokens <= generator.context:
                output = self._stream(generator, messages, passage, on_text, usage, hopeful)
                return Written("" if REFUSAL in output else claim_of(output), usage.refusal)
        return None

    def cost(self, text: str) -> int:
        """Count the tokens that a document's text takes in a prompt."""
        count = self._generator().count
        empty: Message = {"role": "user", "content": ""}
        return count([{**empty, "content": as_data(text)}]) - count([empty])

    def _stream(
        self,
        generator: Generator,
        messages: Sequence[Message],
        passage: str,
        on_text: Callable[[str], None],
        usage: Usage,
        hopeful: Callable[[], bool],
    ) -> str:
        """Write one line, showing whole words; '' at a number that the passage lacks."""
        known = set(numbers(passage))
        output, shown = "", 0
        for piece in generator.stream(
            messages, usage, max_tokens=self._max_tokens, refusal=REFUSAL
        ):
            if not output and not hopeful():
                return ""
            output = (output + piece).lstrip()
            line, ended, _ = output.partition("\n")
            ready = showable(line, shown)
            if REFUSAL in output or not set(numbers(line[:ready])) <= known:
                return ""
            if ready > shown and not REFUSAL.startswith(line.strip()):
                on_text(line[shown:ready])
                shown = ready
            if ended:
                break
        return output if set(numbers(claim_of(output))) <= known else ""

    def translate(
        self, phrase: str, question: str, language: str, usages: list[Usage]
    ) -> Translation:
        """Return a slice of a document in the script of the question, '' where it cannot."""
        script = dominant_script(question)
        if dominant_script(phrase) in (script, COMMON):
            return Translation(plain_digits(phrase))
        if known := self._spell(phrase, language, None):
            return Translation(known)
        found = self.candidates(phrase, question, language, usages)
        trust = Trust.shipped() if self._generator().translator else NEARNESS
        best = max(found, key=trust.of, default=None)
        if best is None or trust.of(best) < trust.least:
            return Translation("")
        return Translation(best.text, doubtful=trust.of(best) < trust.threshold)

    def candidates(
        self, phrase: str, question: str, language: str, usages: list[Usage]
    ) -> list[Candidate]:
        """Return what may be the translation of a phrase: nothing with other numbers."""
        script = dominant_script(question)
        asked = [self._ask(phrase, about, language, usages) for about in ("", question)]
        likelihood = dict(reversed(asked))
        spelt = self._spell(phrase, language, self._lexicon(script))
        texts = dict.fromkeys([*(text for text, _ in asked), spelt])
        fair = [text for text in texts if faithful(text, phrase, script)]
        if not fair:
            return []
        vectors = self._embedder.embed_queries([phrase, *fair])
        return [
            Candidate(
                text,
                cosine=float(cosine),
                likelihood=likelihood.get(text, UNLIKELY),
                agreement=min(overlap(text, other) for other, _ in asked),
            )
            for text, cosine in zip(fair, vectors[1:] @ vectors[0], strict=True)
        ]

    def _spell(self, phrase: str, language: str, lexicon: Lexicon | None) -> str:
        """Return the phrase where every word is a number or a known name; else ''.

        Without a lexicon only the names of CLDR are known.
        """
        if scales(phrase):
            return ""  # they are translated, not spelt: अरब is 10⁹, and it is Arab
        said, spelt, done = word_spans(phrase), "", 0
        names = self._names(text_language(phrase), language)
        while said:
            word, start, end = said[0]
            count, name = named([w for w, _, _ in said[:LONGEST_NAME]], names)
            if not count:
                number = word.replace(".", "").isdigit()
                count = 1
                name = plain_digits(phrase[start:end]) if number else ""
                name = name or (lexicon.spelling(word) if lexicon else "")
            if not name or start < done:  # ½ is two words in one place
                return ""
            # What stands between the words stays: 2,5 and 10:30 are not two numbers.
            spelt += (phrase[done:start] or " " * bool(done)) + name
            done = said[count - 1][2]
            said = said[count:]
        return spelt + phrase[done:]

    def _ask(
        self, phrase: str, asked: str, language: str, usages: list[Usage]
    ) -> tuple[str, float]:
        """Return what the generator writes, and the mean log-likelihood of its tokens."""
        generator, prompt = self._generator(), load_for("translate", language)
        if generator.translator is not None:
            # What it was trained with; worked examples would only take time.
            generator, prompt = generator.translator, load("translator")
        messages = prompt.fill(
            {
                "phrase": as_data(phrase),
                "asked": f"\n(it answers: {as_data(asked)})" if asked else "",
                "language": LANGUAGE_NAMES.get(language, "the language of the question"),
            }
        )
        if generator.count(messages) + self._max_tokens > generator.context:
            return "", UNLIKELY
        usages.append(usage := Usage())
        # A translation is about as long as the original: what runs on is none.
        most = min(self._max_tokens, 12 + 4 * len(phrase))
        pieces = generator.stream(messages, usage, max_tokens=most, refusal=REFUSAL)
        text = claim_of("".join(pieces))
        said = [math.log(max(p, 1e-9)) for p in usage.probabilities]
        return text, max(sum(said) / len(said), UNLIKELY) if said else UNLIKELY


def faithful(text: str, phrase: str, script: str) -> bool:
    """Whether a translation may be one: other script, same numbers, not much longer."""
    said = words(text)
    return (
        bool(said)
        and REFUSAL not in text
        and dominant_script(text) in (script, COMMON)
        and sorted(numbers(text)) == sorted(numbers(phrase))
        and scales(phrase) in ([], scales(text))
        and len(said) <= 2 * len(words(phrase)) + MORE_WORDS
    )


def scales(text: str) -> list[int]:
    """Return the powers of ten that a text's words name, sorted: lakh and million differ."""
    said = words(text)
    found = [_powers()[w] for w in said if w in _powers()]
    # अरब is a thousand million only behind a number; else it is Arab.
    found += [9 for one, two in pairwise(said) if one[0].isdigit() and two == "अरब"]
    return sorted(found)


@cache
def _powers() -> dict[str, int]:
    return {folded: power for power, text in SCALES.items() for folded in words(text)}


def plain_digits(text: str) -> str:
    """Return the text with the digits of every script written 0 to 9."""
    return "".join(
        str(unicodedata.decimal(c)) if unicodedata.category(c) == "Nd" else c for c in text
    )


def showable(output: str, shown: int) -> int:
    """Return up to where an output may be shown: whole words, and never a label.

    A label is the program's to write, and a number is not known before it ends.
    """
    end = len(output)
    while end > shown and (not output[end - 1].isspace() or output[end - 1] in HARD_SPACES):
        end -= 1
    bracket = min((i for i in (output.find(c, shown) for c in "[【［") if i >= 0), default=end)
    return min(end, bracket) if bracket > shown else shown
