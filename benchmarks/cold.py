"""Where people wait: the first token of a cold `ask`, and the tokens read in a session.

    python benchmarks/cold.py XQUAD first [--questions 5] [--translations 1]
    python benchmarks/cold.py XQUAD session
    python benchmarks/cold.py XQUAD waterfall [--picture docs/waterfall.svg]

XQUAD is a folder with xquad.en.half.json; its 120 paragraphs are indexed as files, and so are
the sample documents. `first` takes for each question three processes in turn: `ask` with no
head of a prompt on disk, `ask` as it is from the second question on, and a bare script that
loads the same GGUF with llama-cpp-python's `Llama` (same window, threads, weights as they lie)
and reads the same tokens; `--translations` are as many rows with a name to translate. Time
counts from before the process is made to the first generated token; files lie in the system's
cache. `session` asks ten questions in one process and tells the tokens of each prompt and how
many of them had to be read. `waterfall` times the stages of one cold `ask` and draws them.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import escape
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Over the sample documents: a name to translate, so that the generator is needed.
TRANSLATED = "Where was Putin going to meet Trump?"


# In the child


class Marks:
    """Stages of this process: name, thread, start and end in seconds since it was made."""

    def __init__(self, start: float) -> None:
        self.start = start
        self.stages: list[tuple[str, bool, float, float]] = []
        self.first = 0.0
        self.tokens: list[int] = []

    def now(self) -> float:
        """Return the seconds since the process was made."""
        return time.time() - self.start

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        begun = self.now()
        try:
            yield
        finally:
            aside = threading.current_thread() is not threading.main_thread()
            self.stages.append((name, aside, begun, self.now()))

    def around(self, owner: Any, name: str, stage: str) -> None:
        """Time each call of a function or method."""
        whole = getattr(owner, name)
        made = getattr(whole, "__func__", None)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                return (made or whole)(*args, **kwargs)

        setattr(owner, name, classmethod(timed) if made else timed)


class Hooks(importlib.abc.MetaPathFinder):
    """Calls something with a module right after the program has imported it.

    Nothing is imported earlier than without measuring.
    """

    def __init__(self, wanted: Mapping[str, Callable[[Any], None]]) -> None:
        self._wanted = dict(wanted)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Let the others find a module, and add what is wanted after it."""
        act = self._wanted.pop(fullname, None)
        spec = importlib.util.find_spec(fullname) if act is not None else None
        if act is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            act(module)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def child(report: Path, start: float, arguments: Sequence[str]) -> None:
    """Be `ask`, and write down when what happened."""
    marks = Marks(start)
    marks.stages.append(("Python", False, 0.0, marks.now()))

    def around(owner: str, name: str, stage: str) -> Callable[[Any], None]:
        def act(module: Any) -> None:
            marks.around(getattr(module, owner) if owner else module, name, stage)

        return act

    def answering(module: Any) -> None:
        marks.around(module, "retrieve", "search")
        marks.around(module, "extract", "read the sentences")
        marks.around(module, "language", "tell the language")

    def engine(module: Any) -> None:
        run = module.LlamaEngine.run

        def watched(self: Any, tokens: Sequence[int], constant: int, refusal: str) -> Any:
            marks.tokens = marks.tokens or list(tokens)
            begun = marks.now()
            try:
                for number, step in enumerate(run(self, tokens, constant, refusal)):
                    if not number:
                        marks.stages.append(("read the prompt", False, begun, marks.now()))
                        begun = marks.now()
                        marks.first = marks.first or begun
                    yield step
            finally:  # who asks closes it after the last token that is wanted
                marks.stages.append(("write", False, begun, marks.now()))

        module.LlamaEngine.run = watched

    hooks = {
        "rag.index.core": around("Index", "load", "open the index"),
        "rag.embedding.tokens": around("Tokenizer", "load", "load the tokenizer"),
        "rag.embedding.encoder": around("Encoder", "load", "load the encoder"),
        "rag.embedding.light": around("LightEmbedder", "embed_queries", "embed"),
        "rag.generation.llama": around("LlamaGenerator", "load", "load the generator"),
        "rag.spans": around("SpanReader", "shipped", "load the reader"),
        "rag.lexicon": around("Lexicon", "__init__", "make the lexicon"),
        "rag.session": around("Session", "_load_ahead", "begin to load"),
        "rag.answer": answering,
        "rag.generation.engine": engine,
    }
    sys.meta_path.insert(0, Hooks(hooks))
    with marks.stage("import the command"):
        from rag.cli import ask_main
    sys.argv = ["ask", *arguments]
    with suppress(SystemExit):
        ask_main()
    whole = {"stages": marks.stages, "first": marks.first, "tokens": marks.tokens}
    report.write_text(json.dumps({**whole, "end": marks.now()}), encoding="utf-8")


