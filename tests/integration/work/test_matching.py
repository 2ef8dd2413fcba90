"""Through HTTP: for each skip reason a worker and a request that differ in only that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api_client import Api, in_base64, picture, serving

SOURCE = in_base64(picture())
CONTROL = {"control_type": "canny", "denoising_strength": 0.5}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A Hoard that asks for no kudos beforehand, and whose views catch up after each call."""
    with serving(tmp_path, follow=True, kudos_upfront=False) as api:
        yield api


def pop(api: Api, **fields: Any) -> Any:
    """Ask for work as one trusted owner's worker; return the answer."""
    answered = api.pop(api.key("trusted", trusted=True), **{"nsfw": True, **fields})
    assert answered.status == 200, answered
    return answered.body


@pytest.mark.parametrize(
    ("reason", "worker", "asked"),
    [
        ("worker_id", {}, {"workers": ["another"]}),
        ("performance", {"extra_slow_worker": True}, {}),
        ("nsfw", {"nsfw": False}, {"nsfw": True}),
        ("blacklist", {"blacklist": ["CIRCLE"]}, {}),
        ("models", {"models": ["another model"]}, {"models": ["a model"]}),
        (
            "bridge_version",
            {"bridge_agent": "AI Horde Worker reGen:7:nobody"},
            {"params": {"transparent": True}},
        ),
        ("max_pixels", {"max_pixels": 256 * 256}, {}),
        ("step_count", {"limit_max_steps": True}, {"params": {"steps": 31}}),
        (
            "img2img",
            {"allow_img2img": False},
            {"source_image": SOURCE, "source_processing": "img2img"},
        ),
        (
            "painting",
            {"allow_painting": False},
            {
                "source_image": SOURCE,
                "source_mask": SOURCE,
                "source_processing": "inpainting",
            },
        ),
        (
            "post-processing",
            {"allow_post_processing": False},
            {"params": {"post_processing": ["GFPGAN"]}},
        ),
        ("lora", {"allow_lora": False}, {"params": {"loras": [{"name": "12345"}]}}),
        (
            "controlnet",
            {"allow_controlnet": False},
            {"source_image": SOURCE, "source_processing": "img2img", "params": CONTROL},
        ),
        ("kudos", {"require_upfront_kudos": True}, {}),
    ],
)
def test_what_is_skipped_is_counted_and_suits_a_worker_without_that(
    api: Api, reason: str, worker: dict[str, Any], asked: dict[str, Any]
) -> None:
    if reason == "worker_id":
        # With work for it: an answer that counts what is skipped is repeated for a second.
        api.asked()
        assert pop(api, name="another")["id"]
    request_id = api.asked(**asked)
    nothing = pop(api, **worker)
    assert (nothing["id"], nothing["skipped"]) == (None, {reason: 1})
    name = "another" if reason == "worker_id" else "a worker"
    job = pop(api, name=name)
    assert job["id"], job
    assert api.check(request_id)["processing"] == 1


def test_an_untrusted_owners_worker(api: Api) -> None:
    api.asked(trusted_workers=True)
    assert api.pop(api.key("new")).body["skipped"] == {"untrusted": 1}
    assert pop(api, name="another")["id"]


def test_an_unsafe_network(tmp_path: Path) -> None:
    with serving(tmp_path, follow=True, unsafe_networks="198.51.100.0/24") as api:
        transport: Any = api.http._transport
        transport.client = ("198.51.100.7", 50000)
        api.asked()
        assert pop(api, allow_unsafe_ipaddr=False)["skipped"] == {"unsafe_ip": 1}
        assert pop(api)["id"]


def test_what_a_worker_refused_is_not_opened_again_and_does_not_hide_the_rest(api: Api) -> None:
    for number in range(25):
        api.asked(prompt=f"zebra {number}")
    wanted = api.asked(prompt="a horse")
    # Ten prompts a pop are opened in vain at most, and never the same twice.
    for refused in (10, 20):
        nothing = pop(api, blacklist=["zebra"])
        assert (nothing["id"], nothing["skipped"]) == (None, {"blacklist": refused})
    assert pop(api, blacklist=["zebra"])["id"]
    assert api.check(wanted)["processing"] == 1
    assert pop(api, blacklist=["horse"])["payload"]["prompt"] == "zebra 0"
    assert pop(api, blacklist=["zebra"])["skipped"] == {"blacklist": 24}


def test_features_that_a_worker_declares_beyond_those_of_its_software(api: Api) -> None:
    ours = {"bridge_agent": "Hoard worker:1:https://example.org"}
    api.asked(params={"hires_fix": True})
    assert pop(api, **ours)["skipped"] == {"bridge_version": 1}
    assert pop(api, **ours, features=["hires_fix", "tiling"])["id"]


def test_no_remote_worker_is_given_an_image_to_make_again(api: Api) -> None:
    """Its payload could not say which one of its batch, so nothing that it declares counts."""
    api.asked(n=2)
    job = api.popped()
    api.deliver(job["ids"])
    again = api.call("POST", "/generate/async", key="0000000000", json={"replicate": job["ids"][1]})
    assert again.status == 202
    assert pop(api, name="another", features=["replication"])["skipped"] == {"bridge_version": 1}
