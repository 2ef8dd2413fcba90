"""The whole first path, the very same on the embedded default and on real servers."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.program import ROOT, Program


@pytest.fixture(params=["embedded", "servers"])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where everything is kept: SQLite and Hoard's own Redis, or PostgreSQL and a real Redis."""
    if request.param == "embedded":
        return {}
    return {
        "ledger_url": request.getfixturevalue("postgres_url"),
        "broker_url": request.getfixturevalue("redis_url"),
    }


def hoard_command(hoard: Program, *arguments: str) -> list[dict[str, Any]]:
    """Run the ``hoard`` command beside the running program and return its JSON lines."""
    done = subprocess.run(
        [sys.executable, "-m", "infrastructure.cli", *arguments, "--json"],
        cwd=ROOT,
        env=hoard.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_twenty_images_in_one_batch_and_the_history_of_how(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    with Program(tmp_path / "data", **place) as hoard:
        request_id = hoard.ask(20, seed="1")
        images = hoard.wait_until_done(request_id)["generations"]
        contents = [httpx.get(image["img"]).content for image in images]
        assert len(set(contents)) == 20
        places = {entry["ref"] for image in images for entry in image["gen_metadata"]}
        assert places == {str(index) for index in range(20)}

        events = hoard_command(hoard, "events", "--request", request_id)
        kinds = [event["type"] for event in events]
        assert kinds.count("Request.Sliced") == kinds.count("Job.Batched") == 1
        assert kinds.count("Job.ImageGenerated") == 20
        assert kinds[0] == "Request.Submitted"
        assert kinds.count("Request.Completed") == kinds.count("Job.Completed") == 1
        digests = {
            event["data"]["digest"] for event in events if event["type"] == "Job.ImageGenerated"
        }
        assert digests == {sha256(content).hexdigest() for content in contents}
        assert "red circle" not in json.dumps(events)

        hoard_command(hoard, "projections", "verify", "all")
        assert hoard.stop() == 0


def test_a_remote_worker_serves_over_http_and_only_its_own_request(
    tmp_path: Path, place: dict[str, Any]
) -> None:
    with Program(tmp_path / "data", workers=0, **place) as hoard:
        (account,) = hoard_command(hoard, "accounts", "create", "alice", "--trusted")
        mine = hoard.ask(2, models=["Remote"])
        other = hoard.ask(2, models=["Somewhere else"])
        headers = {"apikey": account["api_key"]}
        offer = {
            "name": "alice's GPU",
            "models": ["Remote"],
            "amount": 20,
            "max_pixels": 512 * 512,
            "bridge_agent": "tests:1:nobody",
        }
        job = hoard.client.post("/generate/pop", json=offer, headers=headers).json()
        assert len(job["ids"]) == 2
        for index, image_id in enumerate(job["ids"]):
            result = {
                "id": image_id,
                "generation": picture(index),
                "seed": int(job["payload"]["seed"]),
                "state": "ok",
            }
            submitted = hoard.client.post("/generate/submit", json=result, headers=headers)
            assert submitted.json()["reward"] > 0

        status = hoard.status(mine)
        assert status["done"]
        assert {image["id"] for image in status["generations"]} == set(job["ids"])
        assert hoard.status(other)["generations"] == []
        again = hoard.client.post("/generate/pop", json=offer, headers=headers).json()
        assert again["id"] is None
        hoard_command(hoard, "projections", "verify", "all")


def picture(shade: int) -> str:
    """A small image as a worker sends it."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 0, 0)).save(buffer, "WEBP")
    return base64.b64encode(buffer.getvalue()).decode()
