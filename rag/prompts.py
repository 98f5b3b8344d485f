"""Every word that the model is told, loaded from `prompts/*.txt` and filled.

A prompt file is a list of turns, each under a line `### system`, `### user` or
`### assistant`; variables are written `${name}`. This module knows no model: it gives
chat messages, and the model's own chat template turns them into tokens.

Documents are data: `as_data` takes from a text what nobody sees, and what could pass for
our labels or for a chat marker, before it is put into a prompt. Quotes are never taken
from a prompt, so what the reader sees is still verbatim.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Literal, TypedDict, cast

from rag.errors import PromptError
from rag.language import visible

Role = Literal["system", "user", "assistant"]

# What the model says when the sentences do not tell; one constant for every language,
# so that a refusal is recognised whatever the language of the answer.
REFUSAL = "NOT_FOUND"

_HEADER = re.compile(r"^### (system|user|assistant)[ \t]*$", re.MULTILINE)
# Square brackets carry our labels and angle brackets the chat markers of most templates
# (<|im_end|>, <start_of_turn>, </s>, [INST]): neither may come from a document, nor what
# looks like them or becomes them in NFKC, which some tokenizers apply.
_UNTRUSTED = str.maketrans(
    "[]【】［］﹇﹈〖〗〔〕⟦⟧" + "<>＜＞﹤﹥⟨⟩〈〉❬❭❮❯❰❱\u2329\u232a", "()" * 7 + "‹›" * 9
)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# The labels of our prompts and those of chats, and headings that some chats use for turns.
_LABELS = re.compile(
    r"\b(sentence|passage|question|answer|system|user|assistant|human|instructions?|response)\s*"
    r"[:：﹕︰∶꞉]",
    re.IGNORECASE,
)
_HEADINGS = re.compile(r"#{2,}")


class Message(TypedDict):
    """A chat message, as llama.cpp and every OpenAI-like interface take it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A named list of turns with variables."""

    name: str
    turns: tuple[tuple[Role, str], ...]

    def fill(self, variables: Mapping[str, str]) -> list[Message]:
        """Return the messages; raises `PromptError` naming a variable without a value."""
        messages: list[Message] = []
        for role, text in self.turns:
            try:
                content = string.Template(text).substitute(variables)
            except KeyError as error:
                raise PromptError(
                    f"prompts/{self.name}.txt asks for the variable {error.args[0]!r}, "
                    "which has no value"
                ) from error
            except ValueError as error:
                raise PromptError(f"prompts/{self.name}.txt: {error}") from error
            messages.append({"role": role, "content": content})
        return messages


def parse(name: str, text: str) -> Prompt:
    """Split a prompt file into turns; raises `PromptError` where it has none."""
    parts = _HEADER.split(text)
    if parts[0].strip():
        raise PromptError(f"prompts/{name}.txt has text before its first '### role' line")
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    turns = tuple((cast(Role, role), body.strip()) for role, body in pairs)
    if not turns or turns[-1][0] != "user":
        raise PromptError(f"prompts/{name}.txt must end with a '### user' turn")
    return Prompt(name, turns)


@lru_cache(maxsize=32)
def load(name: str) -> Prompt:
    """Read `prompts/<name>.txt`; raises `PromptError` where there is none."""
    try:
        text = (_folder() / f"{name}.txt").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(
            f"The prompt file {name}.txt cannot be read: {error}", "Reinstall the package."
        ) from error
    return parse(name, text)


def load_for(name: str, language: str) -> Prompt:
    """Read `<name>.<language>.txt`, or `<name>.any.txt` where nobody translated it yet."""
    translated = f"{name}.{language}"
    exists = (_folder() / f"{translated}.txt").is_file()
    return load(translated if exists else f"{name}.any")


def as_data(text: str) -> str:
    """Return a document's text on one line, as seen, without what imitates our marks.

    Words and numbers stay as they are. What is hidden in the text (`rag.language.hidden`)
    is not told to a model that could read it where no person can.
    """
    seen = _CONTROLS.sub(" ", visible(text)).translate(_UNTRUSTED)
    return " ".join(_LABELS.sub(r"\1 –", _HEADINGS.sub("#", seen)).split())


def _folder() -> Path:
    packaged = Path(str(resources.files("rag"))) / "prompts_data"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "prompts"
