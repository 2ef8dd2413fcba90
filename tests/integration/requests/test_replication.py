"""An image that was made in a batch is asked for again, by its id alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.images.provenance import LoraIdentity
from domain.jobs.job import ImageState
from domain.requests.request import Request
from tests.integration.api_client import MODEL, Api, in_base64, picture, serving
from tests.integration.codes.kudos import given
from tests.integration.codes.shared_keys import lent
from tests.integration.requests.replicas import ABLE, MAKING, UNABLE, again, make, owner_of, pop

NAMED = {"name": "a lora by its name", "model": 0.5}
EXACT = LoraIdentity("15072", "7" * 64)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A Hoard that asks nobody what a LoRA's name means."""
    with serving(tmp_path) as api:
        yield api


def submitted(api: Api, request_id: str) -> Request.Submitted:
    """Return the first event of a request."""
    for recorded in api.hoard.storage.log.after(0, 1000):
        event = recorded.event
        if isinstance(event, Request.Submitted) and event.originator_id == UUID(request_id):
            return event
    raise AssertionError("no such request")


def replicate(api: Api, image_id: UUID, **fields: Any) -> str:
    """Ask for an image again and return the request's id."""
    answered = again(api, image_id, **fields)
    assert answered.status == 202, answered
    return str(answered.body["id"])


def test_one_image_of_a_batch_is_made_again_as_it_was(api: Api) -> None:
    api.asked(n=4, nsfw=True, censor_nsfw=False, prompt="a fox ### snow", params={"steps": 12})
    first = make(api)
    request_id = replicate(api, first.image_ids[2])
    job = pop(api)
    assert job is not None
    assert len(job.image_ids) == 1
    told = job.replication
    assert told is not None
    assert (told.image_id, told.place, told.batch_size) == (first.image_ids[2], 2, 4)
    assert (told.seed, told.model, told.exact) == (first.seed, first.model, False)
    assert told.making == replace(MAKING, batch_size=4, place=2)
    assert (job.seed, job.model, job.settings) == (first.seed, first.model, first.settings)
    assert (job.prompt, job.negative_prompt) == ("a fox ", " snow")
    assert job.censor_nsfw is first.censor_nsfw
    event = submitted(api, request_id)
    assert event.images == 1
    assert event.requirements.models == (first.model,)
    assert event.requirements.nsfw
    assert event.replicates == told


def test_an_ordinary_job_replicates_nothing(api: Api) -> None:
    api.asked(n=2)
    assert make(api).replication is None


def test_exact_is_passed_on(api: Api) -> None:
    api.asked(n=4)
    replicate(api, make(api).image_ids[1], exact=True)
    job = pop(api)
    assert job is not None
    assert job.replication is not None
    assert job.replication.exact
    assert len(job.image_ids) == 1


def test_only_who_can_replicate_gets_it(api: Api) -> None:
    api.asked(n=2)
    image_id = make(api).image_ids[0]
    answered = again(api, image_id)
    assert answered.body["warnings"][0]["code"] == "NoAvailableWorker"
    assert pop(api, UNABLE) is None
    assert api.pop(name="remote", bridge_agent="AI Horde Worker reGen:99:x").body["id"] is None
    assert api.pop(name="remote").body["id"] is None
    assert pop(api, ABLE) is not None


def test_what_was_lost_is_tried_again_with_the_same_seed(api: Api) -> None:
    api.asked(n=2, params={"seed": "5", "seed_variation": 7})
    first = make(api)
    replicate(api, first.image_ids[1])
    for _ in range(2):
        job = pop(api)
        assert job is not None
        assert job.seed == first.seed
        api.hoard.ledger.jobs.fail(job.job_id, owner_id=owner_of(api), reason="out of memory")


def test_the_model_that_made_it_makes_it_again(api: Api) -> None:
    """The request allowed any, and the worker would take its first one."""
    api.asked(models=[MODEL])
    image_id = make(api).image_ids[0]
    replicate(api, image_id)
    job = pop(api)
    assert job is not None
    assert job.model == MODEL != ABLE.models[0]


