"""llama.cpp behind its seam, over a stand-in for `llama_cpp.Llama`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llama_cpp
import numpy as np
import pytest
from jinja2 import TemplateSyntaxError

from rag.errors import ModelCorrupt
from rag.generation import LlamaGenerator, loading
from rag.generation import llama as llm
from rag.generation.engine import LlamaEngine, Step, greedy
from rag.generation.llama import TRANSLATOR_BASE
from rag.models import ModelFile, catalogue
from rag.settings import Settings

# Tokens by number: texts, the first three of control tokens.
PIECES = (b"<s>", b"</s>", b"<|channel|>", b"\xe0\xa4", b"\xb8", b"NOT", b" six", b"<|start|>")
CONTROL = {0, 1, 2, 7}


class FakeLlama:
    """Gives its script logits, a token after the prompt's; `evaluated` and `flags` remember.

    The logits of token n of the script are log 7 for it and 0 for the seven others: 7 of 14.
    `forgets` is whether the state can go back, as it cannot in recurrent models.
    """

    model = SimpleNamespace()
    ctx = SimpleNamespace()

    def __init__(
        self, script: Sequence[int] = (), add_bos: str = "true", *, forgets: bool = True
    ) -> None:
        self.metadata = {"tokenizer.ggml.add_bos_token": add_bos}
        self.script = script
        self.forgets = forgets
        self.n_tokens = 0
        self.prompt = 0
        self.evaluated: list[list[int]] = []
        self.flags: list[tuple[str, bool]] = []

    def n_ctx(self) -> int:
        return 64

    def token_bos(self) -> int:
        return 0

    def token_eos(self) -> int:
        return 1

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        self.flags.append((text.decode(), add_bos))
        return [PIECES.index(text)] if text in PIECES else [6]

    def detokenize(self, tokens: Sequence[int], special: bool = False) -> bytes:
        return b"".join(PIECES[t] for t in tokens if special or t not in CONTROL)

    def reset(self) -> None:
        self.n_tokens = 0

    def eval(self, tokens: Sequence[int]) -> None:
        self.evaluated.append(list(tokens))
        self.n_tokens += len(tokens)


def logits_of(llama: FakeLlama) -> np.ndarray[Any, np.dtype[np.float32]]:
    said = llama.n_tokens - llama.prompt
    logits = np.zeros(len(PIECES), dtype=np.float32)
    logits[llama.script[said]] = np.log(7)
    return logits


def run(engine: LlamaEngine, tokens: Sequence[int], constant: Sequence[int] = ()) -> list[Step]:
    """Take as many steps as the script has."""
    llama: Any = engine._llama
    llama.prompt = len(tokens)
    return list(islice(engine.run(tokens, constant, "NOT"), len(llama.script)))


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LlamaEngine, "_ends", lambda self, token: token == 1)
    monkeypatch.setattr(LlamaEngine, "_forget", lambda self, start: self._llama.forgets)
    monkeypatch.setattr(LlamaEngine, "_logits", lambda self: logits_of(self._llama))


def test_marks_are_text_and_other_control_tokens_are_not() -> None:
    engine = LlamaEngine(FakeLlama([2, 7, 6, 1, 6]))
    steps = run(engine, [6])
    assert [s.text for s in steps] == ["<|channel|>", "", " six", ""]
    assert [s.end for s in steps] == [False, False, False, True]
    assert not any(s.partial for s in steps)


def test_a_character_comes_when_its_last_byte_has() -> None:
    steps = run(LlamaEngine(FakeLlama([3, 4])), [6])
    assert [(s.text, s.partial) for s in steps] == [("", True), ("स", False)]


def test_probabilities_are_those_of_the_softmax() -> None:
    likely, unlikely = run(LlamaEngine(FakeLlama([5, 6])), [6])
    assert (likely.probability, likely.refusal) == pytest.approx((7 / 14, 7 / 14))
    assert (unlikely.probability, unlikely.refusal) == pytest.approx((7 / 14, 1 / 14))


@pytest.mark.parametrize(
    ("add_bos", "prompt", "added"),
    [("true", "hi", True), ("true", "<s>hi", False), ("false", "hi", False), ("", "hi", False)],
)
def test_the_begin_mark_comes_once(add_bos: str, prompt: str, added: bool) -> None:
    llama = FakeLlama(add_bos=add_bos)
    LlamaEngine(llama).tokens(prompt)
    assert llama.flags == [(prompt, added)]


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
    llama = FakeLlama([6, 6])
    engine = LlamaEngine(llama)
    run(engine, [3, 4, 6], [3, 4])
    assert llama.evaluated == [[3, 4], [6], [6]]
    run(engine, [3, 4, 5], [3, 4])
    assert llama.evaluated[3:] == [[5], [6]]
    run(engine, [5, 6], [5])
    assert llama.evaluated[5:] == [[5], [6], [6]]


def test_of_a_prompt_that_is_all_shared_the_last_token_is_read_again() -> None:
    llama = FakeLlama([6])
    run(LlamaEngine(llama), [3, 4], [3, 4])
    assert llama.evaluated == [[3, 4], [4]]


def test_a_model_that_cannot_go_back_reads_the_prompt_anew() -> None:
    llama = FakeLlama([6], forgets=False)
    run(LlamaEngine(llama), [3, 4, 6], [3, 4])
    assert llama.evaluated == [[3, 4], [3, 4, 6]]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            TemplateSyntaxError("unexpected '}'", 3),
            r"template of /x/bad\.gguf cannot be read: unex",
        ),
        (ValueError("Failed to load\nmodel"), r"cannot load /x/bad\.gguf: Failed to load model"),
        (RuntimeError("no memory"), r"cannot load /x/bad\.gguf: no memory"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(llama_cpp, "Llama", refuse)
    with pytest.raises(ModelCorrupt, match=message) as caught:
        LlamaGenerator.load(ModelFile("bad", "/x/bad.gguf", None, "bad@1"), context=64)
    assert "\n" not in str(caught.value)


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
    context: int, trained: int | None, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def load(*_: object, n_ctx: int, **__: object) -> FakeLlama:
        asked.append(n_ctx)
        return FakeLlama()

    monkeypatch.setattr(llama_cpp, "Llama", load)
    monkeypatch.setattr(loading, "trained_context", lambda path: trained)
    LlamaGenerator.load(ModelFile("some", "/x/some.gguf", None, "some@1"), context=context)
    assert asked == [window]


# Adapters


class Library:
    """What llama.cpp is told about adapters; `set` holds how many it uses, call by call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, broken: bool = False) -> None:
        self.loaded: list[str] = []
        self.set: list[int] = []
        self._broken = broken
        for name in ("llama_adapter_lora_init", "llama_set_adapters_lora"):
            monkeypatch.setattr(llama_cpp.llama_cpp, name, getattr(self, name))

    def llama_adapter_lora_init(self, model: Any, path: bytes) -> Any:
        self.loaded.append(path.decode())
        return None if self._broken else ctypes.pointer(ctypes.c_void_p(1))

    def llama_set_adapters_lora(self, ctx: Any, adapters: Any, count: int, scales: Any) -> int:
        assert [*scales] == [1.0] * count
        self.set.append(count)
        return 0


