"""Layers of settings: which one wins, where paths start, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

import rag.settings
from rag.errors import SettingsError
from rag.settings import Settings, checkout, toml_candidates


@pytest.fixture(autouse=True)
def no_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the checkout and the user's own folders."""
    monkeypatch.setattr(rag.settings, "checkout", lambda: None)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def load(cwd: Path, toml: str | None = None, **other: object) -> Settings:
    if toml is not None:
        (cwd / "rag.toml").write_text(toml, encoding="utf-8")
    return Settings.load(other.get("flags"), env=other.get("env", {}), cwd=cwd)


def test_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.store == tmp_path / "home" / "rag-ask" / "vectorstore"
    assert settings.models == tmp_path / "home" / "rag-ask" / "models"
    assert settings.documents is None
    assert (settings.embedder, settings.k, settings.offline) == ("multilingual-e5-small", 8, False)


def test_defaults_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.settings, "checkout", lambda: tmp_path / "here")
    settings = load(tmp_path)
    assert settings.store == tmp_path / "here" / "vectorstore"
    assert settings.documents == tmp_path / "here" / "seeds"


def test_the_tests_run_from_a_checkout() -> None:
    assert checkout() == Path(__file__).resolve().parent.parent


def test_each_layer_covers_the_one_before(tmp_path: Path) -> None:
    toml, env, flags = (
        "k = 2\nevidence = 2\ncontext = 2",
        {"RAG_K": "3", "RAG_EVIDENCE": "3"},
        {"k": 4},
    )
    settings = load(tmp_path, toml, env=env, flags=flags)
    assert (settings.k, settings.evidence, settings.context, settings.max_tokens) == (4, 3, 2, 160)


def test_a_flag_that_was_not_given_covers_nothing(tmp_path: Path) -> None:
    settings = load(tmp_path, "k = 2\noffline = true", flags={"k": None, "offline": None})
    assert (settings.k, settings.offline) == (2, True)
    assert not load(tmp_path, flags={"offline": False}).offline


def test_paths_in_the_file_are_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    project.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (project / "model.gguf").write_bytes(b"x")
    toml = 'store = "index"\ndocuments = "../texts"\ngenerator = "model.gguf"\nembedder = "a/b"'
    settings = load(project, toml)
    assert settings.store == project / "index"
    assert settings.documents == tmp_path / "texts"
    assert settings.generator == str(project / "model.gguf")
    assert settings.embedder == "a/b"  # no such file, so a name
    env = load(project, env={"RAG_STORE": "mine"})
    assert env.store == elsewhere / "mine"
    assert load(project, flags={"store": Path("mine")}).store == elsewhere / "mine"


def test_home_is_expanded(tmp_path: Path) -> None:
    assert load(tmp_path, 'store = "~/index"').store == tmp_path / "home" / "index"


def test_the_first_file_is_used_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, root, config = tmp_path / "here", tmp_path / "root", tmp_path / "home" / "rag-ask"
    for number, folder in enumerate((here, root, config), 1):
        folder.mkdir(parents=True)
        (folder / "rag.toml").write_text(f"k = {number}", encoding="utf-8")
    (config / "rag.toml").write_text("k = 3\nevidence = 30", encoding="utf-8")
    monkeypatch.setattr(rag.settings, "checkout", lambda: root)
    assert toml_candidates(here) == [f / "rag.toml" for f in (here, root, config)]
    assert load(here).k == 1
    (here / "rag.toml").unlink()
    assert (load(here).k, load(here).evidence) == (
        2,
        Settings.__dataclass_fields__["evidence"].default,
    )
    (root / "rag.toml").unlink()
    assert (load(here).k, load(here).evidence) == (3, 30)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("TRUE", True), ("0", False), ("", False), ("no", False)]
)
def test_the_hubs_switch_makes_offline(
    tmp_path: Path, name: str, value: str, offline: bool
) -> None:
    assert load(tmp_path, env={name: value}).offline is offline
    assert load(tmp_path, env={name: "1", "RAG_OFFLINE": "0"}).offline is False


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("yes", True), ("On", True), ("false", False), ("0", False), ("", False)],
)
def test_switches_in_the_environment(tmp_path: Path, value: str, expected: bool) -> None:
    assert load(tmp_path, env={"RAG_OFFLINE": value}).offline is expected


