"""Evidence to readings: what answer each sentence may hold, and how likely it does.

The span reader reads all sentences in one batch; its margins, with what the search knew,
become confidences. No generator is needed, so a refusal costs no more than a search. It
writes nothing: a reading's text is a slice of its sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.calibration import Calibration, Signals
from rag.datatypes import Evidence, Hit
from rag.language import dominant_script
from rag.language.identify import COMMON
from rag.retrieve import Found
from rag.spans import Reader, Span


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence that was read, its likeliest answer, and how likely it is one.

    `rank`, in [0, 1], orders the sentences of a question.
    """

    evidence: Evidence
    span: Span
    signals: Signals
    confidence: float
    rank: float

    @property
    def text(self) -> str:
        """The likeliest answer: a slice of the sentence."""
        return self.evidence.quote.text[self.span.start : self.span.end]


def extract(question: str, found: Found, reader: Reader, calibration: Calibration) -> list[Reading]:
    """Read every sentence of the evidence; likeliest first."""
    return read_sentences(question, found.evidence, found.hits, reader, calibration)


def read_sentences(
    question: str,
    evidence: Sequence[Evidence],
    hits: Sequence[Hit],
    reader: Reader,
    calibration: Calibration,
) -> list[Reading]:
    """Read sentences that stand in the chunks of `hits`; likeliest first."""
    keyword = {hit.chunk.id: hit.keyword for hit in hits}
    readings = []
    spans_of = reader.read(question, [item.quote.text for item in evidence])
    for item, spans in zip(evidence, spans_of, strict=True):
        if not spans:
            continue
        signals = Signals(
            margin=spans[0].margin,
            cosine=item.score,
            keyword=keyword.get(item.quote.chunk.id, 0.0),
            crossing=crosses(question, item.quote.text),
        )
        sure, rank = calibration.confidence(signals), calibration.rank(signals)
        readings.append(Reading(item, spans[0], signals, sure, rank))
    return sorted(readings, key=lambda r: (-r.rank, r.evidence.number))


def crosses(question: str, text: str) -> bool:
    """Whether a text is in another script than the question."""
    script = dominant_script(text)
    return script not in (COMMON, dominant_script(question))
