"""Reasoning hidden: of what a generator writes, only what stands outside of its thinking.

Reasoning models write their thoughts first, between marks such as `<think>` and
`</think>`; some templates write the opening mark themselves, at the end of the prompt.
`Thoughts` takes the text piece by piece, however the marks are cut, and gives back what
may be shown. What is never closed is never shown.

Documents cannot imitate a mark: `rag.prompts.as_data` takes their brackets away. This
module knows no model and no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to mark thinking.

    `nests` says that every opening mark needs a closing one of its own. Where it does
    not, the first closing mark ends the thinking, however often it was opened.
    """

    opens: tuple[str, ...]
    close: str
    nests: bool = True


KINDS = (
    Kind(("<think>",), "</think>"),
    Kind(("<thinking>",), "</thinking>"),
    Kind(("<thought>",), "</thought>"),
    Kind(("<reasoning>",), "</reasoning>"),
    Kind(("[THINK]",), "[/THINK]"),
    # Channels: several parts may be thought in, and the answer is the last one.
    Kind(("<|channel|>analysis", "<|channel|>commentary"), "<|channel|>final<|message|>", False),
    Kind(("<|channel>",), "<channel|>", False),
)
# The tokens that marks are made of. Many vocabularies call them control tokens, whose
# text is left out unless it is asked for.
MARKERS = frozenset(
    {"<|channel|>", "<|message|>"}
    | {mark for kind in KINDS for mark in (*kind.opens, kind.close) if "|>" not in mark[:-2]}
)


def kind_opened(prompt: str) -> Kind | None:
    """Return the kind of thinking that the end of a prompt has opened, if it has."""
    end = prompt.rstrip().lower()
    return next((k for k in KINDS if end.endswith(tuple(o.lower() for o in k.opens))), None)


def mentions_thinking(template: str) -> bool:
    """Tell whether a chat template speaks of thinking: its model may think unasked."""
    return any(mark in template for k in KINDS for mark in (*k.opens, k.close)) or any(
        marker in template for marker in MARKERS
    )


class Thoughts:
    """A filter over one generation.

    `stops` are texts that end the answer, such as a model's end mark written out in
    letters. White space before the answer is dropped.
    """

    def __init__(self, prompt: str = "", stops: Sequence[str] = ()) -> None:
        self._kind = kind_opened(prompt)
        self._depth = 1 if self._kind else 0
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self._begun = False
        self.ended = False

    @property
    def inside(self) -> bool:
        """Whether the text is within thinking."""
        return self._kind is not None

    @property
    def holding(self) -> bool:
        """Whether something is held back that may become a mark."""
        return bool(self._held)

    @property
    def silent(self) -> bool:
        """Whether the answer has not begun, not even with something held back."""
        return not (self._begun or self.inside or self._held)

    def begin(self) -> None:
        """Hear that the answer has begun with something that is no text yet."""
        self._begun = self._begun or not self.inside

    def feed(self, piece: str) -> str:
        """Take a piece; return what may be shown by now."""
        self._held += piece
        shown = ""
        while not self.ended and (mark := self._pattern().search(self._held)):
            shown += self._outside(self._held[: mark.start()])
            self._held = self._held[mark.end() :]
            self._cross(mark.group())
        keep = 0 if self.ended else self._unfinished()
        cut = len(self._held) - keep
        shown += self._outside(self._held[:cut])
        self._held = self._held[cut:]
        return shown

    def finish(self) -> str:
        """Return what was held back for a mark that did not come."""
        rest, self._held = self._held, ""
        return self._outside(rest)

    def _outside(self, text: str) -> str:
        if self.inside or self.ended:
            return ""
        text = text if self._begun else text.lstrip()
        self._begun = self._begun or bool(text)
        return text

    def _cross(self, mark: str) -> None:
        mark = mark.lower()
        if mark in (stop.lower() for stop in self._stops):
            self.ended = True
        elif self._kind is None:
            # A closing mark without its opening one matches no kind, and is dropped.
            opened = (k for k in KINDS if mark in (o.lower() for o in k.opens))
            self._kind = next(opened, None)
            self._depth = 1
        elif mark != self._kind.close.lower():
            self._depth += self._kind.nests
        else:
            self._depth -= 1
            self._kind = self._kind if self._depth else None

    def _marks(self) -> tuple[str, ...]:
        kinds = KINDS if self._kind is None else (self._kind,)
        return (*self._stops, *(m for k in kinds for m in (*k.opens, k.close)))

    def _pattern(self) -> re.Pattern[str]:
        return _pattern_of(self._marks())

    def _unfinished(self) -> int:
        """Return how many characters at the end may be the beginning of a mark."""
        marks = self._marks()
        longest = min(max(map(len, marks)) - 1, len(self._held))
        for length in range(longest, 0, -1):
            end = self._held[-length:].lower()
            if any(mark.lower().startswith(end) for mark in marks):
                return length
        return 0


@cache
def _pattern_of(marks: tuple[str, ...]) -> re.Pattern[str]:
    # The longest first: <think> must not hide <thinking>, should marks ever overlap.
    ordered = sorted(marks, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE | re.ASCII)
