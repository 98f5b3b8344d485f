"""What the first question would wait for, done when the models are fetched.

The generator reads the constant head of the prompt for English passages once, so that its
state lies on disk (`rag.generation.states`) before anybody asks. The other heads that the
default models use are too short to be kept.
"""

from __future__ import annotations

import string
from importlib.metadata import version

from rag.generation import LlamaGenerator, Usage
from rag.kept import Kept
from rag.models import ModelFile, Progress
from rag.prompts import REFUSAL, Prompt, load_for
from rag.settings import Settings


def prepare(file: ModelFile, settings: Settings, progress: Progress, states: Kept) -> None:
    """Let a generator read that head, unless it was done before with these settings.

    Raises `ModelCorrupt` where llama.cpp cannot use the file.
    """
    prompt = load_for("read", "en")
    done = {
        "prepared": file.identity,
        "sha256": file.sha256,
        "prompt": prompt.turns,
        "settings": [settings.context, settings.threads],
        "llama.cpp": version("llama-cpp-python"),
    }
    if states.find(done) is not None:
        return
    progress.note(f"{file.name}: reading its instructions, once")
    generator = LlamaGenerator.load(
        file, context=settings.context, threads=settings.threads, states=states
    )
    messages = prompt.fill(dict.fromkeys(_variables(prompt), ""))
    if generator.count(messages) + 1 <= generator.context:
        next(generator.stream(messages, Usage(), max_tokens=1, refusal=REFUSAL), None)
    states.keep(done, b"done")


def _variables(prompt: Prompt) -> set[str]:
    """Name what a prompt wants filled in."""
    return {name for _, text in prompt.turns for name in string.Template(text).get_identifiers()}
