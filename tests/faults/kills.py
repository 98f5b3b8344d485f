"""An indexer killed (SIGKILL) at random moments of all kinds of runs."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

from faults.world import OPERATIONS, World, killed, report


def main(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Kill so many runs at work; return what was there then, and how many indexes were lost."""
    drawn = random.Random(seed)
    world = World.make(folder)
    tally = Counter({"tried": 0, "whole old": 0, "whole new": 0, "finished before": 0, "lost": 0})
    world.index()
    seconds, number = 0.2, 0
    while tally["tried"] < count:
        operation = OPERATIONS[number % len(OPERATIONS)]
        number += 1
        world.edit(operation, drawn)
        old, new = world.indexed(), world.there()
        if not killed(world.index, drawn.uniform(0, seconds)):
            tally["finished before"] += 1
            seconds *= 0.9
            assert tally["finished before"] < 20 * count, "nothing can be killed at work"
            continue
        tally["tried"] += 1
        seconds *= 1.05  # so that two of three runs are killed, and late moments are among them
        try:
            found = world.indexed()
            assert found in (old, new), "it is neither the old nor the new index"
            broken = world.broken()
            assert not broken, broken
            world.index()
            assert world.indexed() == new, "the next run did not finish the work"
            left = world.left()
            assert not left, f"left over: {left}"
        except AssertionError as error:
            tally["lost"] += 1
            print(operation, error, file=sys.stderr)
            world.edit("new", drawn)
            world.index()
            continue
        tally["whole new" if found == new else "whole old"] += 1
    return dict(tally)


if __name__ == "__main__":
    report(main)
