"""Lower levels never import higher ones, and the commands start without heavy libraries."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "rag"
LEVELS = (
    (
        "errors",
        "datatypes",
        "settings",
        "wording",
        "filtering",
        "processor",
        "llamacpp",
        "kept",
        "stamps",
    ),
    (
        "language",
        "reading",
        "chunking",
        "boilerplate",
        "prompts",
        "citing",
        "excerpt",
        "calibration",
        "thinking",
    ),
    ("models", "embedding", "reranking", "index", "generation", "spans", "lexicon"),
    ("ingest", "retrieve", "extraction", "phrasing", "preparing"),
    ("answer", "conversation", "passage", "explain", "remembering", "session", "doctor"),
    ("evaluate", "emphasis", "display", "recommending", "repl"),
    ("cli",),
)
LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}
HEAVY = (
    "torch",
    "faiss",
    "llama_cpp",
    "sentence_transformers",
    "transformers",
    "sklearn",
    "prompt_toolkit",
)

Sources = Mapping[str, str]
"""Source texts by path below the package, such as `index/core.py`."""


def sources(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.py"))
    }


def module_of(path: str) -> str:
    """Return the first part of a path: the module, or the package that stands for one."""
    return path.split("/", 1)[0].removesuffix(".py")


def imports(path: str, source: str) -> Iterator[str]:
    """Yield the modules of `rag` that a file imports, wherever in it; "" is `rag` itself."""
    package = ["rag", *path.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            first, *rest = name.split(".")
            if first == "rag":
                yield rest[0] if rest else ""


def violations(files: Sources) -> list[str]:
    """List what breaks the table: unknown modules, imports upwards, cycles within a level."""
    known = {module_of(path) for path in files} - {"__init__"}
    found = [f"{name} is in no level" for name in sorted(known - LEVEL_OF.keys())]
    within: dict[str, set[str]] = {name: set() for name in LEVEL_OF}
    for path, source in files.items():
        module = module_of(path)
        for target in set(imports(path, source)) & (known - {module}):
            if module == "__init__":
                found.append(f"__init__.py imports {target}")
            elif module in LEVEL_OF and target in LEVEL_OF:
                if LEVEL_OF[target] > LEVEL_OF[module]:
                    found.append(f"{path} imports {target}")
                elif LEVEL_OF[target] == LEVEL_OF[module]:
                    within[module].add(target)
    return found + cycles(within)


def cycles(graph: Mapping[str, set[str]]) -> list[str]:
    """List the nodes that no order can place: each is in a cycle or leads to one."""
    left = {node: set(targets) for node, targets in graph.items()}
    while free := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in free:
            del left[node]
    return [f"{node} is in an import cycle" for node in sorted(left)]


def test_the_package_keeps_to_its_levels() -> None:
    files = sources(PACKAGE)
    assert {"errors.py", "index/core.py", "answer.py"} <= set(files)
    assert violations(files) == []


def test_every_module_of_the_table_exists() -> None:
    assert LEVEL_OF.keys() <= {module_of(path) for path in sources(PACKAGE)}


def test_the_documented_table_is_this_one() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", text, re.MULTILINE)
    documented = {
        name: int(level) for level, names in rows for name in re.findall(r"`(\w+)/?`", names)
    }
    assert documented == LEVEL_OF


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("errors.py", "from rag.cli import app", "errors.py imports cli"),
        ("retrieve.py", "import rag.answer as a", "retrieve.py imports answer"),
        ("index/core.py", "from rag import ingest", "index/core.py imports ingest"),
        ("index/core.py", "from ..ingest import x", "index/core.py imports ingest"),
        ("citing.py", "from . import models", "citing.py imports models"),
        ("citing.py", "def f():\n  import rag.models.hub", "citing.py imports models"),
        ("citing.py", "if TYPE_CHECKING:\n  import rag.index", "citing.py imports index"),
        ("models/hub.py", "from rag.generation import Usage", "models is in an import cycle"),
        ("spans.py", "from rag.extraction import Reading", "spans.py imports extraction"),
        ("lexicon.py", "from rag.phrasing import Phrasing", "lexicon.py imports phrasing"),
        ("phrasing.py", "import rag.answer", "phrasing.py imports answer"),
        ("extraction.py", "from rag import session", "extraction.py imports session"),
        ("misc.py", "", "misc is in no level"),
        ("extra/__init__.py", "", "extra is in no level"),
        ("__init__.py", "from rag.errors import RagError", "__init__.py imports errors"),
    ],
)
def test_a_planted_violation_is_caught(path: str, source: str, expected: str) -> None:
    files = sources(PACKAGE)
    files[path] = f"{files.get(path, '')}\n{source}\n"
    assert expected in violations(files)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "index/core.py",
            "from .store import FORMAT\nfrom . import store\nfrom rag.index import x",
        ),
        ("chunking.py", "from rag.language import words"),
        ("cli/ask.py", "from rag import __version__"),
        ("errors.py", "import ragged\nfrom fragment.rag import cli"),
    ],
)
def test_an_import_that_is_allowed_is_let_through(path: str, source: str) -> None:
    files = sources(PACKAGE)
    files[path] = f"{files[path]}\n{source}\n"
    assert violations(files) == []


@pytest.mark.parametrize("module", ["rag.cli", "rag.answer", "rag.session", "rag.repl"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        f"sys.stdout.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=PACKAGE.parent,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
