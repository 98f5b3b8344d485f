"""What the first question would wait for, done when the models are fetched.

The generator reads the constant head of the prompt for English passages once, and the
translator's for English and Hindi, so that their states lie on disk (`rag.generation.states`)
before anybody asks. For other languages that happens at the first question.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from importlib.metadata import version

from rag.generation import Generator, LlamaGenerator, Usage
from rag.kept import Kept
from rag.models import ModelFile, Progress
from rag.phrasing import LANGUAGE_NAMES
from rag.prompts import REFUSAL, Message, Prompt, load, load_for
from rag.settings import Settings

ASKED_IN = ("en", "hi")


def prepare(file: ModelFile, settings: Settings, progress: Progress, states: Kept) -> None:
    """Let a generator read these heads, unless it was done before with these settings.

    Raises `ModelCorrupt` where llama.cpp cannot use the file.
    """
    done = {
        "prepared": file.identity,
        "sha256": file.sha256,
        "prompts": [load_for("read", "en").turns, load("translator").turns, ASKED_IN],
        "settings": [settings.context, settings.threads],
        "llama.cpp": version("llama-cpp-python"),
    }
    if states.find(done) is not None:
        return
    progress.note(f"{file.name}: reading its instructions, once")
    generator = LlamaGenerator.load(
        file, context=settings.context, threads=settings.threads, states=states
    )
    for reader, messages in _heads(generator):
        if reader.count(messages) + 1 <= reader.context:
            next(reader.stream(messages, Usage(), max_tokens=1, refusal=REFUSAL), None)
    states.keep(done, b"done")


def _heads(generator: LlamaGenerator) -> Iterator[tuple[Generator, list[Message]]]:
    """Yield prompts that ask for anything at all, and who reads them."""
    yield generator, _filled(load_for("read", "en"), "en")
    if generator.translator is not None:
        for language in ASKED_IN:
            yield generator.translator, _filled(load("translator"), language)


def _filled(prompt: Prompt, language: str) -> list[Message]:
    # Where a last turn is empty, a head cannot be told from what follows it.
    anything = dict.fromkeys(_variables(prompt), "a")
    return prompt.fill({**anything, "language": LANGUAGE_NAMES[language]})


def _variables(prompt: Prompt) -> set[str]:
    """Name what a prompt wants filled in."""
    return {name for _, text in prompt.turns for name in string.Template(text).get_identifiers()}