def test_a_replica_can_be_made_again(api: Api) -> None:
    api.asked(n=4)
    first = make(api)
    replicate(api, first.image_ids[3])
    replica = pop(api)
    assert replica is not None
    api.hoard.ledger.jobs.submit_image(
        replica.image_ids[0],
        owner_id=owner_of(api),
        digest="a" * 64,
        seed=replica.seed,
        state=ImageState.OK,
        provenance=replace(MAKING, batch_size=1, place=3),
    )
    replicate(api, replica.image_ids[0])
    job = pop(api)
    assert job is not None
    assert job.replication is not None
    assert (job.replication.place, job.replication.batch_size) == (3, 1)
    assert job.seed == first.seed


def test_an_image_of_a_worker_that_told_nothing(api: Api) -> None:
    api.asked(n=3)
    remote = api.popped()
    api.deliver(remote["ids"])
    replicate(api, UUID(remote["ids"][2]))
    job = pop(api)
    assert job is not None
    assert job.replication is not None
    assert job.replication.making is None
    assert (job.replication.place, job.replication.batch_size) == (2, 3)
    assert str(job.seed) == remote["payload"]["seed"]


def test_loras_come_back_by_the_versions_that_were_loaded(api: Api) -> None:
    api.asked(params={"loras": [NAMED]})
    first = make(api, loras=(EXACT,))
    assert not first.settings.loras[0].is_version
    request_id = replicate(api, first.image_ids[0])
    job = pop(api)
    assert job is not None
    (lora,) = job.settings.loras
    assert (lora.name, lora.is_version, lora.model) == ("15072", True, 0.5)
    assert set(submitted(api, request_id).requirements.features) == {"lora_versions", "replication"}


def test_a_lora_that_could_not_be_had_is_left_out(api: Api) -> None:
    lacking = {"name": "gone"}
    api.asked(params={"loras": [lacking, NAMED]})
    job = pop(api)
    assert job is not None
    word = GenerationMetadata(MetadataType.LORA, MetadataValue.DOWNLOAD_FAILED, "gone")
    api.hoard.ledger.jobs.submit_image(
        job.image_ids[0],
        owner_id=owner_of(api),
        digest="b" * 64,
        seed=job.seed,
        state=ImageState.OK,
        metadata=(word,),
        provenance=replace(MAKING, batch_size=1, loras=(EXACT,)),
    )
    replicate(api, job.image_ids[0])
    replica = pop(api)
    assert replica is not None
    assert [lora.name for lora in replica.settings.loras] == ["15072"]


def test_source_images_come_back(api: Api) -> None:
    api.asked(source_image=in_base64(picture()), source_processing="img2img", params={"steps": 9})
    first = make(api)
    assert first.source is not None
    replicate(api, first.image_ids[0])
    job = pop(api)
    assert job is not None
    assert job.source == first.source


def test_it_costs_what_one_such_image_costs(api: Api) -> None:
    key = given(api, "rich", 1000)
    api.asked(key, n=4, params={"steps": 20})
    image_id = make(api).image_ids[0]
    entry = api.hoard.inline.directory.account_by_name("rich")
    assert entry is not None
    empty = api.hoard.inline.kudos.balance(entry.account_id).held
    one_request = api.asked(key, params={"steps": 20}, models=[MODEL])
    one = api.check(one_request)["kudos"]
    exactly = api.hoard.inline.kudos.balance(entry.account_id).held - empty
    assert again(api, image_id, key, dry_run=True).body == {"kudos": one}
    before = api.hoard.inline.kudos.balance(entry.account_id)
    assert again(api, image_id, key).body["kudos"] == one
    held = api.hoard.inline.kudos.balance(entry.account_id).held - before.held
    assert held == exactly


