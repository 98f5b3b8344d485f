"""The engine over a stand-in for the model in llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rag.errors import ModelCorrupt
from rag.generation import LlamaGenerator, loading, states_of_user
from rag.generation import engine as engine_module
from rag.generation import llama as llm
from rag.generation.engine import LlamaEngine, Step, greedy
from rag.generation.llama import TRANSLATOR_BASE
from rag.generation.model import Model
from rag.kept import Kept
from rag.models import ModelFile, catalogue
from rag.settings import Settings

# Tokens by number: texts, the first three of control tokens.
PIECES = (b"<s>", b"</s>", b"<|channel|>", b"\xe0\xa4", b"\xb8", b"NOT", b" six", b"<|start|>")
CONTROL = {0, 1, 2, 7}


class FakeModel:
    """Gives its script logits, a token after the prompt's; what it was told is remembered.

    The logits of token n of the script are log 7 for it and 0 for the seven others: 7 of 14.
    `forgets` is whether the state can go back, as it cannot in recurrent models; a state is
    the tokens themselves, and `broken` refuses every one.
    """

    context, threads, bos, eos = 512, 2, 0, 1

    def __init__(
        self,
        script: Sequence[int] = (),
        add_bos: str = "true",
        *,
        forgets: bool = True,
        broken: bool = False,
    ) -> None:
        self.metadata = {"tokenizer.ggml.add_bos_token": add_bos}
        self.script = script
        self.forgets = forgets
        self.broken = broken
        self.prompt = 0
        self.held: list[int] = []
        self.evaluated: list[list[int]] = []
        self.flags: list[tuple[str, bool]] = []
        self.used: list[Path | None] = []

    @property
    def way(self) -> list[object]:
        return [self.context, self.threads]

    def use(self, updates: Path | None) -> None:
        self.used.append(updates)

    def tokenize(self, text: bytes, *, begin: bool, marks: bool) -> list[int]:
        self.flags.append((text.decode(), begin))
        return [PIECES.index(text)] if text in PIECES else [6]

    def piece(self, token: int, *, marks: bool) -> bytes:
        return PIECES[token] if marks or token not in CONTROL else b""

    def ends(self, token: int) -> bool:
        return token == 1

    def read(self, tokens: Sequence[int]) -> None:
        self.evaluated.append(list(tokens))
        self.held += tokens

    def logits(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        logits = np.zeros(len(PIECES), dtype=np.float32)
        logits[self.script[len(self.held) - self.prompt]] = np.log(7)
        return logits

    def forget(self, start: int) -> bool:
        if self.forgets:
            del self.held[start:]
        return self.forgets

    def clear(self) -> None:
        self.held = []

    def state(self) -> bytes:
        return bytes(self.held)

    def restore(self, state: bytes, tokens: int) -> bool:
        self.held = [] if self.broken else list(state)
        return not self.broken


def engine_of(model: FakeModel, states: Kept | None = None) -> LlamaEngine:
    return LlamaEngine(cast(Model, model), ["fake@1"], states)


def run(engine: LlamaEngine, tokens: Sequence[int], constant: int = 0) -> list[Step]:
    """Take as many steps as the script has."""
    model = cast(FakeModel, engine._model)
    model.prompt = len(tokens)
    return list(islice(engine.run(tokens, constant, "NOT"), len(model.script)))


def test_marks_are_text_and_other_control_tokens_are_not() -> None:
    engine = engine_of(FakeModel([2, 7, 6, 1, 6]))
    steps = run(engine, [6])
    assert [s.text for s in steps] == ["<|channel|>", "", " six", ""]
    assert [s.end for s in steps] == [False, False, False, True]
    assert not any(s.partial for s in steps)


def test_a_character_comes_when_its_last_byte_has() -> None:
    steps = run(engine_of(FakeModel([3, 4])), [6])
    assert [(s.text, s.partial) for s in steps] == [("", True), ("स", False)]


def test_probabilities_are_those_of_the_softmax() -> None:
    likely, unlikely = run(engine_of(FakeModel([5, 6])), [6])
    assert (likely.probability, likely.refusal) == pytest.approx((7 / 14, 7 / 14))
    assert (unlikely.probability, unlikely.refusal) == pytest.approx((7 / 14, 1 / 14))


@pytest.mark.parametrize(
    ("add_bos", "prompt", "added"),
    [("true", "hi", True), ("true", "<s>hi", False), ("false", "hi", False), ("", "hi", False)],
)
def test_the_begin_mark_comes_once(add_bos: str, prompt: str, added: bool) -> None:
    model = FakeModel(add_bos=add_bos)
    engine_of(model).tokens(prompt)
    assert model.flags == [(prompt, added)]


def test_the_likeliest_token_and_the_softmax_in_single_precision() -> None:
    logits = np.random.default_rng(5).normal(0, 4, 50_000).astype(np.float32)
    exact = np.exp(logits.astype(np.float64))
    exact /= exact.sum()
    token, likeliest, other = greedy(logits, 7)
    assert token == exact.argmax()
    assert (likeliest, other) == pytest.approx((exact.max(), exact[7]), rel=1e-5)


def test_the_softmax_of_large_logits_does_not_overflow() -> None:
    logits = np.array([1000, 999, -1000], dtype=np.float32)
    assert greedy(logits, 1)[1:] == pytest.approx((0.7311, 0.2689), abs=1e-4)
    assert greedy(logits, 2)[2] == 0.0


def test_what_prompts_share_is_read_once_and_gone_back_to() -> None:
    model = FakeModel([6, 6])
    engine = engine_of(model)
    run(engine, [3, 4, 6], 2)
    assert model.evaluated == [[3, 4], [6], [6]]  # the second 6 was generated
    run(engine, [3, 4, 5], 2)
    assert model.evaluated[3:] == [[5], [6]]
    assert engine.read == 1
    run(engine, [5, 6], 1)
    assert model.evaluated[5:] == [[5], [6], [6]]


def test_a_prompt_is_cut_by_its_own_tokens_whatever_was_asked_before() -> None:
    """Blocks of 64 behind the constant part; as many of them are held over as are the same."""
    model = FakeModel([6])
    engine = engine_of(model)
    one, other = [3] * 10 + [4] * 150, [3] * 10 + [4] * 130 + [5] * 30
    run(engine, one, 10)
    assert [len(tokens) for tokens in model.evaluated] == [10, 64, 64, 22]
    run(engine, other, 10)
    assert [len(tokens) for tokens in model.evaluated[4:]] == [32]
    assert model.held == other
    assert engine.read == 32
    run(engine, one, 12)  # another cut: nothing that was read with the first one is of use
    assert [len(tokens) for tokens in model.evaluated[5:]] == [12, 64, 64, 20]


def test_nothing_counts_as_held_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that could not grow is a new, empty one."""
    model = FakeModel([6])
    engine = engine_of(model)
    run(engine, [3, 4, 6], 2)

    def fails(tokens: Sequence[int]) -> None:
        model.held = []
        raise RuntimeError("it makes no window")

    with monkeypatch.context() as patch:
        patch.setattr(model, "read", fails)
        with pytest.raises(RuntimeError, match="no window"):
            run(engine, [3, 4, 5], 2)
    run(engine, [3, 4, 5], 2)
    assert model.held == [3, 4, 5]


