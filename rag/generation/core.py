"""The `Generator` protocol, what one generation took, and how much evidence fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from rag.errors import GenerationError
from rag.prompts import Message

T = TypeVar("T")


@dataclass(slots=True)
class Usage:
    """What one generation took, filled while it streams.

    `probabilities` holds, for each token of the answer, the probability in [0, 1] that
    the model gave it; `refusal` is the probability that the first of them begins the
    refusal, 1 where a model thought to the end and never answered. `thinking_tokens`
    counts what was written and not shown.
    """

    prompt_tokens: int = 0
    probabilities: list[float] = field(default_factory=list)
    refusal: float = 0.0
    thinking_tokens: int = 0


class Generator(Protocol):
    """Continues a chat.

    `identity` names the weights and `context` is how many tokens prompt and answer may
    have together.
    """

    identity: str
    context: int

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


def fitting(
    generator: Generator,
    build: Callable[[Sequence[T]], Sequence[Message]],
    items: Sequence[T],
    max_tokens: int,
) -> Sequence[T]:
    """Return as many of the items, from the first, as fit the window with an answer.

    `build` makes the messages of a prefix of `items`; a longer prefix must not take fewer
    tokens. Raises `GenerationError` where not even the first item fits.
    """

    def fits(count: int) -> bool:
        return generator.count(build(items[:count])) + max_tokens <= generator.context

    if not items or fits(len(items)):
        return items
    most, too_many = 0, len(items)
    while too_many - most > 1:
        middle = (most + too_many) // 2
        most, too_many = (middle, too_many) if fits(middle) else (most, middle)
    if most == 0:
        needed = generator.count(build(items[:1])) + max_tokens
        raise GenerationError(
            f"{generator.identity} has room for {generator.context} tokens, and the question "
            f"with one sentence and an answer takes {needed}",
            "Ask more shortly, lower max_tokens in rag.toml, or name another model: --generator.",
        )
    return items[:most]