def test_an_adapter_is_used_by_its_own_engine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    library, llama = Library(monkeypatch), FakeLlama([1])
    plain = LlamaEngine(llama)
    adapted = plain.adapted(Path("some.gguf"))
    for engine in (plain, plain, adapted, adapted, plain, adapted):
        run(engine, [3, 4, 6], [3, 4])
    assert library.set == [1, 0, 1]  # at each change, and not before the first
    assert library.loaded == ["some.gguf"]
    # What was read with other weights is no state to go on from.
    assert [tokens for tokens in llama.evaluated if tokens == [3, 4]] == [[3, 4]] * 4


def test_an_adapter_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Library(monkeypatch, broken=True)
    adapted = LlamaEngine(FakeLlama([1])).adapted(Path("broken.gguf"))
    with pytest.raises(ModelCorrupt, match=r"updates broken\.gguf\. Reinstall") as error:
        run(adapted, [3])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("sha256", "expected"), [(TRANSLATOR_BASE, True), ("0" * 64, False)])
def test_only_the_weights_it_was_trained_on_have_a_translator(
    monkeypatch: pytest.MonkeyPatch, sha256: str, expected: bool
) -> None:
    llama = FakeLlama()
    llama.metadata["tokenizer.chat_template"] = "{% for m in messages %}{{ m.content }}{% endfor %}"
    monkeypatch.setattr(llm, "load_engine", lambda *_, **__: LlamaEngine(llama))
    generator = LlamaGenerator.load(ModelFile("n", "p", sha256, "n@1"), context=64)
    assert (generator.translator is not None) is expected


def test_the_translator_belongs_to_the_default_generator() -> None:
    model = catalogue.find(Settings.load(env={}).generator)
    assert model is not None
    assert {route[0].sha256 for route in model.routes} == {TRANSLATOR_BASE}
