"""Documents that change, grow, shrink and vanish while they are read."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

from faults.world import World, report
from rag.errors import NoDocumentsError


def main(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Index so many times while another process edits the folder without a pause."""
    drawn = random.Random(seed)
    # A file may be read when half a letter is written: in ASCII there are no halves.
    world = World.make(folder, subjects=("river", "dam", "report", "city"))
    tally = Counter({"tried": 0, "whole": 0, "lost": 0, "files skipped in one line": 0})
    for _ in range(count):
        tally["tried"] += 1
        editor = os.fork()
        if not editor:
            meddle(world, random.Random(drawn.randrange(10**9)))
        try:
            report = world.index()
            tally["files skipped in one line"] += len(report.failed)
        except NoDocumentsError:
            pass
        finally:
            os.kill(editor, signal.SIGKILL)
            os.waitpid(editor, 0)
        try:
            world.indexed()  # every text has the digest that it was read with
            assert not world.broken(), "it contradicts itself"
            world.index()
            # The editor may have died in the middle: what it left empty is no document.
            whole = {n: d for n, d in world.there().items() if (world.documents / n).stat().st_size}
            assert world.indexed() == whole, "the next run did not catch up"
        except AssertionError as error:
            tally["lost"] += 1
            print(error, file=sys.stderr)
            continue
        tally["whole"] += 1
    return dict(tally)


def meddle(world: World, drawn: random.Random) -> None:
    """Edit documents until this process is killed."""
    while True:
        names = sorted(path.name for path in world.documents.iterdir())
        path = world.documents / drawn.choice(names)
        act = drawn.randrange(5)
        if act == 0 and len(names) > 15:
            path.unlink()
        elif act == 1:
            world.write(f"{drawn.randrange(30):03}.txt", drawn)
        elif act == 2:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"\nGrown by {drawn.randrange(10**6)} lines.")
        elif act == 3:
            os.truncate(path, max(1, path.stat().st_size // 2))
        else:
            world.write(path.name, drawn)


if __name__ == "__main__":
    report(main)
