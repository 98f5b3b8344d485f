"""One changed byte anywhere in an index, or in what is kept to be fast.

What counts: after a change there is an error of one line, or the very same as before.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from pathlib import Path

from conftest import FakeEmbedder

from faults.world import World, report
from rag.datatypes import Answer
from rag.errors import RagError
from rag.index import Index
from rag.kept import Kept
from rag.remembering import Remembered
from rag.retrieve import retrieve

QUESTION = "river number here"


def main(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Change bytes, `count` of each file (all of a small one), one at a time."""
    drawn = random.Random(seed)
    world = World.make(folder)
    world.index()
    states = Kept(folder / "states", "state 2", 10_000_000)
    states.keep({"key": 1}, os.urandom(5000))
    remember(world)
    expected = seen(world, states)
    tally = Counter({"tried": 0, "told in one line": 0, "made no difference": 0, "lost": 0})
    roots = (world.settings.store, folder / "states")
    files = sorted(path for root in roots for path in root.rglob("*") if path.is_file())
    for path in files:
        data = path.read_bytes()
        every = list(range(len(data)))
        for place in every if len(data) <= count else sorted(drawn.sample(every, count)):
            changed = bytearray(data)
            changed[place] ^= 1 << drawn.randrange(8)
            path.write_bytes(changed)
            tally["tried"] += 1
            outcome = met(world, states, expected)
            tally[outcome] += 1
            if outcome == "lost":
                print(path.relative_to(folder), place, file=sys.stderr)
            path.write_bytes(data)
    assert seen(world, states) == expected, "it was put back"
    return dict(tally)


def met(world: World, states: Kept, expected: object) -> str:
    """Use everything; return what happened."""
    try:
        found = seen(world, states)
    except RagError as error:
        return "told in one line" if "\n" not in str(error) else "lost"
    except Exception as error:
        print(repr(error), file=sys.stderr)
        return "lost"
    # A remembered answer or a state that is not found is made anew.
    same = all(one == other or one is None for one, other in zip(found, expected, strict=True))
    return "made no difference" if same else "lost"


def remember(world: World) -> None:
    """Keep an answer beside the index."""
    index = Index.load(world.settings.store)
    answer = Answer(QUESTION, "en", "river", (), (), (), 0.9)
    Remembered(index.text, {}).keep(QUESTION, answer)
    index.close()


def seen(world: World, states: Kept) -> tuple[object, ...]:
    """Return all that is read: hits, evidence, a remembered answer, a state."""
    index = Index.load(world.settings.store)
    try:
        found = retrieve(QUESTION, index, FakeEmbedder(), k=5, evidence=4)
        remembered = Remembered(index.text, {}).find(QUESTION)
        return (repr(found), remembered, states.find({"key": 1}))
    finally:
        index.close()


if __name__ == "__main__":
    report(main)
