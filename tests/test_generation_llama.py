"""The generator over a fake engine: thinking, budgets, the trained window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from rag.errors import GenerationError
from rag.generation import LlamaGenerator, Usage
from rag.generation.engine import Step
from rag.generation.llama import BLANKS, THINKING_TOKENS
from rag.prompts import REFUSAL, Message

PLAIN = "{% for m in messages %}{{ m.content }} {% endfor %}"
OPENING = PLAIN + "<think>"
QUESTION: list[Message] = [{"role": "user", "content": "how many troops were sent ?"}]


class FakeEngine:
    """Says its script, a step a piece; a word is a token of a prompt.

    The n-th step (from 1) has the refusal probability n / 100. `told` are the tokens that
    were called constant.
    """

    bos = ""
    eos = "<|end|>"

    def __init__(
        self, script: Sequence[str], template: str = PLAIN, context: int = 4096, trained: str = ""
    ) -> None:
        self.metadata: Mapping[str, str] = {
            "tokenizer.chat_template": template,
            "general.architecture": "tiny",
            **({"tiny.context_length": trained} if trained else {}),
        }
        self.context = context
        self.script = script
        self.steps = 0
        self.read = 0
        self.told: list[int] = []

    def tokens(self, prompt: str) -> list[int]:
        return [sum(map(ord, word)) for word in prompt.split()]

    def run(self, tokens: Sequence[int], constant: int, refusal: str) -> Iterator[Step]:
        self.told = list(tokens[:constant])
        for piece in self.script:
            self.steps += 1
            yield Step(piece, 0.9, self.steps / 100, partial=piece == "")
        self.steps += 1
        yield Step("", 0.9, self.steps / 100, end=True)


def say(engine: FakeEngine, most: int = 8) -> tuple[str, Usage]:
    usage = Usage()
    generator = LlamaGenerator(engine, "fake.gguf@1")
    return "".join(generator.stream(QUESTION, usage, max_tokens=most, refusal=REFUSAL)), usage


def test_a_plain_answer_is_read_from_its_first_token() -> None:
    text, usage = say(FakeEngine(["15", ",", "000"]))
    assert (text, usage.refusal, usage.prompt_tokens) == ("15,000", 0.01, 6)
    assert (len(usage.probabilities), usage.thinking_tokens) == (4, 0)  # and the end mark


def test_no_token_more_than_asked_for_is_generated() -> None:
    engine = FakeEngine(["a", "b", "c", "d"])
    text, usage = say(engine, most=2)
    assert (text, engine.steps, len(usage.probabilities)) == ("ab", 2, 2)


def test_the_refusal_is_read_after_the_thinking() -> None:
    text, usage = say(FakeEngine(["<th", "ink>", "not ", "found?", "</think>", "\n\n", "6", "00"]))
    assert text == "600"
    assert usage.refusal == 0.07  # "6" is the seventh token
    assert (usage.thinking_tokens, len(usage.probabilities)) == (6, 3)


def test_one_token_of_an_answer_comes_after_all_the_thinking() -> None:
    engine = FakeEngine(["why", "?", "</think>", "6", "00"], OPENING)
    text, usage = say(engine, most=1)
    assert (text, usage.refusal, engine.steps) == ("6", 0.04, 4)


def test_thinking_does_not_eat_the_answer() -> None:
    thinking = ["hm "] * 500
    text, usage = say(FakeEngine([*thinking, "</think>", "600"], OPENING), most=4)
    assert (text, usage.thinking_tokens) == ("600", 501)


def test_thinking_without_end_is_a_refusal_and_bounded() -> None:
    engine = FakeEngine(["15,000 "] * 9999, OPENING, context=9999)
    text, usage = say(engine)
    assert (text, usage.refusal) == ("", 1.0)
    assert engine.steps == THINKING_TOKENS
    assert usage.probabilities == []


def test_thinking_keeps_within_a_small_window() -> None:
    engine = FakeEngine(["hm "] * 9999, OPENING, context=100)
    _, usage = say(engine, most=8)
    assert usage.thinking_tokens == engine.steps == 100 - 7 - 8  # 6 words and the mark


def test_a_model_that_ends_while_it_thinks_has_refused() -> None:
    text, usage = say(FakeEngine(["hm"], OPENING))
    assert (text, usage.refusal) == ("", 1.0)


def test_what_only_looked_like_a_mark_is_an_answer() -> None:
    text, usage = say(FakeEngine(["<", "5 ", "km <"]))
    assert (text, usage.refusal) == ("<5 km <", 0.01)
    assert len(usage.probabilities) == 4


def test_a_character_in_several_tokens_begins_the_answer() -> None:
    text, usage = say(FakeEngine(["", "छह"]))
    assert (text, usage.refusal, len(usage.probabilities)) == ("छह", 0.01, 3)


def test_white_space_without_end_is_given_up() -> None:
    engine = FakeEngine(["\n"] * 9999)
    text, _ = say(engine)
    assert (text, engine.steps) == ("", BLANKS)


def test_an_end_mark_in_letters_ends_the_answer() -> None:
    engine = FakeEngine(["six", "<|e", "nd|>", "seven"])
    assert say(engine)[0] == "six"
    assert engine.steps == 3


def test_what_all_prompts_share_is_told_to_the_engine() -> None:
    engine = FakeEngine(["6"])
    generator = LlamaGenerator(engine, "fake.gguf@1")
    messages: list[Message] = [{"role": "system", "content": "be short"}, *QUESTION]
    list(generator.stream(messages, Usage(), max_tokens=1, refusal=REFUSAL))
    assert engine.told == engine.tokens("be short")


@pytest.mark.parametrize(
    ("trained", "context", "trained_context"),
    [("512", 512, 512), ("8192", 4096, 8192), ("", 4096, None), ("many", 4096, None)],
)
def test_the_window_is_no_larger_than_the_model_was_trained_for(
    trained: str, context: int, trained_context: int | None
) -> None:
    generator = LlamaGenerator(FakeEngine([], trained=trained), "fake.gguf@1")
    assert (generator.context, generator.trained_context) == (context, trained_context)


@pytest.mark.parametrize(("window", "left"), [(4096, 3072), (1000, 500)])
def test_a_thinking_model_keeps_room_for_its_thoughts(window: int, left: int) -> None:
    assert LlamaGenerator(FakeEngine([], OPENING, context=window), "fake.gguf@1").context == left


def test_a_prompt_beyond_the_trained_window_is_one_line() -> None:
    engine = FakeEngine(["6"], trained="12")
    with pytest.raises(GenerationError, match="6 tokens, too many for a window of 12") as caught:
        say(engine, most=7)
    assert "--generator" in str(caught.value)  # raising the setting would not help
    assert say(engine, most=6)[0] == "6"


def test_a_prompt_beyond_the_setting_says_which() -> None:
    with pytest.raises(GenerationError, match="raise context"):
        say(FakeEngine(["6"], context=12, trained="4096"), most=7)


def test_an_engine_that_fails_is_one_line() -> None:
    class Failing(FakeEngine):
        def run(self, *_: object) -> Iterator[Step]:
            yield Step("6", 0.9, 0.1)
            raise RuntimeError("llama_decode returned 1")

    with pytest.raises(GenerationError, match=r"llama\.cpp stopped: llama_decode returned 1"):
        say(Failing([]))
