"""SHA-256 of large files: computed once, and again when the file is another."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.paths import ROOT
from workers.models.hashes import FileChanges, HashCache
from workers.models.locks import LockTaken, locked, try_lock

DATA = bytes(range(256)) * 40_000
DIGEST = hashlib.sha256(DATA).hexdigest()
STORE_ELSEWHERE = """
import sys
import threading
from pathlib import Path
from workers.models.hashes import HashCache
cache = HashCache(Path(sys.argv[1]))
for path in sys.argv[2:]:
    cache.store(Path(path), Path(path).name)
"""


class Reading:
    """Counts the files that were read."""

    def __init__(self) -> None:
        self.whole = 0
        self.told: list[int] = []

    def __call__(self, done: int, total: int) -> None:
        self.told.append(done)
        self.whole += done == total


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "hashes.json"


def test_a_file_is_read_once_by_however_many_processes(file: Path, remembered: Path) -> None:
    first, second = Reading(), Reading()
    assert HashCache(remembered).known_of(file) is None
    assert HashCache(remembered).sha256_of(file, first) == DIGEST
    assert HashCache(remembered).sha256_of(file, second) == DIGEST
    assert HashCache(remembered).known_of(file) == DIGEST
    assert (first.whole, second.whole) == (1, 0)
    assert first.told == sorted(first.told)
    assert len(first.told) > 1


def test_a_link_is_the_file_that_it_leads_to(file: Path, remembered: Path) -> None:
    link = file.with_name("link.safetensors")
    link.symlink_to(file)
    cache = HashCache(remembered)
    cache.sha256_of(file)
    assert cache.known_of(link) == DIGEST


def test_a_file_that_was_changed_is_read_again(file: Path, remembered: Path) -> None:
    cache, status = HashCache(remembered), os.stat(file)
    cache.sha256_of(file)
    file.write_bytes(DATA[:-1])
    assert cache.sha256_of(file) == hashlib.sha256(DATA[:-1]).hexdigest()
    file.write_bytes(DATA)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert cache.sha256_of(file) == DIGEST
    # The same size and the same time, but another file.
    other = file.with_name("other")
    other.write_bytes(DATA[::-1])
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, file)
    assert cache.sha256_of(file) == hashlib.sha256(DATA[::-1]).hexdigest()


def test_a_file_that_somebody_writes_into_has_no_digest(file: Path, remembered: Path) -> None:
    def write(done: int, total: int) -> None:
        if done == total:
            with file.open("ab") as opened:
                opened.write(b"more")

    cache = HashCache(remembered)
    with pytest.raises(FileChanges):
        cache.sha256_of(file, write)
    assert cache.known_of(file) is None
    assert cache.sha256_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_what_stops_a_reading_is_passed_on(file: Path, remembered: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    cache = HashCache(remembered)
    with pytest.raises(Stopped):
        cache.sha256_of(file, stop)
    assert cache.sha256_of(file) == DIGEST


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"a": 1}', b"\xff"])
def test_a_memory_that_is_broken_is_begun_anew(file: Path, remembered: Path, broken: bytes) -> None:
    remembered.parent.mkdir()
    remembered.write_bytes(broken)
    assert HashCache(remembered).sha256_of(file) == DIGEST
    assert HashCache(remembered).known_of(file) == DIGEST


def test_what_is_gone_is_forgotten(file: Path, remembered: Path) -> None:
    cache, gone = HashCache(remembered), file.with_name("gone")
    gone.write_bytes(b"x")
    cache.sha256_of(gone)
    gone.unlink()
    cache.sha256_of(file)
    assert str(gone) not in remembered.read_text()
    with pytest.raises(FileNotFoundError):
        cache.sha256_of(gone)


def test_who_waits_for_a_file_to_be_read_does_not_read_it_again(
    file: Path, remembered: Path
) -> None:
    begun, go_on, other = threading.Event(), threading.Event(), Reading()

    def slowly(done: int, total: int) -> None:
        begun.set()
        go_on.wait(60)

    reading = threading.Thread(target=HashCache(remembered).sha256_of, args=(file, slowly))
    reading.start()
    assert begun.wait(60)
    asking = threading.Thread(target=HashCache(remembered).sha256_of, args=(file, other))
    asking.start()
    # Whether it is here already or comes too late, it finds what was read.
    go_on.set()
    reading.join()
    asking.join()
    assert other.whole == 0


def test_processes_that_write_at_once_forget_nothing(tmp_path: Path, remembered: Path) -> None:
    files = [tmp_path / f"{place}.ckpt" for place in range(300)]
    for file in files:
        file.touch()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", STORE_ELSEWHERE, str(remembered), *map(str, files[half::2])],
            cwd=ROOT,
        )
        for half in range(2)
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    cache = HashCache(remembered)
    assert [cache.known_of(file) for file in files] == [file.name for file in files]


def test_a_lock_is_one_processs_or_shared(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    one, two = try_lock(path, shared=True), try_lock(path, shared=True)
    with pytest.raises(LockTaken):
        try_lock(path)
    one.release()
    two.release()
    alone = try_lock(path)
    waited: list[None] = []
    with (
        pytest.raises(LockTaken),
        locked(path, seconds=0.2, while_waiting=lambda: waited.append(None)),
    ):
        pass
    assert waited
    alone.release(remove=True)
    assert not path.exists()
    with locked(path, seconds=0), pytest.raises(LockTaken):
        try_lock(path, shared=True)


def test_a_lock_whose_file_was_removed_meanwhile_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "lock", fcntl.flock

    def after_its_removal(descriptor: int, kind: int) -> None:
        # Who held it removes it between another's opening its file and locking that.
        monkeypatch.setattr(fcntl, "flock", flock)
        path.unlink()
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", after_its_removal)
    held = try_lock(path)
    with pytest.raises(LockTaken):
        try_lock(path)
    held.release()
