"""Readers that open and search an index while generation after generation is written."""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

from faults.world import World, report

READERS = 4


def main(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Write so many generations while readers read; count what each of them met."""
    drawn = random.Random(seed)
    world = World.make(folder)
    world.index()
    stop = folder / "stop"
    readers = [watch(world, stop, folder / f"reader{number}") for number in range(READERS)]
    allowed = [world.there()]
    for number in range(count):
        world.edit(("add", "change", "delete")[number % 3], drawn)
        allowed.append(world.there())
        world.index()
    stop.touch()
    tally = Counter({"generations written": count, "reads": 0, "whole": 0, "lost": 0})
    for number, child in enumerate(readers):
        os.waitpid(child, 0)
        for line in (folder / f"reader{number}").read_text(encoding="utf-8").splitlines():
            tally["reads"] += 1
            found = json.loads(line)
            tally["whole" if found in allowed else "lost"] += 1
            if found not in allowed:
                print(found, file=sys.stderr)
    return dict(tally)


def watch(world: World, stop: Path, log: Path) -> int:
    """Begin a process that reads until `stop` is there; return its number."""
    child = os.fork()
    if child:
        return child
    with log.open("w", encoding="utf-8") as file:
        while not stop.exists():
            try:
                found: object = world.indexed()
            except BaseException as error:  # whatever it is, it is not to happen
                found = repr(error)
            file.write(json.dumps(found) + "\n")
    os._exit(0)


if __name__ == "__main__":
    report(main)
