"""Blobs appear whole or not at all, and only under their own digest."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infrastructure.storage.blobs import SHARDS, BlobDamaged, BlobMissing, FolderBlobs
from tests.paths import ROOT

DATA = b"\x00\xff an image" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_was_put_is_got_by_its_digest(blobs: FolderBlobs, tmp_path: Path) -> None:
    assert blobs.put(DATA) == DIGEST
    assert blobs.get(DIGEST) == DATA
    assert blobs.exists(DIGEST)
    assert blobs.path_of(DIGEST) == tmp_path / "blobs" / DIGEST[:2] / DIGEST
    assert files_under(tmp_path) == [blobs.path_of(DIGEST)]


def test_nothing_is_a_blob_too(blobs: FolderBlobs) -> None:
    assert blobs.get(blobs.put(b"")) == b""


def test_putting_twice_keeps_one(blobs: FolderBlobs, tmp_path: Path) -> None:
    blobs.put(DATA)
    first = blobs.path_of(DIGEST).stat().st_ino
    assert blobs.put(DATA) == DIGEST
    assert blobs.path_of(DIGEST).stat().st_ino == first
    assert len(files_under(tmp_path)) == 1


def test_threads_may_put_the_same_and_others(blobs: FolderBlobs, tmp_path: Path) -> None:
    many = [bytes([number % 4]) * 100_000 for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(blobs.put, many))
    assert [blobs.get(digest) for digest in digests] == many
    assert len(files_under(tmp_path)) == 4


def test_a_missing_blob_is_reported(blobs: FolderBlobs) -> None:
    assert not blobs.exists(DIGEST)
    with pytest.raises(BlobMissing, match=DIGEST):
        blobs.get(DIGEST)
    blobs.delete(DIGEST)


def test_a_deleted_blob_is_gone_and_may_come_again(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    blobs.delete(DIGEST)
    assert not blobs.exists(DIGEST)
    blobs.put(DATA)
    assert blobs.get(DIGEST) == DATA


def test_a_damaged_blob_is_never_served(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    blobs.path_of(DIGEST).write_bytes(b"x" + DATA[1:])
    with pytest.raises(BlobDamaged):
        blobs.get(DIGEST)
    blobs.path_of(DIGEST).write_bytes(DATA[:10])
    assert blobs.put(DATA) == DIGEST
    assert blobs.get(DIGEST) == DATA


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "..",
        "../../../../etc/passwd",
        DIGEST[:-1],
        DIGEST + "0",
        DIGEST.upper(),
        DIGEST + "\n",
        "g" * 64,
        "\u0660" * 64,
        "/" * 64,
        "\x00" * 64,
    ],
)
def test_what_is_no_digest_reaches_no_file(blobs: FolderBlobs, digest: str) -> None:
    for ask in (blobs.get, blobs.exists, blobs.delete, blobs.path_of):
        with pytest.raises(ValueError, match="64"):
            ask(digest)


def test_a_failed_put_leaves_nothing(blobs: FolderBlobs, tmp_path: Path) -> None:
    blobs.path_of(DIGEST).parent.mkdir(parents=True)
    blobs.path_of(DIGEST).mkdir()
    with pytest.raises(IsADirectoryError):
        blobs.put(DATA)
    assert files_under(tmp_path) == []


KILLED_WRITER = """
import fcntl, os, sys, time
from pathlib import Path
from infrastructure.storage.blobs import FolderBlobs

def stop_before_rename(source, target):
    print("written", flush=True)
    time.sleep(600)

os.replace = stop_before_rename
FolderBlobs(Path(sys.argv[1])).put(b"half an image")
"""


def test_what_a_killed_writer_left_is_swept_but_not_what_a_living_one_writes(
    blobs: FolderBlobs, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(tmp_path / "blobs")],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        FolderBlobs(tmp_path / "blobs")
        assert len(files_under(tmp_path)) == 1
        writer.send_signal(signal.SIGKILL)
    FolderBlobs(tmp_path / "blobs")
    assert files_under(tmp_path) == []


DAY = 86_400.0


def unused_for(blobs: FolderBlobs, digest: str, seconds: float) -> None:
    """Let a blob look as if nobody had used it for so long."""
    then = time.time() - seconds
    os.utime(blobs.path_of(digest), (then, then))


def deleted(blobs: FolderBlobs) -> int:
    return sum(blobs.delete_unused(place, DAY) for place in range(SHARDS))


def test_what_nobody_used_for_long_is_deleted_and_the_rest_stays(blobs: FolderBlobs) -> None:
    old, young = blobs.put(b"old"), blobs.put(b"young")
    unused_for(blobs, old, DAY + 60)
    unused_for(blobs, young, DAY - 60)
    assert deleted(blobs) == 1
    assert not blobs.exists(old)
    assert blobs.get(young) == b"young"
    assert deleted(blobs) == 0


@pytest.mark.parametrize("use", [lambda blobs: blobs.put(DATA), lambda blobs: blobs.get(DIGEST)])
def test_what_is_put_again_or_got_is_used(
    blobs: FolderBlobs, use: Callable[[FolderBlobs], object]
) -> None:
    blobs.put(DATA)
    unused_for(blobs, DIGEST, DAY + 60)
    use(blobs)
    assert deleted(blobs) == 0
    assert blobs.get(DIGEST) == DATA


def test_only_blobs_are_deleted(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    strange = blobs.path_of(DIGEST).with_name("note.txt")
    strange.write_text("somebody's")
    os.utime(strange, (0, 0))
    assert deleted(blobs) == 0
    assert strange.exists()


def test_no_blob_is_lost_that_is_put_while_it_is_deleted(blobs: FolderBlobs) -> None:
    place = int(DIGEST[:2], 16)
    over = threading.Event()

    def sweep() -> int:
        count = 0
        while not over.is_set():
            # So long ago that whatever is there goes, unless its use is respected.
            with contextlib.suppress(FileNotFoundError):
                unused_for(blobs, DIGEST, DAY + 60)
            count += blobs.delete_unused(place, DAY)
        return count

    with ThreadPoolExecutor(1) as pool:
        sweeping = pool.submit(sweep)
        for _ in range(300):
            assert blobs.put(DATA) == DIGEST
        over.set()
        assert sweeping.result() > 0
    blobs.put(DATA)
    assert deleted(blobs) == 0
    assert blobs.get(DIGEST) == DATA