def test_of_a_prompt_that_was_just_read_the_last_block_is_read_again() -> None:
    model = FakeModel([6])
    engine = engine_of(model)
    for _ in range(2):
        run(engine, [3] * 10 + [4] * 128, 10)
    assert [len(tokens) for tokens in model.evaluated] == [10, 64, 64, 64]


def test_of_a_prompt_that_is_all_constant_the_last_token_is_read_by_itself() -> None:
    model = FakeModel([6])
    run(engine_of(model), [3, 4], 2)
    assert model.evaluated == [[3], [4]]


def test_a_model_that_cannot_go_back_reads_the_prompt_anew() -> None:
    model = FakeModel([6], forgets=False)
    engine = engine_of(model)
    for _ in range(2):
        run(engine, [3, 4, 6], 2)
    assert model.evaluated == [[3, 4], [6]] * 2
    assert model.held == [3, 4, 6]


def test_a_read_that_failed_leaves_nothing_to_go_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeModel([6])
    engine = engine_of(model)
    run(engine, [3] * 10 + [4] * 150, 10)

    def fail(tokens: Sequence[int]) -> None:
        raise RuntimeError("no memory")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(model, "read", fail)
        run(engine, [5] * 90, 10)
    model.evaluated.clear()
    run(engine, [5] * 90, 10)
    assert [len(tokens) for tokens in model.evaluated] == [10, 64, 16]


HEAD = [3, 4] * 20


def test_a_constant_part_is_read_once_and_then_comes_from_a_file(tmp_path: Path) -> None:
    read = []
    for question in (5, 6, 5):
        model = FakeModel([6])
        engine = engine_of(model, states_of_user(tmp_path))
        run(engine, [*HEAD, question], len(HEAD))
        read.append((engine.read, model.evaluated[0]))
        assert model.held == [*HEAD, question]
    assert read == [(41, HEAD), (1, [6]), (1, [5])]


