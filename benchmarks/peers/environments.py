"""An environment of its own for each peer, made of its pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from asking import PeerError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OURS = "ours"
# Name to title and to the package whose version is told.
PEERS = {
    OURS: ("rag-ask", ""),
    "llamaindex": ("LlamaIndex", "llama-index-core"),
    "langchain": ("LangChain", "langchain"),
    "haystack": ("Haystack", "haystack-ai"),
    "txtai": ("txtai", "txtai"),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """How a peer's script is run. `identity` changes with all that can change its answers."""

    name: str
    python: Path
    identity: str

    @property
    def script(self) -> Path:
        """The peer's script."""
        return HERE / f"with_{self.name}.py"

    def variables(self) -> dict[str, str]:
        """Return its environment variables: nothing is asked of a hub, nothing reported."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "RAG_"))}
        ours = {"PYTHONPATH": str(ROOT)} if self.name == OURS else {}
        return kept | ours | {
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "HAYSTACK_TELEMETRY_ENABLED": "False",
            "LANGSMITH_TRACING": "false",
        }  # fmt: skip


def requirements(name: str) -> Path:
    """Return the file of a peer's pinned requirements."""
    return HERE / f"requirements-{name}.txt"


def version(name: str) -> str:
    """Return the pinned version of a peer's main package."""
    if name == OURS:
        from rag import __version__

        return __version__
    lines = requirements(name).read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    return pins[PEERS[name][1]]


def environment(name: str, cache: Path) -> Environment:
    """Return a peer's environment, made first where it is missing or of other versions.

    Raises `PeerError` where pip fails.
    """
    if name == OURS:
        return Environment(name, Path(sys.executable), identity(name))
    folder = cache / name
    stamp = folder / "made-of.txt"
    wanted = requirements(name).read_text(encoding="utf-8")
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        _make(name, folder)
        stamp.write_text(wanted, encoding="utf-8")
    return Environment(name, folder / "bin/python", identity(name))


def identity(name: str) -> str:
    """Digest what a peer's results depend on beside questions and models."""
    paths = [HERE / "serving.py", HERE / f"with_{name}.py"]
    digest = hashlib.sha256()
    if name == OURS:
        from rag.evaluate.evaluation import program_digest

        digest.update(program_digest().encode())
    else:
        paths.append(requirements(name))
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _make(name: str, folder: Path) -> None:
    print(f"Installing {PEERS[name][0]} into {folder}; this takes some minutes …", file=sys.stderr)
    if shutil.disk_usage(folder.parent).free < 4e9:
        raise PeerError(f"less than 4 GB are free for {folder}")
    log = folder.with_suffix(".log")
    commands = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin/python"), "-m", "pip", "install", "-r", str(requirements(name))],
    )
    for command in commands:
        with log.open("ab") as out:
            done = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise PeerError(f"its environment cannot be made; see {log}")
