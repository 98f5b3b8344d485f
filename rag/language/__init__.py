r"""Text as language: its words, numbers, sentences, script and language.

Everything works on the text as it is and answers with offsets into it; normalisation
happens only inside, for comparing. Nothing here knows files, models or the index, and
nothing uses the `\w` and `\b` of `re`, which cut words of Indic scripts at each vowel
sign.

    characters   character classes, from the Unicode categories
    folding      words and numbers, folded for matching
    lines        paragraphs: which line breaks are borders, which are only wrapping
    splitting    sentence spans, with the abbreviations of `abbreviations`
    shortening   cuts in a sentence that is too long
    names        how a word sounds, to match names across scripts
    questions    what kind of answer a question asks for
    references   sentences that begin with a pronoun
    leaning      questions that lean on the one before, by the tables of `grammar`
    hidden       what a text holds that nobody sees
    orders       sentences that order whoever answers what to answer
    identify     script of a text, language of a question
"""

from rag.language.folding import has_words, numbers, whole_words, word_spans, words
from rag.language.hidden import hidden_spans, visible
from rag.language.identify import dominant_script, language, text_language
from rag.language.leaning import asks_itself, leans_back, statement
from rag.language.names import sound
from rag.language.orders import gives_orders
from rag.language.questions import asks_for_number, asks_for_several, asks_whether
from rag.language.references import refers_back
from rag.language.splitting import sentences

__all__ = [
    "asks_for_number",
    "asks_for_several",
    "asks_itself",
    "asks_whether",
    "dominant_script",
    "gives_orders",
    "has_words",
    "hidden_spans",
    "language",
    "leans_back",
    "numbers",
    "refers_back",
    "sentences",
    "sound",
    "statement",
    "text_language",
    "visible",
    "whole_words",
    "word_spans",
    "words",
]
