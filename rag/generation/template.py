"""The chat template that a GGUF file carries: messages to the prompt its model knows.

Templates are programs by strangers, and they differ: some refuse a system message or leave
it out in silence, some want user and assistant to take turns, some can switch their
model's thinking off. This module finds out by trying, once, and says in one line what is
wrong with a template that cannot be used. It knows no tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.errors import GenerationError, ModelCorrupt
from rag.prompts import Message
from rag.thinking import mentions_thinking

KEY = "tokenizer.chat_template"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    # In an expression: Jinja drops a line break at the end of a template.
    "{{ '<|im_start|>assistant\n' }}"
)
# Templates that write "today" get one day always: an answer must not depend on the date on
# which it was asked for, and the question's date is no evidence.
TODAY = (2025, 8, 13)
ANOTHER = "Name another model with --generator (rag models list)."

_SYSTEM, _ASKED = "probe of the system", "probe of the question"
_PROBE: tuple[Message, ...] = (
    {"role": "system", "content": _SYSTEM},
    {"role": "user", "content": "probe"},
    {"role": "assistant", "content": "probe"},
    {"role": "user", "content": _ASKED},
)


class ChatTemplate:
    """A template with the way in which its model wants to be addressed.

    `thinks` says that the model may think before it answers and cannot be kept from it.
    """

    def __init__(self, source: str, *, model: str, bos: str = "", eos: str = "") -> None:
        self._model = model
        self._switches: dict[str, Any] = {}
        if "enable_thinking" in source:
            self._switches["enable_thinking"] = False
        if "reasoning_effort" in source and "<|channel|>" in source:
            self._switches["reasoning_effort"] = "low"
        self.thinks = mentions_thinking(source) and "enable_thinking" not in source
        try:
            self._render = _compiled(source, bos, eos)
            self._folds = self._must_fold()
        except Exception as error:  # whatever a stranger's program may raise
            raise ModelCorrupt(self._trouble(error), ANOTHER) from error

    def prompt(self, messages: Sequence[Message]) -> str:
        """Return the prompt, up to where the answer begins; raises `GenerationError`."""
        try:
            return self._write(messages, folds=self._folds)
        except Exception as error:
            raise GenerationError(self._trouble(error), ANOTHER) from error

    def _write(self, messages: Sequence[Message], *, folds: bool) -> str:
        shaped = merged(folded(messages) if folds else messages)
        return str(self._render(messages=shaped, **self._switches).prompt)

    def _must_fold(self) -> bool:
        """Whether the system's text must go to the user's; raises where nothing helps."""
        try:
            if _tells_all(self._write(_PROBE, folds=False)):
                return False
        except Exception:  # noqa: S110 (the next attempt raises what is wrong)
            pass
        if not _tells_all(self._write(_PROBE, folds=True)):
            raise ValueError("it leaves out what it is told")
        return True

    def _trouble(self, error: Exception) -> str:
        reason = " ".join(str(error).split()) or type(error).__name__
        return f"The chat template of {self._model} cannot be used: {reason[:160]}"


def _tells_all(prompt: str) -> bool:
    return _SYSTEM in prompt and _ASKED in prompt


def source_of(metadata: Mapping[str, str]) -> str:
    """Return the template of a GGUF's metadata: the nameless one, else the best named one.

    A file may carry several, one for tools, one for search; where it has none, its model
    is taken for one that speaks ChatML.
    """
    if KEY in metadata:
        return metadata[KEY]
    named = {k.removeprefix(f"{KEY}."): v for k, v in metadata.items() if k.startswith(f"{KEY}.")}
    if "default" in named:
        return named["default"]
    plain = [name for name in sorted(named) if "tool" not in name]
    return next((named[name] for name in [*plain, *sorted(named)]), CHATML)


def folded(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with the system's text at the head of the first user's."""
    system = [m["content"] for m in messages if m["role"] == "system"]
    rest = [m for m in messages if m["role"] != "system"]
    return [{"role": "user", "content": "\n\n".join(system)}, *rest] if system else rest


def merged(messages: Sequence[Message]) -> list[Message]:
    """Return the messages with neighbours of one role made one."""
    turns: list[Message] = []
    for message in messages:
        if turns and turns[-1]["role"] == message["role"]:
            content = f"{turns[-1]['content']}\n\n{message['content']}"
            turns[-1] = {"role": message["role"], "content": content}
        else:
            turns.append(message)
    return turns


def _compiled(source: str, bos: str, eos: str) -> Any:
    from datetime import date

    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    class Formatter(Jinja2ChatFormatter):
        """The library's sandboxed formatter, on a fixed day."""

        @staticmethod
        def strftime_now(f: str) -> str:
            return date(*TODAY).strftime(f)

    return Formatter(template=source, eos_token=eos, bos_token=bos)
