from __future__ import annotations

import base64
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from infrastructure.keys.master_key import (
    FolderNotPrivate,
    MasterKeyUnusable,
    make_private_folder,
    parse_master_key,
    read_or_make_master_key,
)

KEY = bytes(range(224, 256))


@pytest.mark.parametrize(
    "written",
    [
        KEY.hex(),
        KEY.hex().upper(),
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
        f"  {KEY.hex()}\n",
    ],
)
def test_a_key_may_be_written_as_hex_or_base64(written: str) -> None:
    assert parse_master_key(written) == KEY


@pytest.mark.parametrize(
    "written", ["", "abc", "g" * 64, KEY.hex()[:-2], KEY.hex() + "00", "é" * 43, "!" * 44]
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        parse_master_key(written)


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "master.key"
    made = read_or_make_master_key(path)
    assert len(made) == 32
    assert read_or_make_master_key(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    assert read_or_make_master_key(tmp_path / "a") != read_or_make_master_key(tmp_path / "b")


def test_all_who_start_at_once_get_one_key(tmp_path: Path) -> None:
    starters = 8
    for turn in range(20):
        gate = Barrier(starters)
        path = tmp_path / str(turn) / "master.key"

        def start(path: Path = path, gate: Barrier = gate) -> bytes:
            gate.wait()
            return read_or_make_master_key(path)

        with ThreadPoolExecutor(starters) as pool:
            keys = {future.result() for future in [pool.submit(start) for _ in range(starters)]}
        assert len(keys) == 1
        assert [file.name for file in path.parent.iterdir()] == ["master.key"]


@pytest.mark.parametrize("held", ["", "half a ke", "\udcff" * 32])
def test_a_damaged_key_is_reported_and_kept(tmp_path: Path, held: str) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(held.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(MasterKeyUnusable, match="restore it from a backup"):
        read_or_make_master_key(path)
    assert path.read_bytes() == held.encode("utf-8", "surrogateescape")


def test_a_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    read_or_make_master_key(path)
    path.chmod(0o644)
    with pytest.raises(MasterKeyUnusable, match="chmod 600"):
        read_or_make_master_key(path)


def test_a_private_folder_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    make_private_folder(folder)
    make_private_folder(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def open_to_others(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)


def linked_elsewhere(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize("prepare", [open_to_others, linked_elsewhere])
def test_a_folder_that_is_not_private_is_refused(
    tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    folder = tmp_path / "private"
    prepare(folder)
    with pytest.raises(FolderNotPrivate):
        make_private_folder(folder)
