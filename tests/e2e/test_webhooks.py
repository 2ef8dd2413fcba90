"""Webhooks of the whole program, as a receiver sees them that listens and verifies."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.e2e.program import Program
from tests.waiting import wait_until
from tests.webhook_receiver import Posted, Receiver, receiver
from tests.webhook_world import (
    HERE,
    LOOPBACK,
    ids,
    is_signed_by_key,
    is_signed_by_secret,
    schemes,
)

ANONYMOUS = "0000000000"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver whose certificate only this test's own authority vouches for."""
    with receiver(tmp_path_factory.mktemp("authority")) as running:
        yield running


@pytest.fixture(scope="module")
def hoard(tmp_path_factory: pytest.TempPathFactory, secure: Receiver) -> Iterator[Program]:
    program = Program(tmp_path_factory.mktemp("webhooks") / "data", permit_networks=LOOPBACK)
    program.variables["SSL_CERT_FILE"] = str(secure.certificate)
    with program:
        yield program


@pytest.fixture
def plain() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture(scope="module")
def key(hoard: Program) -> str:
    """The API key of an account that is nobody's but ours."""
    address = f"http://{HERE}:{hoard.port}/api/native/accounts"
    answer = hoard.client.post(address, json={"username": "integrator"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["api_key"])


def ask(hoard: Program, apikey: str, images: int, **further: Any) -> str:
    body = {
        "prompt": "a red circle on a blue background",
        "params": {
            "n": images,
            "width": 64,
            "height": 64,
            "steps": 2,
            "sampler_name": "lcm",
            "cfg_scale": 1,
        },
        **further,
    }
    answer = hoard.client.post("/generate/async", json=body, headers={"apikey": apikey})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def keys_of(hoard: Program, apikey: str) -> tuple[list[str], str]:
    """Return the secrets and the public key of an account."""
    answer = hoard.client.get("/webhooks/secret", headers={"apikey": apikey})
    assert answer.status_code == 200, answer.text
    return answer.json()["secrets"], answer.json()["public_key"]


def told(posted: Posted) -> Any:
    return json.loads(posted.body)


def picture(data: bytes) -> tuple[str | None, tuple[int, int]]:
    image = Image.open(io.BytesIO(data))
    return image.format, image.size


def test_a_request_is_told_over_tls_each_image_once_and_the_end_last(
    hoard: Program, key: str, secure: Receiver
) -> None:
    request_id = ask(hoard, key, 3, webhook=secure.url("/bot?job=17", HERE))
    wait_until(lambda: len(secure.posted) == 4, "four webhooks")

    *images, ended = secure.posted
    status = hoard.status(request_id)
    made = {image["id"]: image for image in status["generations"]}
    assert {told(image)["id"] for image in images} == set(made)
    for image in images:
        body = told(image)
        assert body["request"] == request_id
        assert body["seed"] == made[body["id"]]["seed"]
        assert picture(httpx.get(body["img"]).content) == ("WEBP", (64, 64))
    assert told(ended)["type"] == "request.ended"
    assert told(ended)["data"]["finished"] == 3
    assert len(set(ids(secure))) == 4
    [secret], public_key = keys_of(hoard, key)
    for posted in secure.posted:
        assert posted.path == "/bot?job=17"
        assert is_signed_by_secret(posted, secret)
        assert is_signed_by_key(posted, public_key)
    assert "job=17" not in hoard.trouble()
    assert secret not in hoard.trouble()


def test_an_endpoint_hears_of_all_requests_of_its_account(
    hoard: Program, key: str, plain: Receiver
) -> None:
    hoard.wait_until_done(ask(hoard, key, 1))
    answer = hoard.client.post(
        "/webhooks/endpoints",
        json={"url": plain.url("/all", HERE), "events": ["started", "image", "ended"]},
        headers={"apikey": key},
    )
    assert answer.status_code == 201, answer.text
    endpoint = answer.json()["id"]
    mine = [ask(hoard, key, 2), ask(hoard, key, 1)]
    ask(hoard, ANONYMOUS, 1)
    for request_id in mine:
        hoard.wait_until_done(request_id)

    def of(request_id: str) -> list[str]:
        found = [told(posted) for posted in plain.posted]
        return [each["type"] for each in found if each["data"]["request"] == request_id]

    wait_until(
        lambda: all("request.ended" in of(request_id) for request_id in mine), "both requests' ends"
    )
    assert of(mine[1]) == ["request.started", "request.image", "request.ended"]
    first = of(mine[0])
    assert (first[0], first[-1]) == ("request.started", "request.ended")
    assert (first.count("request.image"), first.count("request.ended")) == (2, 1)
    # Neither what happened before it was registered, nor what is somebody else's.
    assert {told(posted)["data"]["request"] for posted in plain.posted} == set(mine)
    assert len(set(ids(plain))) == len(plain.posted)

    test = hoard.client.post(f"/webhooks/endpoints/{endpoint}/test", headers={"apikey": key})
    assert test.status_code == 202, test.text
    wait_until(lambda: told(plain.posted[-1])["type"] == "endpoint.test", "the test")
    assert plain.posted[-1].headers["webhook-id"] == test.json()["delivery_id"]
    gone = hoard.client.delete(f"/webhooks/endpoints/{endpoint}", headers={"apikey": key})
    assert gone.status_code in {200, 204}, gone.text


def test_an_anonymous_request_without_addresses_is_sent_its_images(
    hoard: Program, plain: Receiver
) -> None:
    ask(hoard, ANONYMOUS, 2, r2=False, webhook=plain.url("/", HERE), webhook_events=["image"])
    wait_until(lambda: len(plain.posted) == 2, "two images")

    secrets, public_key = keys_of(hoard, ANONYMOUS)
    assert secrets == []
    for posted in plain.posted:
        assert picture(base64.b64decode(told(posted)["img"])) == ("WEBP", (64, 64))
        assert schemes(posted) == ["v1a"]
        assert is_signed_by_key(posted, public_key)


def test_a_request_that_is_cancelled_is_told_so(served: Program, plain: Receiver) -> None:
    request_id = ask(served, ANONYMOUS, 2, webhook=plain.url("/", HERE))
    assert served.client.delete(f"/generate/status/{request_id}").status_code == 200
    wait_until(lambda: plain.posted, "the end")
    [ended] = [told(posted) for posted in plain.posted]
    assert (ended["type"], ended["data"]["state"]) == ("request.ended", "cancelled")