def test_heavy_images_need_their_kudos_up_front(api: Api) -> None:
    key = given(api, "rich", 100_000)
    heavy = {"width": 2048, "height": 2048, "steps": 50}
    api.asked(key, params=heavy)
    image_id = make(api).image_ids[0]
    entry = api.hoard.inline.directory.account_by_name("rich")
    assert entry is not None
    api.hoard.ledger.kudos.award(entry.account_id, -100_000.0, by=None, reason="a loss")
    assert again(api, image_id, key).rc == "KudosUpfront"


def test_a_shared_key_has_only_its_own_images_made_again(api: Api) -> None:
    given(api, "lender", 1000)
    key, lender = lent(api, kudos=500), api.key("lender")
    api.asked(lender)
    own = make(api).image_ids[0]
    api.asked(key)
    theirs = make(api).image_ids[0]
    assert again(api, own, key).rc == "ImageNotFound"
    assert again(api, theirs, key).status == 202
    assert again(api, theirs, lender).status == 202


def test_sent_again_it_is_done_once(api: Api) -> None:
    api.asked(n=2)
    image_id = make(api).image_ids[0]

    def send(exact: bool = False) -> Any:
        body = {"replicate": str(image_id), "exact": exact}
        return api.call(
            "POST",
            "/generate/async",
            key="0000000000",
            headers={"Idempotency-Key": "once"},
            json=body,
        )

    first = send()
    assert first.status == 202
    assert send().body["id"] == first.body["id"]
    assert send(exact=True).rc == "BadRequest"


def test_an_answer_tells_nobody_what_is_anothers(api: Api) -> None:
    """Somebody else's image and one that there is not: the same answer to the letter."""
    api.asked(api.key("somebody"))
    job = pop(api)
    assert job is not None
    nothing = again(api, uuid4(), api.key("another")).body
    assert again(api, job.image_ids[0], api.key("another")).body == nothing
    assert again(api, UUID(int=job.job_id.int + 20), api.key("another")).body == nothing


def test_each_field_that_does_not_go_with_it_is_named(api: Api) -> None:
    api.asked()
    image_id = make(api).image_ids[0]
    refused = again(api, image_id, prompt="a fox", params={"n": 2}, seed="ignored as everywhere")
    assert (refused.status, refused.rc) == (400, "BadRequest")
    assert set(refused.body["errors"]) == {"params", "prompt"}
    assert again(api, image_id, prompt=None, r2=False, shared=True).status == 202


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "replicate"},
        {"prompt": "a fox", "replicate": None},
        {"prompt": "a fox", "params": {"replicate": "no field"}},
    ],
)
def test_ordinary_bodies_stay_what_they_were(api: Api, body: dict[str, Any]) -> None:
    answered = api.call("POST", "/generate/async", key="0000000000", json=body)
    assert answered.status == 202
    assert submitted(api, answered.body["id"]).replicates is None


def test_what_the_worker_says_of_the_replica_is_told(api: Api) -> None:
    api.asked(n=2)
    request_id = replicate(api, make(api).image_ids[1])
    job = pop(api)
    assert job is not None
    word = GenerationMetadata(MetadataType.INFORMATION, MetadataValue.SEE_REF, "the same pixels")
    api.hoard.ledger.jobs.submit_image(
        job.image_ids[0],
        owner_id=owner_of(api),
        digest="c" * 64,
        seed=job.seed,
        state=ImageState.OK,
        metadata=(word,),
        provenance=replace(MAKING, batch_size=1, place=1),
    )
    (image,) = api.status(request_id)["generations"]
    assert {"type": "information", "value": "see_ref", "ref": "the same pixels"} in (
        image["gen_metadata"]
    )


def test_it_expires_as_any_request_does(api: Api) -> None:
    api.asked()
    request_id = replicate(api, make(api).image_ids[0])
    api.clock.advance(timedelta(minutes=21))
    assert list(api.hoard.inline.queue.due_requests(api.clock.now(), 10)) == [UUID(request_id)]
