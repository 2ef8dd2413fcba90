"""A worker that speaks as reGen does, against the whole program.

It sends what reGen sends at each pop, PUTs WebP bytes without a content type to the address of each
image and expects 200, then submits "R2" for each with the image's place in its batch.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import httpx
from PIL import Image

from tests.e2e.program import Program
from tests.paths import ROOT

MODELS = ["AlbedoBase XL (SDXL)"]
POP = {
    "name": "A reGen worker",
    "nsfw": True,
    "threads": 1,
    "max_pixels": 2048 * 2048,
    "amount": 20,
    "models": MODELS,
    "blacklist": [],
    "priority_usernames": [],
    "require_upfront_kudos": False,
    "allow_img2img": True,
    "allow_painting": True,
    "allow_unsafe_ipaddr": True,
    "allow_post_processing": True,
    "allow_controlnet": True,
    "allow_sdxl_controlnet": True,
    "allow_lora": True,
    "extra_slow_worker": False,
    "limit_max_steps": False,
    "bridge_agent": "AI Horde Worker reGen:10.0.7:https://github.com/Haidra-Org/horde-worker-reGen",
    "bridge_version": 10,
}


def account(hoard: Program, name: str) -> str:
    """Open a trusted account beside the running program and return its key."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "infrastructure.cli"),
            *("accounts", "create", name, "--trusted", "--json"),
        ],
        cwd=ROOT,
        env=hoard.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return str(json.loads(done.stdout)["api_key"])


def image(job: dict[str, Any], place: int) -> bytes:
    """Return one of a batch's images."""
    size = (job["payload"]["width"], job["payload"]["height"])
    file = io.BytesIO()
    Image.new("RGB", size, (place, 0, 255)).save(file, "WEBP", quality=95)
    return file.getvalue()


def put(address: str, data: bytes) -> int:
    """PUT bytes as reGen's HTTP client does: no key and no content type."""
    response = httpx.put(address, content=data)
    assert "content-type" not in response.request.headers
    return response.status_code


def test_a_batch_as_regen_makes_it(served: Program) -> None:
    hoard = served
    headers = {"apikey": account(hoard, "regen")}
    pop = hoard.client.post("/generate/pop", json=POP, headers=headers).json()
    assert (pop["id"], pop["ids"], pop["skipped"]) == (None, [], {})

    request_id = hoard.ask(4, models=MODELS, seed="9")
    job = hoard.client.post("/generate/pop", json=POP, headers=headers).json()
    assert job["payload"]["n_iter"] == len(job["ids"]) == len(job["r2_uploads"]) == 4
    assert job["id"] == job["ids"][0]
    assert job["r2_upload"] == job["r2_uploads"][0]
    assert job["model"] == MODELS[0]

    faulted, said = 3, {"type": "batch_index", "value": "see_ref"}
    for place, image_id in enumerate(job["ids"]):
        delivery: dict[str, Any] = {"id": image_id, "state": "faulted", "generation": ""}
        if place != faulted:
            assert put(job["r2_uploads"][place], image(job, place)) == 200
            delivery = {
                "id": image_id,
                "generation": "R2",
                "state": "ok",
                "seed": int(job["payload"]["seed"]),
                "gen_metadata": [{**said, "ref": str(place)}],
            }
        answer = hoard.client.post("/generate/submit", json=delivery, headers=headers)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["reward"] > 0) is (place != faulted)

    # The lost image waits again, and comes with the next pop.
    again = hoard.client.post("/generate/pop", json=POP, headers=headers).json()
    assert len(again["ids"]) == 1
    assert put(again["r2_upload"], image(again, 77)) == 200
    late = hoard.client.post(
        "/generate/submit",
        json={"id": again["id"], "generation": "R2", "state": "ok", "seed": 1},
        headers=headers,
    )
    assert late.status_code == 200, late.text

    generations = hoard.wait_until_done(request_id)["generations"]
    assert len(generations) == 4
    contents = {httpx.get(made["img"]).content for made in generations}
    assert contents == {image(job, place) for place in (0, 1, 2, 77)}
    assert {made["worker_name"] for made in generations} == {POP["name"]}
