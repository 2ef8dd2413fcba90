"""From what a front-end names to what the worker is told: the exact version, where it is known."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from domain.models.loras import Lora
from tests.integration.api_client import Api, serving
from tests.integration.models.civitai_server import a_version, civitai
from tests.waiting import wait_until

NAMED = {"name": "Detail Tweaker", "model": 0.5, "clip": 1.5, "inject_trigger": "any"}


def told(api: Api, lora: dict[str, Any]) -> dict[str, Any]:
    """Ask for an image with a LoRA and return the LoRA that the worker is told of."""
    api.asked(params={"loras": [lora]})
    (given,) = api.popped(allow_lora=True)["payload"]["loras"]
    return dict(given)


def test_the_worker_is_told_the_version_that_a_name_means(tmp_path: Path) -> None:
    with civitai() as server:
        server.add(58390, "Detail Tweaker", (a_version(62833), a_version(62000)))
        with serving(tmp_path, civitai_url=server.url) as api:
            for known in (Lora("Detail Tweaker"), Lora("62000", is_version=True)):
                # However slow this machine is just now, a request waits for a second only.
                wait_until(partial(api.hoard.loras.resolve, known), "the version")
            lora = told(api, NAMED)
            assert (lora["name"], lora["is_version"]) == ("62833", True)
            assert (lora["model"], lora["clip"], lora["inject_trigger"]) == (0.5, 1.5, "any")
            exact = told(api, NAMED | {"name": "62000", "is_version": True})
            assert (exact["name"], exact["is_version"]) == ("62000", True)

            # CivitAI goes away: what was resolved works on, what was not is passed as given.
            server.status = 503
            assert told(api, NAMED)["name"] == "62833"
            unknown = told(api, NAMED | {"name": "Another LoRA"})
            assert (unknown["name"], unknown["is_version"]) == ("Another LoRA", False)


def test_out_of_the_box_a_lora_is_passed_as_it_was_named(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        lora = told(api, NAMED)
        assert (lora["name"], lora["is_version"]) == ("Detail Tweaker", False)
