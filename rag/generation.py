"""Messages to text: the `Generator` protocol and its llama.cpp implementation.

The chat template comes out of the GGUF file. Decoding is greedy, so the same messages
give the same text on the same machine. This module knows nothing of documents or
citations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rag.errors import GenerationError, ModelCorrupt
from rag.models import ModelFile
from rag.prompts import Message

if TYPE_CHECKING:
    from llama_cpp import Llama

SEED = 20250813


@dataclass(slots=True)
class Usage:
    """What one generation took, filled while it streams.

    `probabilities` holds, for each generated token, the probability in [0, 1] that the
    model gave it; `refusal` is the probability that the first token begins the refusal.
    """

    prompt_tokens: int = 0
    probabilities: list[float] = field(default_factory=list)
    refusal: float = 0.0


class Generator(Protocol):
    """Continues a chat.

    `identity` names the weights and `context` is the window in tokens.
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

        `refusal` is the text whose first token's probability is kept in `usage`.
        """
        ...


class LlamaGenerator:
    """A `Generator` on a GGUF file, in this process, on the CPU."""

    def __init__(self, llama: Llama, identity: str) -> None:
        self._llama = llama
        self._format = _chat_format(llama)
        self._kept: list[int] = []
        self.identity = identity
        self.context = int(llama.n_ctx())

    @classmethod
    def load(cls, file: ModelFile, *, context: int, threads: int = 0) -> LlamaGenerator:
        """Map a GGUF file; raises `ModelCorrupt` where llama.cpp refuses it."""
        from llama_cpp import Llama

        count = threads or physical_cores()
        try:
            with _plain_weights():
                llama = Llama(
                    file.path,
                    n_ctx=context,
                    n_threads=count,
                    n_threads_batch=count,
                    seed=SEED,
                    verbose=False,
                )
        except (ValueError, OSError, RuntimeError) as error:
            raise ModelCorrupt(
                f"llama.cpp cannot load {file.path}: {error}",
                "Check it: rag models verify. Fetch it again, or name another with --generator.",
            ) from error
        return cls(llama, file.identity)

    def count(self, messages: Sequence[Message]) -> int:
        """Count the tokens that the messages take as a prompt."""
        return len(self._tokens(messages))

    def stream(
        self, messages: Sequence[Message], usage: Usage, *, max_tokens: int, refusal: str
    ) -> Iterator[str]:
        """Yield the answer piece by piece; see `Generator`."""
        tokens = self._tokens(messages)
        usage.prompt_tokens = len(tokens)
        if len(tokens) + max_tokens > self.context:
            raise GenerationError(
                f"The prompt has {len(tokens)} tokens, too many for a window of {self.context}",
                "Show less evidence (evidence in rag.toml) or raise context.",
            )
        watcher = self._watcher(usage, refusal)
        try:
            self._start_from(self._constant(messages, tokens))
            for part in self._llama.create_completion(
                prompt=tokens,
                max_tokens=max_tokens,
                temperature=0.0,
                repeat_penalty=1.0,
                seed=SEED,
                stop=self._stops(),
                stream=True,
                logits_processor=watcher,
            ):
                text = part["choices"][0]["text"]  # type: ignore[index]
                if text:
                    yield text
        except (RuntimeError, ValueError) as error:
            raise GenerationError(f"llama.cpp stopped: {error}") from error

    def _tokens(self, messages: Sequence[Message]) -> list[int]:
        prompt = self._format(messages=list(messages)).prompt
        return self._llama.tokenize(prompt.encode(), add_bos=_adds_bos(self._llama), special=True)

    def _constant(self, messages: Sequence[Message], tokens: Sequence[int]) -> list[int]:
        """Return the tokens before the last message's content: the same for every question."""
        empty: Message = {"role": messages[-1]["role"], "content": ""}
        pairs = zip(tokens, self._tokens([*messages[:-1], empty]), strict=False)
        return [a for a, b in takewhile(lambda pair: pair[0] == pair[1], pairs)]

    def _start_from(self, constant: list[int]) -> None:
        """Bring llama.cpp to the state after `constant`, whatever was asked before.

        Left to itself it keeps what the last prompt and this one happen to share. How a
        prompt is cut into batches changes the rounding, so the same question could be
        answered otherwise alone than after another one. Cut here always, it cannot; and
        the worked examples are read once, not for each question.
        """
        if constant != self._kept or self._llama.n_tokens < len(constant):
            self._kept = []
            self._llama.reset()  # type: ignore[no-untyped-call]
            self._llama.eval(constant)
            self._kept = constant
        self._llama.n_tokens = len(constant)

    def _stops(self) -> list[str]:
        stop = self._format(messages=[{"role": "user", "content": ""}]).stop
        return [stop] if isinstance(stop, str) else list(stop or [])

    def _watcher(self, usage: Usage, refusal: str) -> Any:
        from llama_cpp import LogitsProcessorList

        first = self._llama.tokenize(refusal.encode(), add_bos=False)[0]

        def watch(_: Any, logits: Any) -> Any:
            scores = np.asarray(logits, dtype=np.float64)
            probabilities = np.exp(scores - scores.max())
            probabilities /= probabilities.sum()
            if not usage.probabilities:
                usage.refusal = float(probabilities[first])
            usage.probabilities.append(float(probabilities.max()))
            return logits

        return LogitsProcessorList([watch])


def physical_cores() -> int:
    """Count the physical cores this process may use; hyper-threads only slow llama.cpp."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    usable = usable or 1
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 (not a real file)
            blocks = [dict(_pairs(b)) for b in file.read().split("\n\n")]
    except OSError:
        return usable
    cores = {(b.get("physical id"), b.get("core id")) for b in blocks if "core id" in b}
    return max(1, min(usable, len(cores))) if cores else usable


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        key, _, value = line.partition(":")
        yield key.strip(), value.strip()


def _adds_bos(llama: Llama) -> bool:
    """Whether the model wants a begin token that its own template does not write."""
    template = llama.metadata.get("tokenizer.chat_template", "")
    wanted = llama.metadata.get("tokenizer.ggml.add_bos_token") == "true"
    return wanted and "bos_token" not in template


def _chat_format(llama: Llama) -> Callable[..., Any]:
    """Make the formatter of the GGUF's own chat template; ChatML where it has none."""
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    template = llama.metadata.get("tokenizer.chat_template") or (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "<|im_start|>assistant\n"
    )

    def piece(token: int) -> str:
        return llama.detokenize([token], special=True).decode() if token >= 0 else ""

    return Jinja2ChatFormatter(
        template=template, eos_token=piece(llama.token_eos()), bos_token=piece(llama.token_bos())
    )


@contextmanager
def _plain_weights() -> Iterator[None]:
    """Load the weights as they lie in the file, not repacked for the processor.

    llama.cpp's AMX kernels crash on Xeons of the Sapphire Rapids family when built with
    common compilers (ggml-org/llama.cpp issue 20824, pull request 26954): every decode
    ends in SIGSEGV at `ldtilecfg`. Without repacking they are never chosen. It costs about
    15% in generation and gains about 40% in reading the prompt, which is the longer part
    here (benchmarks/LOG.md), and the weights stay mapped from the page cache instead of
    being copied. `Llama` has no argument for it, hence the exchanged defaults.
    """
    from llama_cpp import llama_cpp as library

    original = library.llama_model_default_params

    def plain() -> Any:
        parameters = original()
        parameters.use_extra_bufts = False
        return parameters

    library.llama_model_default_params = plain
    try:
        yield
    finally:
        library.llama_model_default_params = original