def test_other_variables_are_not_ours(tmp_path: Path) -> None:
    assert load(tmp_path, env={"RAG_NOTHING": "x", "K": "3", "rag_k": "3"}) == load(tmp_path)


def wrong(cwd: Path, **other: object) -> str:
    with pytest.raises(SettingsError) as error:
        load(cwd, **other)
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "toml",
    ["k = ", "k = 1\nk = 2", "= 3", 'store = "x', "\x00", "[k", "k = 1 2"],
)
def test_a_broken_file_is_named(tmp_path: Path, toml: str) -> None:
    assert str(tmp_path / "rag.toml") in wrong(tmp_path, toml=toml)


def test_a_file_that_is_no_text_or_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_bytes(b"\xff\xfe")
    assert "rag.toml cannot be read" in wrong(tmp_path)
    (tmp_path / "rag.toml").unlink()
    (tmp_path / "rag.toml").mkdir()
    assert "rag.toml cannot be read" in wrong(tmp_path)


def test_an_unknown_key_is_named_with_those_that_are_known(tmp_path: Path) -> None:
    line = wrong(tmp_path, toml="colour = 1")
    assert "rag.toml sets 'colour', which is no setting" in line
    assert "Known: chunk_tokens, context, documents" in line
    assert "'rag'" in wrong(tmp_path, toml="[rag]\nk = 1")
    assert "the command line sets 'colour'" in wrong(tmp_path, toml="", flags={"colour": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", "0"), ("k", "-1"), ("k", "many"), ("k", "2.5"), ("k", ""), ("k", 10**30),
        ("k", True), ("k", [1]), ("threads", "-1"), ("max_file_mb", "0"),
        ("offline", "maybe"), ("offline", 2), ("store", ""), ("store", 3), ("store", "a\0b"),
        ("store", "~nobody-of-that-name/x"), ("documents", []), ("generator", ""),
        ("embedder", 5),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_its_place(tmp_path: Path, name: str, value: object) -> None:
    line = wrong(tmp_path, flags={name: value})
    assert line.startswith(f"the command line sets {name} to ")
    assert " ".join(repr(value).split()) in line
    if isinstance(value, str):
        line = wrong(tmp_path, env={f"RAG_{name.upper()}": value})
        assert line.startswith(f"the environment sets {name} to ")


def test_a_bad_value_in_the_file_is_named_with_it(tmp_path: Path) -> None:
    assert f"{tmp_path / 'rag.toml'} sets k to 2.5" in wrong(tmp_path, toml="k = 2.5")
    assert "sets k to True" in wrong(tmp_path, toml="k = true")


CHOICES = {
    "strictness": "low, normal, high",
    "generator_reads": "auto, always, never",
}


@pytest.mark.parametrize("name", CHOICES)
def test_one_of_a_few_words_is_chosen_in_every_layer(tmp_path: Path, name: str) -> None:
    defaults = {"strictness": "normal", "generator_reads": "auto"}
    assert getattr(load(tmp_path), name) == defaults[name]
    for word in CHOICES[name].split(", "):
        assert getattr(load(tmp_path, flags={name: word}), name) == word
        assert getattr(load(tmp_path, env={f"RAG_{name.upper()}": word}), name) == word
        assert getattr(load(tmp_path, f'{name} = "{word}"'), name) == word
        (tmp_path / "rag.toml").unlink()


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("word", ["hgih", "NORMAL ", "", 1, True, "~nobody-of-that-name", "x\0"])
def test_a_wrong_word_is_told_with_those_there_are(tmp_path: Path, name: str, word: object) -> None:
    line = wrong(tmp_path, flags={name: word})
    assert line.startswith(f"the command line sets {name} to {word!r}")
    assert CHOICES[name] in line


def test_a_file_of_that_name_changes_no_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "high").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path, 'strictness = "high"').strictness == "high"


def test_no_threads_are_a_choice(tmp_path: Path) -> None:
    assert load(tmp_path, "threads = 0").threads == 0


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x", "x" * 5000, "a\0b", "owner/name"])
def test_a_model_that_is_no_path_stays_a_name(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, flags={"generator": name, "embedder": name}).generator == name


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        load(tmp_path).k = 3  # type: ignore[misc]
