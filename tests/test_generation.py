"""The generator on llama.cpp: the small real model, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import GenerationError, ModelCorrupt
from rag.generation import LlamaGenerator, Usage, model, states_of_user
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
def test_a_window_that_grows_while_it_writes_changes_nothing(
    small: LlamaGenerator, weights: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "FIRST_WINDOW", 256)
    growing = LlamaGenerator.load(weights, context=512)
    words = 1
    long = [Message(role="user", content="Go on counting: 1 2 3 4 5 6 7 8 9 10 11 12")]
    while growing.count(long) < 254:
        long[0]["content"] = "word " * words + "Go on counting: 1 2 3 4 5 6 7 8 9 10 11 12"
        words += 1
    whole, grown = Usage(), Usage()
    assert say(growing, long, grown) == say(small, long, whole)
    assert grown.probabilities == whole.probabilities
    assert 256 < grown.prompt_tokens + len(grown.probabilities)


@pytest.mark.models
def test_a_file_cut_in_the_middle_is_one_line(weights: ModelFile, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with Path(weights.path).open("rb") as whole:
        cut.write_bytes(whole.read(30_000_000))
    with pytest.raises(ModelCorrupt, match="ends behind the file") as error:
        resolve_generator(str(cut), Settings.load(), SilentProgress())
    assert "\n" not in str(error.value)
    # One that is cut after it was looked at is llama.cpp's to refuse.
    with pytest.raises(ModelCorrupt, match="cannot load") as error:
        LlamaGenerator.load(ModelFile("cut", str(cut), None, "cut@1"), context=512)
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


def about(passage: str, question: str) -> list[Message]:
    """Return a prompt with a constant head long enough to be kept."""
    words = {"passage": passage, "question": question, "language": "English"}
    return load("read.en").fill(words)


PASSAGE = "The storm reached the coast on Friday. It broke the old dam and two bridges. " * 6
DAY, BRIDGES = "When did the storm come?", "How many bridges were broken?"


@pytest.mark.models
def test_a_head_from_a_file_and_blocks_held_over_change_no_number(
    weights: ModelFile, tmp_path: Path
) -> None:
    """Read whole, with the head from a file, and after a prompt over the same passage."""
    loaded = [LlamaGenerator.load(weights, context=1024)]
    loaded += [
        LlamaGenerator.load(weights, context=1024, states=states_of_user(tmp_path))
        for _ in range(2)
    ]
    usages = [Usage() for _ in range(4)]
    said = [say(one, about(PASSAGE, BRIDGES), u) for one, u in zip(loaded, usages, strict=False)]
    say(loaded[0], about(PASSAGE, DAY))
    said.append(say(loaded[0], about(PASSAGE, BRIDGES), usages[3]))
    assert len(set(said)) == 1
    assert all(u.probabilities == usages[0].probabilities for u in usages)
    assert all(u.refusal == usages[0].refusal for u in usages)
    whole, kept, found, held = (u.read_tokens for u in usages)
    assert whole == kept == usages[0].prompt_tokens
    assert found < whole - 300
    assert held < 64 + 20


@pytest.mark.models
def test_a_state_of_other_bytes_is_read_anew(weights: ModelFile, tmp_path: Path) -> None:
    first, second = Usage(), Usage()
    one = say(
        LlamaGenerator.load(weights, context=1024, states=states_of_user(tmp_path)),
        about(PASSAGE, DAY),
        first,
    )
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    again = LlamaGenerator.load(weights, context=1024, states=states_of_user(tmp_path))
    assert say(again, about(PASSAGE, DAY), second) == one
    assert second.read_tokens == second.prompt_tokens
