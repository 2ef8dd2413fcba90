"""``hoard generate`` as a program, against somebody else's server: a few scripted answers."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.unit.infrastructure.cli.scripted_horde import ID, Horde, serving, webp

DEADLINE_SECONDS = 60


@pytest.fixture
def horde() -> Iterator[Horde]:
    with serving(Horde()) as scripted:
        yield scripted


Generate = Callable[..., subprocess.CompletedProcess[str]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "infrastructure.cli", "generate", *arguments]


@pytest.fixture
def generate(horde: Horde, tmp_path: Path) -> Generate:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command("a red circle", "--url", horde.url, "--out", str(tmp_path), *arguments),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )

    return run


def test_images_and_sheet_are_saved_and_their_paths_are_the_output(
    generate: Generate, horde: Horde, tmp_path: Path
) -> None:
    ended = generate("--n", "3", "--size", "512x768", "--steps", "4", "--sampler", "lcm")
    assert ended.returncode == 0, ended.stderr
    paths = [Path(line) for line in ended.stdout.splitlines()]
    assert [path.name for path in paths] == [
        "8f14e45f-01.webp",
        "8f14e45f-02.webp",
        "8f14e45f-03.webp",
        "8f14e45f-contact-sheet.png",
    ]
    assert {path.parent for path in paths} == {tmp_path}
    assert paths[1].read_bytes() == webp((80, 0, 0))
    with Image.open(paths[3]) as sheet:
        assert sheet.width > 3 * 64
    assert "3 finished" in ended.stderr
    assert "StepsTooFew: Few steps." in ended.stderr
    method, path, body, key = horde.seen[0]
    assert (method, path, key) == ("POST", "/api/v2/generate/async", "0000000000")
    assert body["prompt"] == "a red circle"
    assert body["params"] == {
        "n": 3,
        "width": 512,
        "height": 768,
        "steps": 4,
        "sampler_name": "lcm",
    }


def test_everything_that_may_be_said_is_sent(generate: Generate, horde: Horde) -> None:
    generate(
        *("--n", "3", "--cfg", "1.5", "--seed", "hello", "--key", "k" * 22),
        *("--model", "one", "--model", "two"),
    )
    _, _, body, key = horde.seen[0]
    assert key == "k" * 22
    assert body["models"] == ["one", "two"]
    assert (body["params"]["cfg_scale"], body["params"]["seed"]) == (1.5, "hello")


def test_json_lines_tell_the_whole_story(generate: Generate) -> None:
    ended = generate("--n", "3", "--json")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["type"] for line in lines] == [
        "accepted",
        "warning",
        "progress",
        *["image"] * 3,
        "contact_sheet",
    ]
    assert lines[0]["id"] == ID
    assert (lines[4]["seed"], lines[4]["batch_index"]) == ("7", 1)
    assert ended.stderr == ""


def test_a_request_that_brings_too_few_images_fails_and_keeps_them(
    generate: Generate, horde: Horde, tmp_path: Path
) -> None:
    horde.finished = 2
    ended = generate("--n", "3")
    assert ended.returncode == 1
    assert "2 of 3 images were made" in ended.stderr
    assert ID in ended.stderr
    assert len(list(tmp_path.glob("*.webp"))) == 2


def test_a_refusal_is_told_with_its_code_and_fields(generate: Generate, horde: Horde) -> None:
    horde.refusal = {
        "message": "Width and height must be multiples of 64.",
        "rc": "InvalidSize",
        "errors": {"params.width": "500 is not"},
    }
    ended = generate("--size", "500x512")
    assert ended.returncode == 1
    assert "(InvalidSize)" in ended.stderr
    assert "params.width: 500 is not" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("size", ["big", "512", "512x", "-64x64", "512x512x3"])
def test_what_is_no_size_is_said_before_anything_is_asked(
    generate: Generate, horde: Horde, size: str
) -> None:
    ended = generate("--size", size)
    assert ended.returncode == 2
    assert "not a size" in ended.stderr
    assert horde.seen == []


def test_nobody_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ended = subprocess.run(
            command("a red circle", "--url", nobody, "--out", str(tmp_path)),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
    assert ended.returncode == 1
    assert f"No answer from {nobody}" in ended.stderr
    assert "hoard up" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ctrl_c_cancels_the_request_and_keeps_what_was_finished(
    horde: Horde, tmp_path: Path
) -> None:
    horde.done, horde.finished = False, 1
    child = subprocess.Popen(
        command("a red circle", "--n", "3", "--url", horde.url, "--out", str(tmp_path)),
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
    assert child.returncode == 130, err
    assert ("DELETE", f"/api/v2/generate/status/{ID}") in [seen[:2] for seen in horde.seen]
    assert "Cancelled: 1 of 3 images were finished" in err
    assert [Path(line).suffix for line in out.splitlines()] == [".webp", ".png"]
    assert "Traceback" not in err


def test_sigterm_cancels_as_ctrl_c_does(horde: Horde, tmp_path: Path) -> None:
    horde.done, horde.finished = False, 1
    child = subprocess.Popen(
        command("a red circle", "--n", "3", "--url", horde.url, "--out", str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert horde.checked.wait(DEADLINE_SECONDS)
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=DEADLINE_SECONDS)
    finally:
        child.kill()
        child.wait()
    assert ("DELETE", f"/api/v2/generate/status/{ID}") in [seen[:2] for seen in horde.seen]
    assert "Cancelled: 1 of 3 images were finished" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("key", ["geheim-ü", "geheim\x01", "geheim\x7f", "ge\nheim"])
def test_a_key_of_other_characters_is_refused_and_not_shown(
    generate: Generate, horde: Horde, key: str
) -> None:
    ended = generate("--key", key)
    assert ended.returncode == 2
    assert "The API key has characters that no key has." in ended.stderr
    assert "heim" not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr
    assert horde.seen == []


def test_a_line_break_behind_a_key_is_not_part_of_it(
    generate: Generate, horde: Horde, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOARD_API_KEY", "k" * 22 + "\n")
    assert generate().returncode == 0
    assert horde.seen[0][3] == "k" * 22


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_is_not_used_for_this_machine(
    generate: Generate, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv(variable, address)
    assert generate().returncode == 0


def test_a_source_a_mask_and_loras_are_sent(
    generate: Generate, horde: Horde, tmp_path: Path
) -> None:
    for name, colour in (("source.webp", (9, 9, 9)), ("mask.webp", (255, 255, 255))):
        (tmp_path / name).write_bytes(webp(colour))
    generate(
        *("--source", str(tmp_path / "source.webp"), "--mask", str(tmp_path / "mask.webp")),
        *("--strength", "0.6", "--negative", "blurry", "--idempotency-key", "once"),
        *("--lora", "Detail Tweaker:0.5", "--lora", "version/62833", "--lora", "style: ink"),
    )
    _, _, body, _ = horde.seen[0]
    assert body["prompt"] == "a red circle ### blurry"
    assert body["source_processing"] == "inpainting"
    assert base64.b64decode(body["source_image"]) == webp((9, 9, 9))
    assert base64.b64decode(body["source_mask"]) == webp((255, 255, 255))
    assert body["params"]["denoising_strength"] == 0.6
    assert body["params"]["loras"] == [
        {"name": "Detail Tweaker", "model": 0.5},
        {"name": "62833", "is_version": True},
        {"name": "style: ink"},
    ]


def test_a_source_alone_is_img2img(generate: Generate, horde: Horde, tmp_path: Path) -> None:
    (tmp_path / "source.webp").write_bytes(webp((9, 9, 9)))
    generate("--source", str(tmp_path / "source.webp"))
    assert horde.seen[0][2]["source_processing"] == "img2img"


def test_a_mask_alone_is_refused(generate: Generate, horde: Horde, tmp_path: Path) -> None:
    (tmp_path / "mask.webp").write_bytes(webp((9, 9, 9)))
    ended = generate("--mask", str(tmp_path / "mask.webp"))
    assert (ended.returncode, horde.seen) == (2, [])
    assert "Give the image with --source." in ended.stderr


def test_ids_and_the_prompt_are_shown(generate: Generate) -> None:
    ended = generate("--negative", "blurry")
    assert "Prompt: a red circle ### blurry" in ended.stderr
    assert "image-1: seed 7" in ended.stderr
    told = [json.loads(line) for line in generate("--json").stdout.splitlines()]
    assert told[0]["prompt"] == "a red circle"


def test_no_file_is_overwritten(generate: Generate, tmp_path: Path) -> None:
    (tmp_path / "8f14e45f-02.webp").write_bytes(b"something of mine")
    assert generate("--n", "3").returncode == 0
    assert (tmp_path / "8f14e45f-02.webp").read_bytes() == b"something of mine"
    assert (tmp_path / "8f14e45f-02-2.webp").read_bytes() == webp((80, 0, 0))
