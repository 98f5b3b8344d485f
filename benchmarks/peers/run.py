"""Ask the same questions of this project and of four RAG frameworks, and compare.

    python benchmarks/peers/run.py ../shared/xquad
    python benchmarks/peers/run.py ../shared/xquad --peer ours --peer txtai --questions 4
    python benchmarks/peers/run.py ../shared/xquad --show

XQUAD is a folder with xquad.<code>.{half,test}.json. Makes an environment for each peer (once),
indexes, asks, and prints Markdown tables. What was measured is kept; given again, it goes on
where it stopped, and measures anew what changed. README.md beside this file tells the rest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
from asking import Conversation, Heard, PeerError
from choosing import SEED, Chosen, choose, digest, write_documents
from environments import PEERS, Environment, environment, identity, version
from judging import Record, Records, judge
from serving import Setup
from tables import Row, report

from rag.errors import RagError
from rag.models import SilentProgress, resolve_embedder, resolve_generator
from rag.settings import APP, Settings

PAIRS = ("en→en", "hi→hi")
THREADS = 2


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a peer works, and what all have in common."""

    folder: Path
    setup: Setup
    records: Records
    patience: float

    def talk(self, where: Environment) -> Conversation:
        """Start a peer's process."""
        command = [str(where.python), str(where.script), json.dumps(asdict(self.setup))]
        log = self.folder / f"{where.name}.log"
        return Conversation(command, where.variables(), log, self.patience)


def models() -> Setup:
    """Return the default models, which must have been fetched, and the limits of all."""
    settings = Settings.load({"offline": True})
    embedder = resolve_embedder(settings.embedder, settings, SilentProgress())
    generator = resolve_generator(settings.generator, settings, SilentProgress())
    return Setup(
        str(embedder.path),
        str(generator.path),
        threads=THREADS,
        context=settings.context,
        max_tokens=settings.max_tokens,
    )


def touch(setup: Setup) -> None:
    """Read the models once, so that no peer is the one that finds them not in memory."""
    files = [p for p in Path(setup.embedder).rglob("*") if p.is_file()]
    for path in [*files, Path(setup.generator)]:
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass


def measure(chosen: Chosen, where: Environment, bench: Bench, cold: int) -> None:
    """Index, then ask in new processes, then in one: all that is not yet in the records."""
    store = bench.folder / where.name / chosen.read
    if not bench.records.has(where.name, where.identity, chosen.read, "index", ""):
        _index(chosen, where, bench, store)
    elif not store.exists():
        raise PeerError(f"its index {store} is gone; remove {bench.folder} and begin anew")
    done = {r.question for r in bench.records.of(where.name, where.identity, chosen.pair, "cold")}
    for question in chosen.questions[:cold]:
        if question.id not in done:
            with bench.talk(where) as peer:
                peer.order("load", store=str(store))
                peer.hear("loaded")
                peer.order("ask", question=question.text)
                _keep(chosen, where, bench, "cold", question.id, peer.started, peer.hear_answer())
    _ask_warm(chosen, where, bench, store)


def _index(chosen: Chosen, where: Environment, bench: Bench, store: Path) -> None:
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    documents = bench.folder / "documents" / chosen.read
    write_documents(chosen, documents)
    _tell(where, chosen.read, "indexing")
    with bench.talk(where) as peer:
        peer.order("index", documents=str(documents), store=str(store))
        heard = peer.hear("indexed")
    bench.records.add(
        Record(
            where.name,
            where.identity,
            chosen.read,
            "index",
            seconds=heard.at - peer.started,
            peak_mb=heard.more["peak_mb"],
            chunks=heard.more["chunks"],
        )
    )


def _ask_warm(chosen: Chosen, where: Environment, bench: Bench, store: Path) -> None:
    done = {r.question for r in bench.records.of(where.name, where.identity, chosen.pair, "warm")}
    left = [q for q in chosen.questions if q.id not in done]
    if not left:
        return
    with bench.talk(where) as peer:
        peer.order("load", store=str(store))
        peer.hear("loaded")
        peer.order("ask", question=chosen.warming)
        peer.hear_answer()
        for question in left:
            asked = peer.order("ask", question=question.text)
            _keep(chosen, where, bench, "warm", question.id, asked, peer.hear_answer())


def _keep(
    chosen: Chosen,
    where: Environment,
    bench: Bench,
    kind: str,
    question: str,
    since: float,
    answer: tuple[float, Heard],
) -> None:
    first, heard = answer
    bench.records.add(
        Record(
            where.name,
            where.identity,
            chosen.pair,
            kind,
            question,
            first_seconds=first - since,
            seconds=heard.at - since,
            peak_mb=heard.more["peak_mb"],
            text=heard.more["text"],
            sources=tuple(heard.more["sources"]),
            refused=heard.more["refused"],
        )
    )
    _tell(where, chosen.pair, f"{kind}, {heard.at - since:.1f} s")


def _tell(where: Environment, pair: str, what: str) -> None:
    print(f"{PEERS[where.name][0]}, {pair}: {what}", file=sys.stderr, flush=True)


def rows(chosen: Chosen, names: Sequence[str], records: Records) -> list[Row]:
    """Return the rows of a pair: the peers that answered every question."""
    found = []
    for name in names:
        made = identity(name)
        warm = records.of(name, made, chosen.pair, "warm")
        if {r.question for r in warm} < {q.id for q in chosen.questions}:
            print(f"{PEERS[name][0]}, {chosen.pair}: not finished, left out", file=sys.stderr)
            continue
        title = f"{PEERS[name][0]} {version(name)}"
        index = records.of(name, made, chosen.read, "index")
        cold = records.of(name, made, chosen.pair, "cold")
        found.append(Row(title, index, cold, warm, judge(warm, chosen.questions)))
    return found


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("xquad", type=Path, help="the folder of XQuAD's files")
    parser.add_argument("--peer", action="append", choices=list(PEERS), help="only this one")
    parser.add_argument("--pair", action="append", help="such as en-hi; by default en-en and hi-hi")
    parser.add_argument("--questions", type=int, default=20, help="questions a pair (20)")
    parser.add_argument("--cold", type=int, default=3, help="questions in new processes (3)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"draws the questions ({SEED})")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for a line")
    parser.add_argument("--show", action="store_true", help="only print what was measured before")
    cache = Path(platformdirs.user_cache_dir(APP)) / "peers"
    parser.add_argument("--cache", type=Path, default=cache, help=f"where all is kept ({cache})")
    return parser.parse_args()


def run(args: argparse.Namespace) -> int:
    """Measure what is wanted and print the tables; return the number of peers that failed."""
    names = args.peer or list(PEERS)
    pairs = [pair.replace("-", "→") for pair in args.pair or PAIRS]
    chosen = [choose(args.xquad, pair, args.questions, args.seed) for pair in pairs]
    failed = 0
    for one in chosen:
        # A folder for what is asked over what: other questions are other measurements.
        folder = args.cache / "results" / digest([one])
        folder.mkdir(parents=True, exist_ok=True)
        records = Records(folder / "records.jsonl")
        if not args.show:
            setup = models()
            touch(setup)
            bench = Bench(folder, setup, records, args.patience)
            for name in names:
                try:
                    measure(one, environment(name, args.cache), bench, args.cold)
                except PeerError as error:
                    print(f"Error: {PEERS[name][0]}, {one.pair}: {error}", file=sys.stderr)
                    failed += 1
        if finished := rows(one, names, records):
            print(report(one.pair, finished), flush=True)
    return failed


def main() -> None:
    """Run from the command line."""
    try:
        sys.exit(1 if run(arguments()) else 0)
    except RagError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
