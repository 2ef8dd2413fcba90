"""Asking with every field: what reaches the worker, what is warned of, and what kudos decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.v2.requests.schemas import RequestAsync
from domain.requests.request import Request
from infrastructure.keys.api_keys import digest_of
from tests.integration.api_client import MODEL, Answered, Api, serving
from tests.paths import ROOT

SDXL_MODEL = "AlbedoBase XL (SDXL)"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path) as api:
        yield api


def codes(answered: Answered) -> set[str]:
    """Return what the answer to a request warns of, its kind of body being what is documented."""
    assert answered.status == 202, answered
    RequestAsync.model_validate(answered.body, extra="forbid")
    return {one["code"] for one in answered.body.get("warnings", [])}


def submitted(api: Api) -> list[Request.Submitted]:
    events = [record.event for record in api.hoard.storage.log.committed_after(0, 1000)]
    return [event for event in events if isinstance(event, Request.Submitted)]


def with_kudos(api: Api, name: str, kudos: float, **roles: bool) -> str:
    """Return the key of an account that has so many kudos."""
    key = api.key(name, **roles)
    entry = api.hoard.inline.directory.account_by_key(digest_of(key))
    assert entry is not None
    api.hoard.ledger.kudos.award(entry.account_id, kudos, by=None, reason="a test")
    return key


NO_INSPECTOR = {"NoInspector"}


@pytest.mark.parametrize(
    ("inspector", "fields", "warned"),
    [
        (None, {"censor_nsfw": True}, True),
        (None, {"censor_nsfw": False}, False),
        (None, {}, False),
        # Who asks for adult content asks for none of it to be censored.
        (None, {"censor_nsfw": True, "nsfw": True}, False),
        ("open-nsfw", {"censor_nsfw": True}, False),
        ("somewhere:factory", {"censor_nsfw": True}, False),
    ],
)
def test_who_wants_censoring_where_nothing_inspects_is_told_so(
    tmp_path: Path, inspector: str | None, fields: dict[str, Any], warned: bool
) -> None:
    with serving(tmp_path, worker_inspector=inspector) as api:
        assert (codes(api.ask(**fields)) & NO_INSPECTOR == NO_INSPECTOR) is warned


def test_a_request_that_nobody_here_can_serve_is_warned_of(api: Api) -> None:
    answered = api.ask()
    assert codes(answered) == {"NoAvailableWorker"}
    assert answered.body["message"]


def test_nothing_is_warned_of_while_a_worker_is_here(api: Api) -> None:
    api.pop()
    answered = api.ask()
    assert codes(answered) == set()
    assert "message" not in answered.body


def test_settings_that_waste_steps_are_warned_of(api: Api) -> None:
    api.pop(allow_lora=True)
    lcm = {"sampler_name": "lcm", "steps": 8, "cfg_scale": 1.5}
    assert codes(api.ask(params=lcm)) == set()
    wasteful = {**lcm, "cfg_scale": 7.0, "loras": [{"name": "195519"}]}
    assert codes(api.ask(params=wasteful)) == {"CfgScaleTooLarge"}


def test_a_downgraded_request_says_so(api: Api) -> None:
    api.pop()
    large = {"width": 1536, "height": 1024, "steps": 60}
    refused = api.ask(params=large)
    assert (refused.status, refused.rc) == (403, "KudosUpfront")
    answered = api.ask(params=large, allow_downgrade=True)
    assert codes(answered) == set()
    assert "1024x1024 with 40 steps" in answered.body["message"]
    job = api.popped()
    assert (job["payload"]["width"], job["payload"]["height"]) == (1024, 1024)
    assert job["payload"]["ddim_steps"] == 40


def test_who_has_the_kudos_is_not_downgraded(api: Api) -> None:
    key = with_kudos(api, "rich", 10_000)
    api.asked(key, params={"width": 2048, "height": 2048, "steps": 60}, allow_downgrade=True)
    (event,) = submitted(api)
    assert (event.settings.width, event.settings.steps) == (2048, 60)


def test_no_downgrade_helps_who_refuses_slow_workers(api: Api) -> None:
    refused = api.ask(slow_workers=False, allow_downgrade=True)
    assert (refused.status, refused.rc) == (403, "KudosUpfront")


def test_an_operator_may_ask_for_no_kudos_up_front(tmp_path: Path) -> None:
    with serving(tmp_path, kudos_upfront=False) as api:
        api.asked(params={"width": 2048, "height": 2048, "steps": 100}, slow_workers=False)


def test_the_price_follows_the_model(api: Api) -> None:
    plain = api.ask(n=20, dry_run=True, models=[MODEL]).body["kudos"]
    sdxl = api.ask(n=20, dry_run=True, models=[MODEL, SDXL_MODEL]).body["kudos"]
    assert sdxl - 1 == pytest.approx(2 * (plain - 1), abs=2)
    hinted = api.ask(n=20, dry_run=True, models=["mine [Flux]"]).body["kudos"]
    assert hinted - 1 == pytest.approx(8 * (plain - 1), abs=8)


def test_a_dry_run_costs_what_the_request_does(api: Api) -> None:
    fields: dict[str, Any] = {
        "models": [SDXL_MODEL],
        "params": {
            "post_processing": ["GFPGAN"],
            "loras": [{"name": "one"}],
            "tis": [{"name": "t"}],
        },
    }
    priced = api.ask(n=3, dry_run=True, **fields)
    assert priced.status == 200
    assert not submitted(api)
    assert api.ask(n=3, **fields).body["kudos"] == priced.body["kudos"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"params": {"loras": [{"name": "x", "is_version": True}]}}, "BadLoraVersion"),
        ({"params": {"n": 2}, "disable_batching": True}, "RequiresTrust"),
        ({"workers": ["nobody"]}, "WorkerNotFound"),
        ({"prompt": " "}, "MissingPrompt"),
        ({"style": "my style"}, "NotServed"),
    ],
)
def test_a_dry_run_refuses_what_a_request_does(api: Api, fields: dict[str, Any], code: str) -> None:
    for dry_run in (True, False):
        assert api.ask(**fields, dry_run=dry_run).rc == code


def test_a_flux_job_is_a_smaller_batch_with_more_time(api: Api) -> None:
    api.asked(n=20, models=["mine [Flux]"], params={"steps": 4})
    worker = {"models": ["mine [Flux]"], "max_pixels": 1024 * 1024}
    job = api.popped(**worker)
    # 20 * 1024² / 3 / 512² is 26.67 plain images, each five times as heavy here.
    assert len(job["ids"]) == 5
    assert job["ttl"] == 3 * 150


def test_a_model_that_was_not_chosen_weighs_nothing(api: Api) -> None:
    api.asked(n=20, models=["mine [Flux]", MODEL], params={"steps": 4})
    job = api.popped(models=[MODEL], max_pixels=1024 * 1024)
    assert (len(job["ids"]), job["ttl"]) == (20, 150)


@pytest.mark.parametrize(
    "agent", ["Mozilla/5.0", "AiHordeForGimp", "my bot", "", ":::", "x" * 5000]
)
def test_any_client_agent_is_taken(api: Api, agent: str) -> None:
    body = {"prompt": "a fox"}
    headers = {"client-agent": agent}
    taken = api.call("POST", "/generate/async", key="0000000000", headers=headers, json=body)
    assert taken.status == 202


@pytest.mark.parametrize("prompt", ["a###b", "a ### b", " a  ###b### c", "### b", "a"])
def test_a_worker_reads_the_prompt_as_it_was_written(api: Api, prompt: str) -> None:
    assert api.ask(prompt=prompt, dry_run=True).status == 200
    api.asked(prompt=prompt)
    assert api.popped()["payload"]["prompt"] == prompt


def test_kudos_of_requests_are_whole_numbers(api: Api) -> None:
    priced = api.ask(dry_run=True, params={"steps": 7})
    asked = api.ask(params={"steps": 7})
    request_id = asked.body["id"]
    [event] = submitted(api)
    figures = [
        priced.body["kudos"],
        asked.body["kudos"],
        api.check(request_id)["kudos"],
        api.status(request_id)["kudos"],
    ]
    assert figures == [round(event.kudos)] * 4
    assert all(isinstance(figure, int) for figure in figures)
    assert event.kudos != round(event.kudos)


def test_a_post_processor_is_named_once(api: Api) -> None:
    refused = api.ask(params={"post_processing": ["GFPGAN", "GFPGAN"]})
    assert (refused.status, refused.rc) == (400, "BadRequest")
    assert "params.post_processing" in refused.body["errors"]
    assert api.ask(params={"post_processing": ["GFPGAN", "CodeFormers"]}).status == 202


def test_unknown_workers_are_refused_by_their_place(api: Api) -> None:
    api.pop(name="known")
    answered = api.ask(workers=["known", "nobody"])
    assert (answered.status, answered.rc) == (404, "WorkerNotFound")
    assert answered.body["errors"].keys() == {"workers.1"}


@pytest.mark.parametrize(
    ("model", "side", "lora"), [("stable_diffusion", 512, False), (SDXL_MODEL, 1024, True)]
)
def test_the_documentation_knows_what_lcm_saves(
    api: Api, model: str, side: int, lora: bool
) -> None:
    documented = (ROOT / "docs" / "how-to" / "lcm.md").read_text("utf-8")
    size = {"width": side, "height": side}
    loras = {"loras": [{"name": "195519"}]} if lora else {}
    prices = [
        api.ask(n=4, dry_run=True, models=[model], params={**size, **params}).body["kudos"]
        for params in (
            {"sampler_name": "k_euler_a", "steps": 30},
            {"sampler_name": "lcm", "steps": 8, **loras},
            {"sampler_name": "lcm", "steps": 4, **loras},
        )
    ]
    before, usual, least = prices
    assert least < usual < before / 2
    row = next(line for line in documented.splitlines() if f" {side}x{side}, " in line)
    assert [f"{price} kudos" in row for price in prices] == [True] * 3
