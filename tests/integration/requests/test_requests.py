"""A front-end and a worker, end to end over the API, on both databases."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from api.v2.requests.schemas import (
    RequestAsync,
    RequestDryRun,
    RequestStatusCheck,
    RequestStatusStable,
)
from api.v2.work.schemas import GenerationPayloadStable, GenerationSubmitted
from domain.requests.request import Request
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from projections.workers.presence import WORKER_PRESENCE
from tests.integration.api_client import MODEL, Api, in_base64, picture, serving


@pytest.fixture(params=["sqlite", "sqlite, followed", "postgresql"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    """A Hoard whose followers are dead, or follow at once: no answer may depend on that."""
    kind, _, followed = cast(str, request.param).partition(", ")
    database = request.getfixturevalue("prepared_postgres_url") if kind == "postgresql" else None
    with serving(tmp_path, database=database, follow=bool(followed), kudos_upfront=False) as api:
        yield api


def documented(model: type[BaseModel], body: Any) -> None:
    """Check that a body is what the documentation says it is."""
    model.model_validate(body, extra="forbid")


def test_three_images_from_asking_to_fetching(api: Api) -> None:
    asked = api.ask(n=3, prompt="a fox ### blurry", params={"seed": "42", "steps": 7})
    documented(RequestAsync, asked.body)
    assert asked.status == 202
    request_id = asked.body["id"]

    waiting = api.check(request_id)
    documented(RequestStatusCheck, waiting)
    assert (waiting["waiting"], waiting["processing"], waiting["finished"]) == (3, 0, 0)
    assert (waiting["done"], waiting["faulted"]) == (False, False)
    assert waiting["kudos"] == asked.body["kudos"]
    assert waiting["wait_time"] > 0

    job = api.popped()
    documented(GenerationPayloadStable, job)
    assert len(job["ids"]) == job["payload"]["n_iter"] == 3
    assert job["id"] == job["ids"][0]
    assert (job["model"], job["ttl"]) == (MODEL, 150)
    assert job["payload"]["prompt"] == "a fox ### blurry"
    assert job["payload"]["seed"] == "42"
    assert job["payload"]["ddim_steps"] == 7
    assert (job["payload"]["width"], job["payload"]["height"]) == (512, 512)
    processing = api.check(request_id)
    assert (processing["waiting"], processing["processing"], processing["finished"]) == (0, 3, 0)

    for place, image_id in enumerate(job["ids"]):
        submitted = api.submit(image_id, seed=42, generation=in_base64(picture(place)))
        documented(GenerationSubmitted, submitted.body)
        assert submitted.body["reward"] > 0
        assert api.check(request_id)["finished"] == place + 1

    status = api.status(request_id)
    documented(RequestStatusStable, status)
    assert status["done"]
    assert (status["wait_time"], status["queue_position"], status["processing"]) == (0, 0, 0)
    assert [made["id"] for made in status["generations"]] == job["ids"]
    for place, made in enumerate(status["generations"]):
        assert made["gen_metadata"] == [
            {"type": "batch_index", "value": "see_ref", "ref": str(place)}
        ]
        assert (made["seed"], made["state"], made["censored"]) == ("42", "ok", False)
        assert (made["worker_name"], made["model"]) == ("a worker", MODEL)
        fetched = api.http.get(made["img"])
        assert fetched.content == picture(place)
        assert fetched.headers["content-type"] == "image/webp"


def test_twenty_images_of_512_are_one_batch_and_seven_of_2048(api: Api) -> None:
    api.asked(n=20)
    assert len(api.popped()["ids"]) == 20
    api.asked(n=20, params={"width": 2048, "height": 2048})
    assert len(api.popped()["ids"]) == 7


def test_a_dry_run_only_says_the_price(api: Api) -> None:
    priced = api.ask(n=4, dry_run=True)
    documented(RequestDryRun, priced.body)
    assert priced.status == 200
    assert api.pop().body["id"] is None
    assert api.ask(n=4).body["kudos"] == priced.body["kudos"]


def test_base64_where_no_address_is_wanted(api: Api) -> None:
    request_id = api.asked(r2=False)
    api.deliver(api.popped()["ids"])
    made = api.status(request_id)["generations"][0]
    assert base64.b64decode(made["img"]) == picture()
    assert made["gen_metadata"] == []


def test_a_cancelled_request_keeps_what_was_finished(api: Api) -> None:
    request_id = api.asked(n=2)
    first, second = api.popped()["ids"]
    api.deliver([first])
    cancelled = api.call("DELETE", f"/generate/status/{request_id}")
    documented(RequestStatusStable, cancelled.body)
    assert cancelled.body["done"]
    assert (cancelled.body["finished"], cancelled.body["waiting"]) == (1, 0)
    assert [made["id"] for made in cancelled.body["generations"]] == [first]

    late = api.submit(second)
    assert (late.status, late.rc) == (400, "AbortedGen")
    assert api.call("DELETE", f"/generate/status/{request_id}").body == cancelled.body
    assert api.status(request_id) == cancelled.body


def test_a_faulted_image_goes_back_to_the_queue(api: Api) -> None:
    request_id = api.asked(n=2)
    first, second = api.popped()["ids"]
    api.deliver([first])
    faulted = api.submit(second, state="faulted", generation="faulted")
    assert (faulted.status, faulted.body) == (200, {"reward": 0.0})
    again = api.check(request_id)
    assert (again["restarted"], again["waiting"], again["finished"]) == (1, 1, 1)
    api.deliver(api.popped()["ids"])
    assert api.check(request_id)["done"]


def test_a_job_whose_lease_ended_is_refused_and_made_by_another(api: Api) -> None:
    request_id = api.asked()
    job = api.popped()
    api.clock.advance(timedelta(seconds=job["ttl"]))
    for job_id in api.hoard.inline.queue.due_leases(api.clock.now(), 10):
        api.hoard.ledger.jobs.expire_lease(job_id)
    late = api.submit(job["id"])
    assert (late.status, late.rc) == (400, "AbortedGen")
    assert api.check(request_id)["restarted"] == 1
    api.deliver(api.popped(name="another")["ids"])
    made = api.status(request_id)["generations"]
    assert [one["worker_name"] for one in made] == ["another"]


@pytest.mark.parametrize("loss", ["a fault", "a lease that ends"])
def test_a_lost_job_is_made_with_the_seed_that_was_asked_for(api: Api, loss: str) -> None:
    api.asked(n=2, params={"seed": "77"})
    job = api.popped()
    if loss == "a fault":
        for image_id in job["ids"]:
            api.submit(image_id, state="faulted", generation="faulted")
    else:
        api.clock.advance(timedelta(seconds=job["ttl"]))
        for job_id in api.hoard.inline.queue.due_leases(api.clock.now(), 10):
            api.hoard.ledger.jobs.expire_lease(job_id)
    again = api.popped(name="another")
    assert (len(again["ids"]), again["payload"]["seed"]) == (2, "77")


def test_images_that_were_lost_beside_others_get_a_seed_of_their_own(api: Api) -> None:
    """With the same one, a worker would make the images that are there already."""
    api.asked(n=2, params={"seed": "77", "seed_variation": 10})
    first, second = api.popped()["ids"]
    api.deliver([first])
    api.submit(second, state="faulted", generation="faulted")
    assert api.popped()["payload"]["seed"] == "87"


def test_an_image_is_taken_once(api: Api) -> None:
    api.asked(n=2)
    first, _ = api.popped()["ids"]
    api.deliver([first])
    twice = api.submit(first)
    assert (twice.status, twice.rc) == (400, "DuplicateGen")
    assert "already submitted" in twice.body["message"]


@pytest.mark.parametrize("image_id", ["nothing", "11111111-1111-4111-8111-111111111111"])
def test_an_image_of_no_job_is_refused_in_the_words_that_workers_know(
    api: Api, image_id: str
) -> None:
    unknown = api.submit(image_id)
    assert (unknown.status, unknown.rc) == (404, "InvalidJobID")
    assert unknown.body["message"] == f"Processing Job with ID {image_id} does not exist."


def test_only_the_owner_of_the_worker_delivers(api: Api) -> None:
    api.asked()
    job = api.popped()
    stranger = api.submit(job["id"], key=api.key("stranger"))
    assert (stranger.status, stranger.rc) == (403, "WrongCredentials")
    assert api.submit(job["id"], key=ANONYMOUS_KEY).rc == "AnonForbiddenWorker"
    api.deliver(job["ids"])


def test_what_is_no_image_is_refused_and_the_job_goes_on(api: Api) -> None:
    request_id = api.asked()
    job = api.popped()
    for generation in ("not base64", in_base64(b"no image"), in_base64(picture()[:-20])):
        refused = api.submit(job["id"], generation=generation)
        assert (refused.status, refused.rc) == (400, "ImageValidationFailed")
    for missing in ({"generation": None}, {"generation": "R2"}, {"seed": None}):
        assert api.submit(job["id"], **missing).rc == "BadRequest"
    api.deliver(job["ids"])
    assert api.check(request_id)["done"]


@pytest.mark.parametrize(
    ("said", "recorded"),
    [
        (5, "5"),
        (5.0, "5"),
        ("5", "5"),
        (2**32 - 1, str(2**32 - 1)),
        (-1, "77"),
        (2**32, "77"),
        (2**64 + 3, "77"),
        (5.5, "77"),
        (1e300, "77"),
        ("random", "77"),
        ("", "77"),
    ],
)
def test_a_worker_may_say_any_seed_and_a_useless_one_counts_as_the_jobs(
    api: Api, said: object, recorded: str
) -> None:
    request_id = api.asked(params={"seed": "77"})
    assert api.submit(api.popped()["id"], seed=said).status == 200
    assert [made["seed"] for made in api.status(request_id)["generations"]] == [recorded]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"state": "censored"}, "censored"),
        ({"state": "csam"}, "csam"),
        ({"censored": True}, "censored"),
    ],
)
def test_a_censored_image_says_so_and_earns_as_others_do(
    api: Api, said: dict[str, Any], state: str
) -> None:
    api.asked()
    plain = api.submit(api.popped()["id"]).body
    request_id = api.asked()
    assert api.submit(api.popped()["id"], **said).body == plain
    assert plain["reward"] > 0
    made = api.status(request_id)["generations"][0]
    assert (made["state"], made["censored"]) == (state, True)


def test_batching_is_disabled_for_the_trusted_only(api: Api) -> None:
    refused = api.ask(n=2, disable_batching=True)
    assert (refused.status, refused.rc) == (400, "RequiresTrust")
    api.asked(api.key("friend", trusted=True), n=2, disable_batching=True)
    assert [len(api.popped()["ids"]) for _ in range(2)] == [1, 1]


def test_requests_are_served_first_come_first_served(api: Api) -> None:
    asked = [api.asked(prompt=f"number {number}") for number in range(3)]
    assert [api.popped()["payload"]["prompt"] for _ in asked] == [
        f"number {number}" for number in range(3)
    ]


def test_a_request_may_name_its_workers(api: Api) -> None:
    api.pop(name="chosen")
    api.asked(workers=["chosen"])
    assert api.pop(name="another").body["id"] is None
    assert api.popped(name="chosen")
    api.asked(workers=["chosen"], worker_blacklist=True)
    assert api.pop(name="chosen").body["id"] is None
    assert api.popped(name="another")


def test_an_image_is_only_found_in_its_own_request(api: Api) -> None:
    one, other = api.asked(), api.asked()
    for _ in range(2):
        api.deliver(api.popped()["ids"])
    address = api.status(one)["generations"][0]["img"]
    assert api.http.get(address).status_code == 200
    elsewhere = api.http.get(address.replace(one, other))
    assert (elsewhere.status_code, elsewhere.json()["rc"]) == (403, "Forbidden")


def test_an_image_never_changes(api: Api) -> None:
    request_id = api.asked()
    api.submit(api.popped()["id"], generation=in_base64(picture(kind="PNG")))
    address = api.status(request_id)["generations"][0]["img"]
    fetched = api.http.get(address)
    assert "immutable" in fetched.headers["cache-control"]
    assert fetched.headers["content-type"] == "image/png"
    again = api.http.get(address, headers={"if-none-match": fetched.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_lost_image_leaves_the_facts(api: Api) -> None:
    addressed, encoded = api.asked(), api.asked(r2=False)
    for _ in range(2):
        api.deliver(api.popped()["ids"])
    address = api.status(addressed)["generations"][0]["img"]
    path = next(api.hoard.settings.blob_folder.glob("??/*"))
    path.unlink()
    assert api.http.get(address).status_code == 410
    assert api.status(encoded)["generations"][0]["img"] == ""


def test_the_history_knows_who_asked_but_not_what_in_the_clear(api: Api) -> None:
    agent = {"client-agent": "a program:1:somebody"}
    body = {"prompt": "a fox ### blurry"}
    answered = api.call("POST", "/generate/async", key=ANONYMOUS_KEY, headers=agent, json=body)
    (event,) = [record.event for record in api.hoard.storage.log.committed_after(0, 10)]
    assert isinstance(event, Request.Submitted)
    assert str(event.originator_id) == answered.body["id"]
    assert event.client_agent == "a program:1:somebody"
    assert event.negative_prompt
    assert event.client_address
    opened = [
        api.hoard.secrets.personal_keys.open(sealed)
        for sealed in (event.prompt, event.negative_prompt, event.client_address)
    ]
    assert opened == ["a fox ", " blurry", "testclient"]
    assert not any(text in repr(event) for text in opened)


def test_a_job_reaches_its_worker_whatever_becomes_of_presence(api: Api) -> None:
    api.pop()
    api.asked()
    with api.hoard.storage.view_database.transaction() as connection:
        WORKER_PRESENCE.drop(connection)
    api.deliver(api.popped()["ids"])


def test_a_workers_name_belongs_to_its_first_owner(api: Api) -> None:
    api.pop()
    answered = api.pop(key=api.key("stranger"))
    assert (answered.status, answered.rc) == (403, "WrongCredentials")
    assert answered.body["message"].startswith("Wrong credentials")
