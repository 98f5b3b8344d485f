"""Files under keys: only whole ones of the very key, and no more than fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag.kept import Kept

KEY = {"model": ["fake@1"], "tokens": [1, 2, 3]}


def test_a_state_is_found_again_by_its_key_alone(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "new" / "states", "thing 1", 1000, parents=True)
    assert kept.find(KEY) is None
    kept.keep(KEY, b"state")
    assert kept.find(dict(reversed(KEY.items()))) == b"state"
    assert kept.find({**KEY, "tokens": [1, 2]}) is None
    kept.keep(KEY, b"another")
    assert Kept(tmp_path / "new" / "states", "thing 1", 1000, parents=True).find(KEY) == b"another"


def test_files_are_for_the_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "states"
    Kept(folder, "thing 1", 1000, parents=True).keep(KEY, b"state")
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("place", range(0, 60, 3))
def test_a_changed_byte_is_noticed_and_the_file_thrown_away(tmp_path: Path, place: int) -> None:
    kept = Kept(tmp_path, "thing 1", 1000, parents=True)
    kept.keep(KEY, b"state of some bytes")
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    assert kept.find(KEY) is None
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_and_one_of_another_key_are_none(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "thing 1", 1000, parents=True)
    for wrong in ("truncated", "renamed"):
        kept.keep(KEY, b"state")
        (file,) = tmp_path.iterdir()
        other = {**KEY, "tokens": []}
        if wrong == "truncated":
            file.write_bytes(file.read_bytes()[:-1])
            assert kept.find(KEY) is None
        else:
            file.rename(kept._path(other))
            assert kept.find(other) is None


def test_a_file_of_another_version_is_none(tmp_path: Path) -> None:
    Kept(tmp_path, "thing 1", 1000).keep(KEY, b"state")
    assert Kept(tmp_path, "thing 2", 1000).find(KEY) is None


def test_without_leave_no_folder_above_is_made(tmp_path: Path) -> None:
    Kept(tmp_path / "gone" / "things", "thing 1", 1000).keep(KEY, b"state")
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_go_where_there_is_no_room(tmp_path: Path) -> None:
    """Files have 48 bytes before what was kept; what was used last stays."""
    kept = Kept(tmp_path, "thing 1", 400)
    keys = [{"n": n} for n in range(4)]
    for n, key in enumerate(keys[:3]):
        kept.keep(key, bytes(60))
        os.utime(kept._path(key), (n, n))
    assert kept.find(keys[0]) is not None  # and is the youngest by that
    kept.keep(keys[3], bytes(60))
    assert [kept.find(key) is not None for key in keys] == [True, False, True, True]


def test_what_is_larger_than_half_the_room_is_not_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "thing 1", 400)
    kept.keep(KEY, bytes(201))
    assert kept.find(KEY) is None


def test_a_folder_that_cannot_be_made_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = Kept(tmp_path / "file" / "states", "thing 1", 1000, parents=True)
    kept.keep(KEY, b"state")
    assert kept.find(KEY) is None


def test_what_a_writer_left_behind_goes_with_the_oldest(tmp_path: Path) -> None:
    (tmp_path / ".half.thing").write_bytes(bytes(350))
    os.utime(tmp_path / ".half.thing", (1, 1))
    kept = Kept(tmp_path, "thing 1", 400)
    kept.keep(KEY, bytes(60))
    assert kept.find(KEY) == bytes(60)
    assert len(list(tmp_path.iterdir())) == 1
