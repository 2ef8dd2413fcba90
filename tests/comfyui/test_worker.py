"""The whole way: API, ledger, Celery, a worker on a real ComfyUI, and one image made again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.comfyui.checkpoint import NAME
from tests.comfyui.pictures import CLEARLY, are_all_different, mean_difference
from tests.comfyui.server import ComfyUIServer
from tests.comfyui.worker_process import comfyui_worker, events_of
from tests.e2e.program import Program
from tests.waiting import wait_until
from workers.inference import replicas

IMAGES, STEPS, PLACE = 8, 4, 5
# Lossy files of two pictures that differ by rounding differ by a little more.
MOST_BY_COMPRESSION = 2.0


@pytest.fixture
def hoard(comfyui: ComfyUIServer, tmp_path: Path) -> Iterator[Program]:
    """A server whose only worker is one on ComfyUI that takes eight images at once."""
    with (
        Program(tmp_path / "data", workers=0, kudos_upfront=False) as program,
        comfyui_worker(program, comfyui, amount=IMAGES),
    ):
        yield program


def pictures(status: dict[str, Any]) -> dict[int, Image.Image]:
    """Return the images of a request by their places."""
    found = {}
    for image in status["generations"]:
        place = next(e["ref"] for e in image["gen_metadata"] if e["type"] == "batch_index")
        content = httpx.get(image["img"]).raise_for_status().content
        found[int(place)] = Image.open(io.BytesIO(content)).convert("RGB")
    return found


def make_again(hoard: Program, image_id: str, *, exact: bool) -> tuple[Image.Image, set[str], str]:
    """Ask for an image again; return it, what the worker says of it, and the request's id."""
    asked = hoard.client.post("/generate/async", json={"replicate": image_id, "exact": exact})
    assert asked.status_code == 202, asked.text
    request_id = str(asked.json()["id"])
    (image,) = hoard.wait_until_done(request_id)["generations"]
    content = httpx.get(image["img"]).raise_for_status().content
    said = {entry["ref"] for entry in image["gen_metadata"] if entry["type"] == "information"}
    return Image.open(io.BytesIO(content)).convert("RGB"), said, request_id


def test_a_request_of_eight_is_one_batch_and_its_sixth_image_can_be_made_again(
    hoard: Program, comfyui: ComfyUIServer
) -> None:
    request_id = hoard.ask(IMAGES, models=[NAME], steps=STEPS, seed="42")
    status = hoard.wait_until_done(request_id)
    made = pictures(status)

    assert comfyui.passes() == [IMAGES] * STEPS
    assert len(events_of(hoard, request_id, "Job.Batched")) == 1
    assert sorted(made) == list(range(IMAGES))
    assert are_all_different(list(made.values()))
    recorded = events_of(hoard, request_id, "Job.ImageGenerated")
    assert {each["making"]["engine"].split(",")[0] for each in recorded} == {"ComfyUI 0.3.75"}
    (wanted,) = [each for each in recorded if each["batch_index"] == PLACE]

    alone, said, _ = make_again(hoard, wanted["image_id"], exact=False)

    assert comfyui.passes() == [1] * STEPS
    assert said & {replicas.ROUNDED, replicas.EQUAL}
    assert mean_difference(alone, made[PLACE]) < MOST_BY_COMPRESSION
    assert mean_difference(alone, made[PLACE - 1]) > CLEARLY

    exactly, said, again_id = make_again(hoard, wanted["image_id"], exact=True)

    assert comfyui.passes() == [IMAGES] * STEPS
    assert replicas.EQUAL in said
    assert exactly.tobytes() == made[PLACE].tobytes()
    (again,) = events_of(hoard, again_id, "Job.ImageGenerated")
    assert again["making"]["pixels_sha256"] == wanted["making"]["pixels_sha256"]


def test_when_comfyui_dies_in_mid_run_the_images_go_back_and_are_made_after_its_return(
    hoard: Program, comfyui: ComfyUIServer
) -> None:
    request_id = hoard.ask(4, models=[NAME], steps=40, sampler_name="k_euler")
    hoard.wait_until_at_work(request_id)
    wait_until(comfyui.has_passed, "the batch to have begun")

    comfyui.kill()
    wait_until(lambda: hoard.check(request_id)["restarted"] == 4, "the images to go back")
    comfyui.start()

    status = hoard.wait_until_done(request_id)
    assert are_all_different(list(pictures(status).values()))
    failed = events_of(hoard, request_id, "Job.Failed")
    assert len(failed) == 1
    assert "ComfyUI" in failed[0]["reason"]


def test_when_memory_runs_out_the_worker_takes_less_at_once_and_the_request_is_served(
    hoard: Program, comfyui: ComfyUIServer
) -> None:
    with comfyui.memory_for(rows=IMAGES // 2):
        request_id = hoard.ask(IMAGES, models=[NAME], steps=STEPS)
        status = hoard.wait_until_done(request_id)

    assert comfyui.passes() == [IMAGES // 2] * 2 * STEPS
    assert len(status["generations"]) == IMAGES
    (failed,) = events_of(hoard, request_id, "Job.Failed")
    assert "out of memory" in failed["reason"]
    assert [len(each["image_ids"]) for each in events_of(hoard, request_id, "Job.Batched")] == [
        IMAGES,
        IMAGES // 2,
        IMAGES // 2,
    ]