def bare(report: Path, start: float, model: str) -> None:
    """Be a script that knows nothing but llama-cpp-python."""
    import llama_cpp
    from peers.serving import plain_weights

    plain_weights()  # the program's own choice, too; repacking takes seconds
    tokens = json.loads(report.read_text(encoding="utf-8"))["tokens"]
    llama = llama_cpp.Llama(model, n_ctx=4096, n_threads=2, n_threads_batch=2, verbose=False)
    next(llama.generate(tokens, temp=0.0))
    report.write_text(json.dumps({"first": time.time() - start, "tokens": tokens}))


# In the parent


def started(role: str, report: Path, arguments: Sequence[str], env: dict[str, str]) -> Any:
    """Run a child and return what it reports."""
    command = [sys.executable, __file__, "--child", role, str(report)]
    made = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    made.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling every module costs a third of a second
    subprocess.run(
        [*command, str(time.time()), *arguments], check=True, env=made, capture_output=True
    )
    return json.loads(report.read_text(encoding="utf-8"))


def english(xquad: Path, folder: Path, count: int) -> list[str]:
    """Index the English paragraphs in `folder`; return answerable questions about them."""
    data = json.loads((xquad / "xquad.en.half.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [p for article in data for p in article["paragraphs"]]
    (folder / "documents").mkdir()
    for number, paragraph in enumerate(paragraphs):
        file = folder / "documents" / f"{number:03}.txt"
        file.write_text(paragraph["context"], encoding="utf-8")
    indexed(folder / "documents", folder / "english")
    asked = [qa["question"] for p in paragraphs for qa in p["qas"]]
    return random.Random(7).sample(asked, count)


def indexed(documents: Path, store: Path) -> None:
    """Index a folder."""
    command = "from rag.cli import rag_main; rag_main()"
    arguments = ["index", "--store", str(store), str(documents)]
    made = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", command, *arguments], check=True, env=made)


def first(xquad: Path, folder: Path, count: int, translations: int) -> None:
    """Print the time to the first token, and its ratio to that of the bare script."""
    from rag.models import SilentProgress, resolve_generator
    from rag.settings import Settings

    settings = Settings.load({})
    model = resolve_generator(settings.generator, settings, SilentProgress()).path
    asked = [(folder / "english", q) for q in english(xquad, folder, count)]
    indexed(ROOT / "seeds", folder / "seeds")
    asked += [(folder / "seeds", TRANSLATED)] * translations
    print("| question | prompt | bare script | `ask`, the very first | `ask` | ratios |")
    print("|---|---|---|---|---|---|")
    rows = []
    for store, question in asked:
        arguments = ["--fresh", "--store", str(store), question]
        report = folder / "report.json"
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            env = {"XDG_CACHE_HOME": cache, "RAG_MODELS": str(settings.models)}
            times = [started("ask", report, arguments, env) for _ in range(2)]
            if not times[0]["tokens"]:
                continue  # it was refused before the generator was asked
            times.append(started("bare", report, [model], env))
        new, again, plain = (t["first"] for t in times)
        rows.append((new / plain, again / plain))
        size = f"{len(times[2]['tokens'])} tokens"
        ratios = f"{new / plain:.2f}, {again / plain:.2f}"
        print(f"| {question} | {size} | {plain:.2f} s | {new:.2f} s | {again:.2f} s | {ratios} |")
    for name, ratios_of in zip(
        ("very first", "from then on"), zip(*rows, strict=True), strict=True
    ):
        print(f"\n{name}: median ratio {statistics.median(ratios_of):.2f}, n = {len(rows)}")


def session(xquad: Path, folder: Path) -> None:
    """Print the tokens of ten prompts, and those that had to be read."""
    from rag.models import SilentProgress
    from rag.session import Session
    from rag.settings import Settings

    questions = english(xquad, folder, 30)
    os.environ["RAG_MODELS"] = str(Settings.load({}).models)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    made = Session(Settings.load({"store": folder / "english"}), SilentProgress())
    print("| question | seconds | told | read |")
    print("|---|---|---|---|")
    number = 0
    for question in questions:
        answer = made.ask(question, fresh=True)
        if not answer.tokens["prompt"]:
            continue
        number += 1
        told, read = answer.tokens["prompt"], answer.tokens["read"]
        print(f"| {number} | {answer.timings['total']:.2f} | {told} | {read} |")
        if number == 10:
            break


def waterfall(folder: Path, picture: Path | None) -> None:
    """Print the stages of a cold `ask` that translates, of the median of five runs."""
    indexed(ROOT / "seeds", folder / "seeds")
    arguments = ["--fresh", "--store", str(folder / "seeds"), TRANSLATED]
    runs = [started("ask", folder / "report.json", arguments, {}) for _ in range(6)][1:]
    run = sorted(runs, key=lambda r: r["end"])[len(runs) // 2]
    print(f"{'stage':24}{'from':>8}{'to':>8}{'takes':>8}")
    for name, aside, begun, ended in sorted(run["stages"], key=lambda s: s[2]):
        where = "  (beside)" if aside else ""
        print(f"{name:24}{begun:8.2f}{ended:8.2f}{ended - begun:8.2f}{where}")
    print(f"first token at {run['first']:.2f} s, done at {run['end']:.2f} s")
    if picture is not None:
        picture.write_text(drawn(run), encoding="utf-8")


WIDTH, LEFT, LINE = 720, 170, 22


def drawn(run: dict[str, Any]) -> str:
    """Draw the stages as bars over time; what runs in a thread of its own is hatched lighter."""
    stages = sorted(run["stages"], key=lambda s: s[2])
    end = run["end"]

    def scale(t: float) -> float:
        return LEFT + t / end * (WIDTH - LEFT - 60)

    height = LINE * (len(stages) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for tenth in range(0, int(end * 2) + 1):
        x = scale(tenth / 2)
        parts.append(f'<path d="M{x:.1f} 4V{height - LINE}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle" fill="#555">'
            f"{tenth / 2:.1f} s</text>"
        )
    for line, (name, aside, begun, ended) in enumerate(stages):
        y = 4 + line * LINE
        colour = "#9ecae1" if aside else "#2b6ca3"
        wide = max(scale(ended) - scale(begun), 1)
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end" fill="#222">{escape(name)}</text>'
            f'<rect x="{scale(begun):.1f}" y="{y + 3}" width="{wide:.1f}" height="15" '
            f'fill="{colour}"/><text x="{scale(begun) + wide + 4:.1f}" y="{y + 15}" fill="#555">'
            f"{ended - begun:.2f}</text>"
        )
    x = scale(run["first"])
    parts.append(f'<path d="M{x:.1f} 4V{height - LINE}" stroke="#c0392b" stroke-dasharray="4 3"/>')
    parts.append(
        f'<text x="{x:.1f}" y="16" fill="#c0392b" dx="5">first token</text>'
        f'<text x="{WIDTH - 8}" y="16" text-anchor="end" fill="#555">light: in a thread</text>'
        "</svg>"
    )
    return "\n".join(parts) + "\n"


def main() -> None:
    """Measure what is asked for."""
    if sys.argv[1:2] == ["--child"]:
        role, report, start, *rest = sys.argv[2:]
        if role == "ask":
            child(Path(report), float(start), rest)
        else:
            bare(Path(report), float(start), rest[0])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("xquad", type=Path)
    parser.add_argument("what", choices=("first", "session", "waterfall"))
    parser.add_argument("--questions", type=int, default=5)
    parser.add_argument("--translations", type=int, default=1)
    parser.add_argument("--picture", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.what == "first":
            first(asked.xquad, Path(folder), asked.questions, asked.translations)
        elif asked.what == "session":
            session(asked.xquad, Path(folder))
        else:
            waterfall(Path(folder), asked.picture)


if __name__ == "__main__":
    main()
