"""An indexer on a disk that is full, and on one that may not be written.

The disk is a small file system in memory, mounted where nobody else sees it; where the
system allows no such mount, nothing is tried.
"""

from __future__ import annotations

import ctypes
import os
import random
import sys
from collections import Counter
from pathlib import Path

from faults.world import World, report
from rag.errors import StoreError, StoreReadOnly

MEGABYTE = 1 << 20
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_READ_ONLY, _REMOUNT, _PRIVATE = 1, 32, (1 << 18) | 16384  # the last: all below, too


class MountError(Exception):
    """The system allows no mount."""


def mount(target: Path, flags: int = 0, options: str = "", kind: str = "tmpfs") -> None:
    """Mount a file system; raises `MountError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(kind.encode(), str(target).encode(), kind.encode(), flags, options.encode()):
        raise MountError(os.strerror(ctypes.get_errno()))


def alone() -> None:
    """Let this process see mounts of its own; raises `MountError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_MOUNTS | (_NEW_USER if user else 0)):
        raise MountError(os.strerror(ctypes.get_errno()))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    mount(Path("/"), _PRIVATE, kind="none")


def main(folder: Path, count: int, seed: int) -> dict[str, int]:
    """Fill the disk so many times and index; then let nobody write."""
    drawn = random.Random(seed)
    disk = folder / "disk"
    disk.mkdir(parents=True)
    tally = Counter({"tried": 0, "full": 0, "fitted": 0, "read-only": 0, "lost": 0})
    try:
        alone()
        mount(disk, options="size=16m")
    except (MountError, OSError) as error:
        print(f"no mount: {error}", file=sys.stderr)
        return {"tried": 0}
    world = World.make(folder, store=disk / "store")
    world.index()
    for number in range(count):
        world.edit(("add", "change", "delete")[number % 3], drawn)
        old, new = world.indexed(), world.there()
        tally["tried"] += 1
        fill(disk, leave=drawn.randrange(0, 4 * MEGABYTE))
        refused = tries(world)
        tally["full" if refused else "fitted"] += 1
        tally["lost"] += not sound(world, old if refused else new)
        (disk / "filler").unlink()
        world.index()
        tally["lost"] += not sound(world, new)
    world.edit("add", drawn)
    old = world.indexed()
    mount(disk, _REMOUNT | _READ_ONLY)
    tally["tried"] += 1
    try:
        world.index()
        tally["lost"] += 1
    except StoreReadOnly:
        tally["read-only"] += 1
    tally["lost"] += world.indexed() != old
    return dict(tally)


def fill(disk: Path, leave: int) -> None:
    """Leave so many bytes free."""
    stat = os.statvfs(disk)
    with (disk / "filler").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, stat.f_bavail * stat.f_frsize - leave))


def tries(world: World) -> bool:
    """Index; return whether it was refused, as a full disk is."""
    try:
        world.index()
    except StoreError as error:
        if "full" not in str(error):
            raise
        return True
    return False


def sound(world: World, expected: object) -> bool:
    """Whether the index holds what it should and nothing is broken or left over."""
    found, broken, left = world.indexed(), world.broken(), world.left()
    if found == expected and not broken and not left:
        return True
    print("lost:", found == expected, broken, left, file=sys.stderr)
    return False


if __name__ == "__main__":
    report(main)