def test_a_short_constant_part_is_not_worth_a_file(tmp_path: Path) -> None:
    run(engine_of(FakeModel([6]), states_of_user(tmp_path)), [*HEAD[:7], 6], 7)
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_the_model_refuses_is_read_anew(tmp_path: Path) -> None:
    run(engine_of(FakeModel([6]), states_of_user(tmp_path)), [*HEAD, 6], len(HEAD))
    model = FakeModel([6], broken=True)
    run(engine_of(model, states_of_user(tmp_path)), [*HEAD, 6], len(HEAD))
    assert model.evaluated == [HEAD, [6]]


@pytest.mark.parametrize("other", ["tokens", "threads", "context", "model", "updates", "build"])
def test_a_state_is_of_one_model_one_prompt_one_setting_and_one_build(
    tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(engine_of(FakeModel([6]), states_of_user(tmp_path)), [*HEAD, 6], len(HEAD))
    model, head = FakeModel([6]), list(HEAD)
    engine = engine_of(model, states_of_user(tmp_path))
    if other == "tokens":
        head[3] = 5
    elif other == "model":
        engine = LlamaEngine(cast(Model, model), ["fake@2"], states_of_user(tmp_path))
    elif other == "build":
        monkeypatch.setattr(engine_module, "build", lambda: ["another"])
    elif other == "updates":
        (tmp_path / "u.gguf").write_bytes(b"u")
        engine = engine.adapted(tmp_path / "u.gguf")
    else:
        setattr(model, other, 3)
        engine = engine_of(model, states_of_user(tmp_path))
    run(engine, [*head, 6], len(head))
    assert model.evaluated == [head, [6]]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("it is\ndamaged"), r"cannot load /x/bad\.gguf: it is damaged\. Check it"),
        (OSError("no memory"), r"cannot load /x/bad\.gguf: no memory"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(loading, "Model", refuse)
    with pytest.raises(ModelCorrupt, match=message) as caught:
        LlamaGenerator.load(ModelFile("bad", "/x/bad.gguf", None, "bad@1"), context=64)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(20), b"\0" * 4096])
def test_what_is_no_model_is_one_line_and_says_nothing_else(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelCorrupt, match=r"bad\.gguf: it is missing, damaged"):
        LlamaGenerator.load(ModelFile("bad", str(file), None, "bad@1"), context=64)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("context", "trained", "window"),
    [
        (4096, None, 4096),
        (4096, 8192, 4096),
        (4096, 4096, 4096),
        (4096, 2048, 2048),
        (600, 768, 600),  # rounded up to 768
        (600, 700, 512),  # 768 would be more than 700
        (4096, 100, 100),
    ],
)
def test_llama_is_asked_for_no_more_than_it_was_trained_for(
    context: int,
    trained: int | None,
    window: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    asked: list[int] = []

    def load(*_: object, context: int, **__: object) -> FakeModel:
        asked.append(context)
        return FakeModel()

    file = tmp_path / "some.gguf"
    file.touch()
    monkeypatch.setattr(loading, "Model", load)
    monkeypatch.setattr(loading, "trained_context", lambda path: trained)
    LlamaGenerator.load(ModelFile("some", str(file), None, "some@1"), context=context)
    assert asked == [window]


# Updates


def test_updates_are_used_by_their_own_engine_only() -> None:
    model = FakeModel([1])
    plain = engine_of(model)
    adapted = plain.adapted(Path("some.gguf"))
    for engine in (plain, plain, adapted, adapted, plain, adapted):
        run(engine, [3, 4, 6], 2)
    some = Path("some.gguf")
    assert model.used == [some, None, some]  # at each change, and not before the first
    # What was read with other weights is no state to go on from.
    assert [tokens for tokens in model.evaluated if tokens == [3, 4]] == [[3, 4]] * 4


@pytest.mark.parametrize(("sha256", "expected"), [(TRANSLATOR_BASE, True), ("0" * 64, False)])
def test_only_the_weights_it_was_trained_on_have_a_translator(
    monkeypatch: pytest.MonkeyPatch, sha256: str, expected: bool
) -> None:
    model = FakeModel()
    model.metadata["tokenizer.chat_template"] = "{% for m in messages %}{{ m.content }}{% endfor %}"
    monkeypatch.setattr(llm, "load_engine", lambda *_, **__: engine_of(model))
    generator = LlamaGenerator.load(ModelFile("n", "p", sha256, "n@1"), context=64)
    assert (generator.translator is not None) is expected


def test_the_translator_belongs_to_the_default_generator() -> None:
    model = catalogue.find(Settings.load(env={}).generator)
    assert model is not None
    assert {route[0].sha256 for route in model.routes} == {TRANSLATOR_BASE}
