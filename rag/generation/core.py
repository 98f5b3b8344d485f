"""The `Generator` protocol, and what one generation took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rag.prompts import Message


@dataclass(slots=True)
class Usage:
    """What one generation took, filled while it streams.

    `probabilities` holds, for each token of the answer, the probability in [0, 1] that
    the model gave it; `refusal` is the probability that the first of them begins the
    refusal, 1 where a model thought to the end and never answered. `thinking_tokens`
    counts what was written and not shown, `read_tokens` how many of the prompt's had to be
    read: the model held the others, or found them in a file.
    """

    prompt_tokens: int = 0
    read_tokens: int = 0
    probabilities: list[float] = field(default_factory=list)
    refusal: float = 0.0
    thinking_tokens: int = 0


class Generator(Protocol):
    """Continues a chat.

    `identity` names the weights and `context` is how many tokens prompt and answer may
    have together. `translator` has the same weights, trained further to translate phrases
    by the prompt `translator`; `None` where nobody trained these.
    """

    identity: str
    context: int
    translator: Generator | None

    def count(self, messages: Sequence[Message]) -> int:
        """Count the tokens that the messages take as a prompt."""
        ...

    def stream(
        self, messages: Sequence[Message], usage: Usage, *, max_tokens: int, refusal: str
    ) -> Iterator[str]:
        """Yield the answer piece by piece; raises `GenerationError`.

        A model's thinking is no part of the answer: it is neither yielded nor counted in
        `max_tokens`. `refusal` is the text whose first token's probability is kept in
        `usage`.
        """
        ...
