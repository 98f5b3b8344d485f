"""Answers that were given already, to the very same question over the very same index.

They lie in the folder of the index's generation and go with it: what was said over documents
that have changed since, or are no longer there, is never said again. Models, prompts,
settings, filter and program are part of the key. Before an answer is given again each of its
quotes is compared with the stored text.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rag.datatypes import Answer
from rag.index import Database
from rag.kept import Kept
from rag.stamps import program

FOLDER = "answers"
MOST_BYTES = 20_000_000  # some hundreds of answers, with all that was found for each


def kept_beside(text: Database) -> Kept:
    """Return where the answers over an index lie, whose text file is `text`."""
    return Kept(text.path.parent / FOLDER, "answer 1", MOST_BYTES)


class Remembered:
    """The answers over one generation of an index, whose text file is `text`.

    `about` is all that an answer depends on beside question and index.
    """

    def __init__(self, text: Database, about: Mapping[str, object]) -> None:
        self._text = text
        self._about = {**about, "program": program()}
        self._kept = kept_beside(text)

    def find(self, question: str) -> Answer | None:
        """Return the answer to a question, `None` where it was not asked before."""
        content = self._kept.find(self._key(question))
        if content is None:
            return None
        try:
            answer = msgspec.json.decode(content, type=Answer)
        except msgspec.DecodeError:
            return None
        return answer if self._stands(answer) else None

    def keep(self, question: str, answer: Answer) -> None:
        """Remember an answer; one with text that is no Unicode is not."""
        try:
            self._kept.keep(self._key(question), msgspec.json.encode(answer))
        except UnicodeEncodeError:
            return

    def _key(self, question: str) -> dict[str, object]:
        return {**self._about, "question": question}

    def _stands(self, answer: Answer) -> bool:
        """Whether every quote is a slice of its document as it is stored now."""
        quotes = [quote for c in answer.citations for quote in (c.quote, *c.also)]
        quotes += [quote for e in answer.evidence for quote in (e.quote, *e.also)]
        texts = {path: self._text.text(path) for path in {q.chunk.path for q in quotes}}
        return all(texts[q.chunk.path][q.start : q.end] == q.text for q in quotes)
