"""What is done when models are fetched, so that the first question need not wait for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import RecordingProgress, ScriptedGenerator

from rag.generation import LlamaGenerator
from rag.kept import Kept
from rag.models import ModelFile
from rag.preparing import prepare
from rag.prompts import load_for
from rag.settings import Settings

FILE = ModelFile("gen", "/nowhere/gen.gguf", "0" * 64, "gen@1")


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedGenerator]:
    """The generators that were loaded."""
    made: list[ScriptedGenerator] = []

    def load(file: ModelFile, **given: Any) -> ScriptedGenerator:
        assert given["states"] is not None
        made.append(ScriptedGenerator("Paris", context=given["context"]))
        return made[-1]

    monkeypatch.setattr(LlamaGenerator, "load", load)
    return made


def test_the_head_is_read_once_for_the_same_model_and_settings(
    loads: list[ScriptedGenerator], settings: Settings, tmp_path: Path
) -> None:
    states, progress = Kept(tmp_path / "states", "state 2", 10_000), RecordingProgress()
    for _ in range(3):
        prepare(FILE, settings, progress, states)
    assert len(loads) == 1
    assert progress.notes == ["gen: reading its instructions, once"]
    (prompt,) = loads[0].prompts
    # All turns but the last are those of every English question.
    assert (
        prompt[:-1]
        == load_for("read", "en").fill(dict.fromkeys(("passage", "question", "language"), ""))[:-1]
    )
    prepare(FILE, replace(settings, context=2048), progress, states)
    prepare(replace(FILE, sha256="1" * 64), settings, progress, states)
    assert len(loads) == 3


def test_a_window_too_small_for_the_head_is_left_alone(
    loads: list[ScriptedGenerator], settings: Settings, tmp_path: Path
) -> None:
    states = Kept(tmp_path / "states", "state 2", 10_000)
    prepare(FILE, replace(settings, context=10), RecordingProgress(), states)
    assert loads[0].prompts == []


def test_the_translators_heads_are_read_too(settings: Settings, tmp_path: Path) -> None:
    states = Kept(tmp_path / "states", "state 2", 10_000)
    made = ScriptedGenerator("Paris")
    made.translator = translator = ScriptedGenerator("Paris")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LlamaGenerator, "load", lambda file, **given: made)
        prepare(FILE, settings, RecordingProgress(), states)
    assert len(made.prompts) == 1
    systems = [prompt[0]["content"] for prompt in translator.prompts]
    assert systems == ["Translate into English.", "Translate into Hindi."]
    # Something is asked: where a last turn is empty, a head cannot be told from what follows.
    assert all(prompt[-1]["content"] for prompt in [*made.prompts, *translator.prompts])
