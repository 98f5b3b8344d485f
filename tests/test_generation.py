"""The generator on llama.cpp: the small real model, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import GenerationError, ModelCorrupt
from rag.generation import LlamaGenerator, Usage
from rag.models import ModelFile, SilentProgress, resolve_generator
from rag.prompts import REFUSAL, Message, load
from rag.settings import Settings

SMALL = "qwen2.5-coder-0.5b-instruct"
CAPITAL: list[Message] = [{"role": "user", "content": "What is the capital of France? One word."}]


@pytest.fixture(scope="module")
def weights() -> ModelFile:
    return resolve_generator(SMALL, Settings.load(), SilentProgress())


@pytest.fixture(scope="module")
def small(weights: ModelFile) -> LlamaGenerator:
    return LlamaGenerator.load(weights, context=512)


def say(generator: LlamaGenerator, messages: list[Message], usage: Usage | None = None) -> str:
    pieces = generator.stream(messages, usage or Usage(), max_tokens=16, refusal=REFUSAL)
    return "".join(pieces)


@pytest.mark.models
def test_it_writes_and_counts(small: LlamaGenerator) -> None:
    usage = Usage()
    assert "Paris" in say(small, CAPITAL, usage)
    assert usage.prompt_tokens == small.count(CAPITAL)
    assert 1 <= len(usage.probabilities) <= 17
    assert all(0 < p <= 1 for p in usage.probabilities)
    assert 0 <= usage.refusal < 0.5


@pytest.mark.models
def test_the_file_tells_the_trained_window(small: LlamaGenerator) -> None:
    assert (small.context, small.trained_context) == (512, 32768)


@pytest.mark.models
def test_what_was_asked_before_changes_nothing(small: LlamaGenerator) -> None:
    other: list[Message] = [{"role": "user", "content": "What is the capital of Japan? One word."}]
    alone, after = Usage(), Usage()
    first = say(small, CAPITAL, alone)
    say(small, other)
    assert say(small, CAPITAL, after) == first
    assert after.probabilities == alone.probabilities


@pytest.mark.models
def test_a_prompt_too_long_for_the_window_is_one_line(small: LlamaGenerator) -> None:
    long: list[Message] = [{"role": "user", "content": "word " * 600}]
    with pytest.raises(GenerationError, match="too many for a window of 512"):
        say(small, long)


@pytest.mark.models
def test_a_file_cut_in_the_middle_is_one_line(weights: ModelFile, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with Path(weights.path).open("rb") as whole:
        cut.write_bytes(whole.read(30_000_000))
    file = resolve_generator(str(cut), Settings.load(), SilentProgress())
    with pytest.raises(ModelCorrupt, match="cannot load") as error:
        LlamaGenerator.load(file, context=512)
    assert "\n" not in str(error.value)


@pytest.mark.models
def test_the_translator_translates_and_leaves_the_generator_as_it_was() -> None:
    settings = Settings.load()
    file = resolve_generator(settings.generator, settings, SilentProgress())
    generator = LlamaGenerator.load(file, context=512)
    assert generator.translator is not None
    before, after = Usage(), Usage()
    first = say(generator, CAPITAL, before)
    phrase: dict[str, str] = {"phrase": "अलेक्जेंडर फ्लेमिंग", "asked": "", "language": "English"}
    assert say(generator.translator, load("translator").fill(phrase)) == "Alexander Fleming"
    assert say(generator, CAPITAL, after) == first
    assert after.probabilities == before.probabilities
