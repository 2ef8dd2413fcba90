"""The whole first path, the very same on the embedded default and on real servers."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.program import Program
from tests.paths import ROOT
from tests.servers import PostgresServer, running_redis


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Program]:
    """A program for the tests of a place, which stops in order after them."""
    with Program(folder / "data", api_processes=2, **settings) as program:
        yield program
        assert program.stop() == 0


@pytest.fixture(scope="module")
def on_servers(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    """A program on PostgreSQL and a Redis of its own."""
    database, folder = postgres_server.create_database(), tmp_path_factory.mktemp("servers")
    with (
        running_redis() as redis,
        running(folder, ledger_url=postgres_server.url(database), broker_url=redis.url) as program,
    ):
        yield program
    postgres_server.drop_database(database)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program on SQLite and Hoard's own Redis."""
    with running(tmp_path_factory.mktemp("embedded")) as program:
        yield program


@pytest.fixture(params=["embedded", "servers"])
def hoard(request: pytest.FixtureRequest) -> Program:
    """The same program, everything kept in one place and in the other."""
    found: Program = request.getfixturevalue(
        "embedded" if request.param == "embedded" else "on_servers"
    )
    return found


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


def test_twenty_images_in_one_batch_and_the_history_of_how(hoard: Program) -> None:
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
    digests = {event["data"]["digest"] for event in events if event["type"] == "Job.ImageGenerated"}
    assert digests == {sha256(content).hexdigest() for content in contents}
    assert "red circle" not in json.dumps(events)

    hoard_command(hoard, "projections", "verify", "all")


def test_a_broker_and_a_database_of_its_own_are_used_instead_of_the_embedded_ones(
    on_servers: Program,
) -> None:
    request_id = on_servers.ask(2)
    assert len(on_servers.wait_until_done(request_id)["generations"]) == 2
    assert not (on_servers.data / "run" / "redis.pid").exists()
    assert not list(on_servers.data.glob("*.db"))


def test_a_remote_worker_serves_over_http_and_only_its_own_request(hoard: Program) -> None:
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
