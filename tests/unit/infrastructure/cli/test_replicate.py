"""``hoard replicate`` as a program, against somebody else's server: a few scripted answers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.infrastructure.cli.scripted_horde import ID, Horde, serving, webp
from workers.inference.replicas import EQUAL, NOT_PROMISED, ROUNDED

IMAGE = "0190f3a4-6c1e-7b2d-8e55-0123456789ab"
DEADLINE_SECONDS = 60


def said(words: str) -> list[dict[str, str]]:
    return [
        {"type": "information", "value": "see_ref", "ref": "something else"},
        {"type": "information", "value": "see_ref", "ref": words},
    ]


@pytest.fixture
def horde() -> Iterator[Horde]:
    with serving(Horde(images=1, finished=1, remarks=said(ROUNDED))) as scripted:
        yield scripted


Replicate = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "infrastructure.cli", "replicate", *arguments]


@pytest.fixture
def replicate(horde: Horde) -> Replicate:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command("--url", horde.url, *arguments),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )

    return run


def test_the_image_is_saved_and_its_path_is_the_output(
    replicate: Replicate, horde: Horde, tmp_path: Path
) -> None:
    file = tmp_path / "again" / "image.webp"
    ended = replicate(IMAGE, "--output", str(file))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{file}\n"
    assert file.read_bytes() == webp((0, 0, 0))
    assert "1 finished" in ended.stderr
    assert ended.stderr.splitlines()[-1] == ROUNDED
    method, path, body, key = horde.seen[0]
    assert (method, path, key) == ("POST", "/api/v2/generate/async", "0000000000")
    assert body == {"replicate": IMAGE, "exact": False, "r2": True}


def test_no_file_is_overwritten(replicate: Replicate, tmp_path: Path) -> None:
    file = tmp_path / "image.webp"
    file.write_bytes(b"something of mine")
    ended = replicate(IMAGE, "--output", str(file))
    assert ended.returncode == 0, ended.stderr
    assert file.read_bytes() == b"something of mine"
    assert ended.stdout == f"{tmp_path / 'image-2.webp'}\n"
    assert (tmp_path / "image-2.webp").read_bytes() == webp((0, 0, 0))


def test_it_is_named_after_the_image_if_nothing_is_said(horde: Horde, tmp_path: Path) -> None:
    ended = subprocess.run(
        command(IMAGE, "--url", horde.url),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"images/{IMAGE}-replica.webp\n"
    assert (tmp_path / "images" / f"{IMAGE}-replica.webp").read_bytes() == webp((0, 0, 0))


def test_exact_and_the_key_are_sent(replicate: Replicate, horde: Horde, tmp_path: Path) -> None:
    horde.remarks = said(EQUAL)
    ended = replicate(IMAGE, "--exact", "--key", "k" * 22, "--output", str(tmp_path / "image"))
    assert ended.stderr.splitlines()[-1] == EQUAL
    _, _, body, key = horde.seen[0]
    assert key == "k" * 22
    assert body["exact"] is True


def test_json_lines_tell_the_whole_story(
    replicate: Replicate, horde: Horde, tmp_path: Path
) -> None:
    horde.remarks = said(f"{NOT_PROMISED}device")
    ended = replicate(IMAGE, "--json", "--output", str(tmp_path / "image"))
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["accepted", "warning", "progress", "image"]
    assert lines[0]["id"] == ID
    assert lines[3]["replicates"] == IMAGE
    assert lines[3]["equality"] == f"{NOT_PROMISED}device"
    assert ended.stderr == ""


def test_a_worker_that_says_nothing_of_equality_is_no_failure(
    replicate: Replicate, horde: Horde, tmp_path: Path
) -> None:
    horde.remarks = []
    ended = replicate(IMAGE, "--output", str(tmp_path / "image"))
    assert ended.returncode == 0
    assert ended.stderr.splitlines()[-1] == "Its worker did not compare it."


def test_what_the_worker_says_does_not_steer_the_terminal(
    replicate: Replicate, horde: Horde, tmp_path: Path
) -> None:
    horde.remarks = said("replica: \x1b[2J[red]done")
    ended = replicate(IMAGE, "--output", str(tmp_path / "image"))
    assert ended.stderr.splitlines()[-1] == "replica: \\x1b[2J[red]done"


def test_an_image_that_is_not_made_fails(
    replicate: Replicate, horde: Horde, tmp_path: Path
) -> None:
    horde.finished = 0
    ended = replicate(IMAGE, "--output", str(tmp_path / "image"))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "The image was not made" in ended.stderr
    assert ID in ended.stderr


def test_a_refusal_is_told_with_its_code_and_what_to_do(replicate: Replicate, horde: Horde) -> None:
    horde.refusal = {"message": "There is no such image.", "rc": "ImageNotFound"}
    ended = replicate(IMAGE)
    assert ended.returncode == 1
    assert "There is no such image. (ImageNotFound)" in ended.stderr
    assert "--key" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("image_id", ["5", "an image", f"{IMAGE}/../x"])
def test_what_is_no_id_is_said_before_anything_is_asked(
    replicate: Replicate, horde: Horde, image_id: str
) -> None:
    ended = replicate(image_id)
    assert ended.returncode == 2
    assert "not an image id" in ended.stderr
    assert horde.seen == []


def test_ctrl_c_cancels_the_request(horde: Horde, tmp_path: Path) -> None:
    horde.done, horde.finished = False, 0
    child = subprocess.Popen(
        command(IMAGE, "--url", horde.url, "--output", str(tmp_path / "image")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert horde.checked.wait(DEADLINE_SECONDS)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=DEADLINE_SECONDS)
    finally:
        child.kill()
        child.wait()
    assert (child.returncode, out) == (130, ""), err
    assert ("DELETE", f"/api/v2/generate/status/{ID}") in [seen[:2] for seen in horde.seen]
    assert "Cancelled: 0 of 1 images were finished" in err
    assert "Traceback" not in err
