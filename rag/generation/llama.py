"""The generator on llama.cpp: template and engine together, thinking hidden.

The template gives the prompt, the engine continues it, and what the model thinks is taken
out before anybody sees it. The thinking has a budget of its own, so that it cannot eat the
answer's, and ends in a refusal where it does not end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import takewhile
from pathlib import Path

from rag.errors import GenerationError
from rag.generation.core import Generator, Usage
from rag.generation.engine import Engine, Step
from rag.generation.loading import load_engine
from rag.generation.template import ChatTemplate, source_of
from rag.kept import Kept
from rag.models import ModelFile
from rag.prompts import Message
from rag.thinking import Thoughts

# How long a model may think before it must answer. Reasoning models think for some hundred
# tokens about a question as small as ours; at 5 to 20 tokens a second on a CPU, a thousand
# is a minute or more, and a refusal is better than waiting longer.
THINKING_TOKENS = 1024
# How many tokens of white space may come before an answer.
BLANKS = 16
# The updates of `training/train_translator.py`, and the digest of the weights they are for:
# to other weights, even of the same model, they would add noise.
TRANSLATOR = "translator.gguf"
TRANSLATOR_BASE = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"


class LlamaGenerator:
    """A `Generator` on a GGUF file, in this process, on the CPU.

    `trained_context` is the window that the model was trained for, `None` where its file
    does not tell; `context` is never more. Of the window of a model that thinks and cannot
    be kept from it, a part is left out of `context`, for the thinking.
    """

    def __init__(self, engine: Engine, identity: str) -> None:
        self._engine = engine
        self._template = ChatTemplate(
            source_of(engine.metadata), model=identity, bos=engine.bos, eos=engine.eos
        )
        self.identity = identity
        self.trained_context = _trained(engine)
        self._window = min(engine.context, self.trained_context or engine.context)
        thinking = min(THINKING_TOKENS, self._window // 2) if self._template.thinks else 0
        self.context = self._window - thinking
        self.translator: Generator | None = None

    @classmethod
    def load(
        cls, file: ModelFile, *, context: int, threads: int = 0, states: Kept | None = None
    ) -> LlamaGenerator:
        """Map a GGUF file; raises `ModelCorrupt` where it or its template is unusable.

        `states` keep what the model holds after the constant part of a prompt.
        """
        engine = load_engine(file, context=context, threads=threads, states=states)
        found = cls(engine, file.identity)
        if file.sha256 == TRANSLATOR_BASE:
            updates = Path(str(resources.files("rag"))) / TRANSLATOR
            found.translator = cls(engine.adapted(updates), file.identity)
        return found

    def count(self, messages: Sequence[Message]) -> int:
        """Count the tokens that the messages take as a prompt."""
        return len(self._engine.tokens(self._template.prompt(messages)))

    def stream(
        self, messages: Sequence[Message], usage: Usage, *, max_tokens: int, refusal: str
    ) -> Iterator[str]:
        """Yield the answer piece by piece; see `Generator`."""
        prompt = self._template.prompt(messages)
        tokens = self._engine.tokens(prompt)
        usage.prompt_tokens = len(tokens)
        if len(tokens) + max_tokens > self.context:
            raise GenerationError(
                f"The prompt has {len(tokens)} tokens, too many for a window of {self.context}",
                self._more_room(),
            )
        spare = min(THINKING_TOKENS, self._window - len(tokens) - max_tokens)
        hearing = _Hearing(Thoughts(prompt, [self._engine.eos]), usage, max_tokens, spare)
        constant = self._constant(messages, tokens)
        try:
            for step in self._engine.run(tokens, constant, refusal):
                usage.read_tokens = self._engine.read
                piece = hearing.take(step)
                if piece:
                    yield piece
                if hearing.done:
                    break
        except (RuntimeError, ValueError) as error:
            raise GenerationError(f"llama.cpp stopped: {error}") from error
        rest = hearing.finish()
        if rest:
            yield rest

    def _more_room(self) -> str:
        less = "Show less evidence (evidence in rag.toml)"
        if self._window == self._engine.context and self.trained_context != self._window:
            return f"{less} or raise context."
        return f"{less} or name another model: --generator."

    def _constant(self, messages: Sequence[Message], tokens: Sequence[int]) -> int:
        """Count the tokens before the last message's content: the same for every question."""
        empty: Message = {"role": messages[-1]["role"], "content": ""}
        without = self._engine.tokens(self._template.prompt([*messages[:-1], empty]))
        pairs = zip(tokens, without, strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@dataclass(slots=True)
class _Hearing:
    """Sorts the tokens of one generation into thinking and answer, and says when to stop.

    What may become a mark is not sorted yet and waits in `undecided`. White space before
    the answer counts as thinking, since it says nothing.
    """

    thoughts: Thoughts
    usage: Usage
    most: int
    spare: int
    done: bool = False
    blanks: int = 0
    undecided: list[float] = field(default_factory=list)

    def take(self, step: Step) -> str:
        """Take a token; return what may be shown by now."""
        if self.thoughts.silent:
            # The answer's first token, unless this one turns out to begin a thought.
            self.usage.refusal = step.refusal
        self.undecided.append(step.probability)
        piece = "" if step.end else self.thoughts.feed(step.text)
        if step.partial or step.end:
            self.thoughts.begin()
        if self.thoughts.inside or not self.thoughts.holding:
            self._decide()
        self.done = step.end or self.thoughts.ended or self._spent()
        return piece

    def finish(self) -> str:
        """Return what was held back; nothing but thoughts is a refusal."""
        rest = self.thoughts.finish()
        self._decide()
        if self.thoughts.inside and not self.usage.probabilities:
            self.usage.refusal = 1.0
        return rest

    def _spent(self) -> bool:
        thinking, answer = self.usage.thinking_tokens, len(self.usage.probabilities)
        return (
            (answer >= self.most and not self.undecided)
            or (thinking >= self.spare and self.thoughts.inside)
            or thinking + answer + len(self.undecided) >= self.spare + self.most
            or self.blanks >= BLANKS
        )

    def _decide(self) -> None:
        if self.thoughts.silent:
            self.blanks += len(self.undecided)
        if self.thoughts.inside or self.thoughts.silent:
            self.usage.thinking_tokens += len(self.undecided)
        else:
            self.usage.probabilities += self.undecided
        self.undecided.clear()


def _trained(engine: Engine) -> int | None:
    architecture = engine.metadata.get("general.architecture", "")
    length = engine.metadata.get(f"{architecture}.context_length", "")
    return int(length) if length.isdecimal() and int(length) > 0 else None
