"""Why an answer came out as it did, in plain words.

Made of the fields of an `Answer` only: a stage or a count that it has is told, one that it
lacks is not. This module prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from rag.conversation import Turn
from rag.datatypes import Answer, Filter

STAGES = {
    "search": "searching",
    "load_generator": "loading the generator",
    "load_reader": "loading the reader",
    "read": "reading",
    "generate": "writing",
}
"""How the stages of `Answer.timings` are called; another one by its own name."""


def reasons(
    turn: Turn, *, threshold: float, cosine_floor: float, wanted: Filter | None = None
) -> list[str]:
    """Say how a turn's answer came about, one statement a line.

    `threshold` and `cosine_floor` are those of the calibration; `wanted` is the filter.
    """
    answer = turn.answer
    if answer is None:
        return []
    lines = []
    if turn.understood.follows:
        lines.append(f"Understood as: {turn.understood.text}")
    if wanted and wanted != Filter():
        lines.append(f"Looked only in what passes {wanted}.")
    lines.append(_verdict(answer, threshold, cosine_floor))
    if answer.remembered:
        lines.append("The question was asked before, and this is the answer it got then.")
    return [*lines, *_work(answer)]


def _verdict(answer: Answer, threshold: float, cosine_floor: float) -> str:
    if not answer.refused:
        count = len(answer.citations)
        return (
            f"Answered from {count} sentence{'' if count == 1 else 's'}, with confidence "
            f"{answer.confidence:.2f}. Below {threshold:.2f} it would have been refused."
        )
    if not answer.evidence:
        return "Refused: nothing was found to read."
    best = max(e.score for e in answer.evidence)
    if not answer.confidence and best < cosine_floor:
        return (
            f"Refused without reading: the sentence closest in meaning has {best:.2f}, "
            f"and {cosine_floor:.2f} is needed."
        )
    return (
        f"Refused: confidence {answer.confidence:.2f}, and {threshold:.2f} is needed. Either no "
        "sentence seemed to hold the answer, or what was written is not in its sentence."
    )


def _work(answer: Answer) -> Iterator[str]:
    asked, read, written = (answer.tokens.get(n, 0) for n in ("prompt", "read", "generated"))
    if asked:
        yield (
            f"The generator was told {asked:,} tokens, of which it held {asked - read:,} already, "
            f"and wrote {written:,}."
        )
    if answer.timings:
        total = answer.timings.get("total", sum(answer.timings.values()))
        stages = [
            f"{STAGES.get(name, name.replace('_', ' '))} {seconds:.1f}"
            for name, seconds in answer.timings.items()
            if name != "total"
        ]
        parts = f" ({', '.join(stages)})" if stages else ""
        yield f"It took {total:.1f} seconds{parts}."
