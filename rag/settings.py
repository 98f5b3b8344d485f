"""The settings: defaults, then `rag.toml`, then the environment, then flags.

A `Settings` is built once, by `Settings.load`, and passed in; nothing here is global.
This module reads one small TOML file and the environment, and knows no model.

Where things are looked for: `rag.toml` in the current folder, else in the checkout the
package runs from, else in the user's configuration folder; the first one found is used
alone. Paths in it are relative to the file. The index and the sample documents default
to the checkout, so that the installed commands work from any folder; outside a checkout
the index lies in the user's data folder and the documents must be named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from rag.errors import SettingsError

APP = "rag-ask"
TOML_NAME = "rag.toml"
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})
LARGEST = 10**9  # no number that is set has a use beyond; the libraries take 32 or 64 bits
# Settings that are one of a few words.
CHOICES = {
    "strictness": ("low", "normal", "high"),
    "generator_reads": ("auto", "always", "never"),
}
# The hub's own switches: who sets one of them wants no network here either.
HUB_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def checkout() -> Path | None:
    """Return the source checkout that the package runs from, if it does."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "pyproject.toml").is_file() and (root / "seeds").is_dir() else None


def _default_store() -> Path:
    root = checkout()
    return root / "vectorstore" if root else Path(platformdirs.user_data_dir(APP)) / "vectorstore"


def _default_documents() -> Path | None:
    root = checkout()
    return root / "seeds" if root else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set.

    `store` is the index's folder and `documents` what `rag index` reads when no path is
    given. `embedder` and `generator` are a name of the catalogue, a file or folder, or a
    hub name (owner/name, and for a generator owner/name:file.gguf). `models` is the cache
    of model files. `k` is the number of chunks searched, `evidence` the number of sentences
    shown to the generator. `chunk_tokens` and `max_file_mb` bound a chunk (the embedder's
    tokens) and a file (10^6 bytes). `reranker` is the hub name or folder of a cross-encoder,
    '' for none. `context` is the generator's window, `max_tokens` the longest answer and
    `passage_tokens` the longest passage it reads, in its tokens; `threads` 0 means the physical
    cores. `offline` forbids every network access.
    `strictness` (low, normal, high) says how readily the program refuses, `generator_reads`
    (auto, always, never) whether the generator answers from passages in its own words or
    the span reader's slices stand. `remember` keeps answers beside the index, for when the
    same question is asked again. `follow_links` reads what symbolic links below the documents'
    folders lead to.
    """

    store: Path
    documents: Path | None
    embedder: str = "multilingual-e5-small"
    generator: str = "qwen2.5-coder-1.5b-instruct"
    reranker: str = ""
    models: Path
    k: int = 8
    evidence: int = 4
    chunk_tokens: int = 256
    max_file_mb: int = 50
    context: int = 4096
    max_tokens: int = 160
    passage_tokens: int = 192
    threads: int = 0
    offline: bool = False
    strictness: str = "normal"
    generator_reads: str = "auto"
    remember: bool = True
    follow_links: bool = False

    @staticmethod
    def load(
        flags: Mapping[str, Any] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Settings:
        """Merge the layers; a flag that is `None` was not given.

        Raises `SettingsError` naming the file or variable and the bad value.
        """
        env = os.environ if env is None else env
        settings = Settings(
            store=_default_store(),
            documents=_default_documents(),
            models=Path(platformdirs.user_cache_dir(APP)) / "models",
        )
        settings = _merge(settings, *_read_toml(cwd or Path.cwd()))
        settings = _merge(settings, _from_environment(env), "the environment", Path.cwd())
        given = {k: v for k, v in (flags or {}).items() if v is not None}
        return _merge(settings, given, "the command line", Path.cwd())


def toml_candidates(cwd: Path) -> list[Path]:
    """List where `rag.toml` is looked for, first match wins."""
    root = checkout()
    config = Path(platformdirs.user_config_dir(APP))
    return [folder / TOML_NAME for folder in (cwd, root, config) if folder is not None]


def _read_toml(cwd: Path) -> tuple[dict[str, Any], str, Path]:
    for path in toml_candidates(cwd):
        try:
            values = _parsed(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise SettingsError(f"{path} cannot be read: {error}", "Correct it.") from error
        return values, str(path), path.parent
    return {}, "", cwd


def _parsed(text: str) -> dict[str, Any]:
    """Parse TOML; raises ValueError."""
    import tomllib  # compiles its patterns, for a hundredth of a second, and few have such a file

    return tomllib.loads(text)


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    names = {f.name for f in fields(Settings)}
    values: dict[str, Any] = {
        name: env[f"RAG_{name.upper()}"] for name in sorted(names) if f"RAG_{name.upper()}" in env
    }
    if "offline" not in values and any(
        env.get(name, "").lower() not in FALSE_WORDS for name in HUB_OFFLINE
    ):
        values["offline"] = True
    return values


def _merge(settings: Settings, values: Mapping[str, Any], where: str, base: Path) -> Settings:
    kinds = {f.name: str(f.type) for f in fields(Settings)}
    changes = {}
    for name, value in values.items():
        if name not in kinds:
            known = ", ".join(sorted(kinds))
            raise SettingsError(f"{where} sets {name!r}, which is no setting", f"Known: {known}.")
        changes[name] = _convert(name, value, kinds[name], where, base)
    return replace(settings, **changes)


def _convert(name: str, value: Any, kind: str, where: str, base: Path) -> Any:
    bad = SettingsError(f"{where} sets {name} to {value!r}, which is not a valid {kind}")
    if kind == "bool":
        word = str(value).lower()
        if word not in TRUE_WORDS | FALSE_WORDS:
            raise bad
        return word in TRUE_WORDS
    if kind == "int":
        try:
            number = int(str(value))
        except ValueError as error:
            raise bad from error
        if not (0 if name == "threads" else 1) <= number <= LARGEST:
            raise bad
        return number
    if name in CHOICES:
        return _chosen(name, value, where)
    if not isinstance(value, str | Path) or not str(value):
        raise bad
    if not kind.startswith("Path"):
        return _model(str(value), base)
    try:
        return (base / Path(value).expanduser()).resolve()
    except (ValueError, RuntimeError, OSError) as error:  # a NUL; ~ of no user; a loop
        raise bad from error


def _chosen(name: str, value: Any, where: str) -> str:
    if value not in CHOICES[name]:
        known = ", ".join(CHOICES[name])
        raise SettingsError(f"{where} sets {name} to {value!r}", f"Choose one of: {known}.")
    return str(value)


def _model(value: str, base: Path) -> str:
    """Return a model's name, or its path: in rag.toml relative to it, like every path."""
    try:
        local = base / Path(value).expanduser()
        return str(local.resolve()) if local.exists() else value
    except (RuntimeError, OSError):  # ~ of no user; longer than a path can be
        return value
