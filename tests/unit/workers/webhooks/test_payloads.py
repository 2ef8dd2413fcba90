"""What a webhook brings: the same each time, in the form that its receiver expects."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest

from domain.accounts.account import ANONYMOUS_ID
from domain.images.settings import ImageSettings
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.webhooks.delivery import WebhookDelivery
from domain.webhooks.notification import TEST, NotificationKind
from domain.workers.matching import Requirements
from projections.tracking import notifications
from projections.tracking.history import RequestHistory
from tests.view_world import ViewWorld
from workers.webhooks.payload import NotificationNotFound, Payloads

ROOT = "https://hoard.example"
ENDPOINT = uuid4()
MINUTE = timedelta(minutes=1)


@dataclass
class Blobs:
    """Images by digest."""

    held: dict[str, bytes] = field(default_factory=dict)

    def get(self, digest: str) -> bytes:
        return self.held[digest]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ViewWorld]:
    made = ViewWorld(tmp_path, "sqlite://")
    yield made
    made.close()


def ask(world: ViewWorld, images: int = 2, *, r2: bool = True) -> UUID:
    request_id, _ = world.hoard.ledger.requests.submit(
        SubmitRequest(
            Requester(ANONYMOUS_ID),
            RequestSpecification(
                prompt="a red square",
                negative_prompt="",
                settings=ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1),
                requirements=Requirements((), 512 * 512, False, False, True, False),
                images=images,
                r2=r2,
            ),
        )
    )
    return request_id


def delivery(
    world: ViewWorld,
    kind: NotificationKind,
    about: UUID,
    request_id: UUID | None,
    *,
    endpoint_id: UUID | None = None,
    step: int | None = None,
) -> WebhookDelivery:
    return WebhookDelivery.schedule(
        account_id=ANONYMOUS_ID,
        kind=kind,
        about=about,
        request_id=request_id,
        step=step,
        endpoint_id=endpoint_id,
        destination=endpoint_id or uuid4(),
        happened_at=world.clock.now() + timedelta(milliseconds=250),
        timestamp=world.clock.now(),
    )


def payloads(world: ViewWorld, blobs: Blobs | None = None) -> Payloads:
    return Payloads(blobs or Blobs(), world.hoard.secrets.signer, root=ROOT, lifetime=MINUTE)


def body(world: ViewWorld, told: WebhookDelivery, blobs: Blobs | None = None) -> Any:
    history = (
        RequestHistory.read(world.hoard.storage.log, told.request_id) if told.request_id else None
    )
    return json.loads(payloads(world, blobs).body(told, history))


def test_an_image_at_the_address_of_its_request_is_told_as_v2_does(world: ViewWorld) -> None:
    request_id = ask(world)
    job = world.pop()
    world.deliver(job)
    image_id = job.image_ids[1]
    told = body(world, delivery(world, notifications.IMAGE, image_id, request_id))
    address = urlsplit(told.pop("img"))
    assert f"{address.scheme}://{address.netloc}{address.path}" == (
        f"{ROOT}/api/v2/generate/images/{request_id}/{image_id}.webp"
    )
    query = {name: value for name, [value] in parse_qs(address.query).items()}
    world.hoard.secrets.signer.verify("image", f"{request_id}/{image_id}", **query)
    assert told.pop("kudos") > 0
    worker = world.hoard.inline.directory.worker_by_name("worker")
    assert worker is not None
    assert told == {
        "seed": "1",
        "id": str(image_id),
        "censored": False,
        "gen_metadata": [{"type": "batch_index", "value": "see_ref", "ref": "1"}],
        "worker_id": str(worker.worker_id),
        "worker_name": "worker",
        "model": job.model,
        "state": "ok",
        "request": str(request_id),
    }


def test_a_request_that_wants_no_addresses_is_sent_the_image_itself(world: ViewWorld) -> None:
    request_id = ask(world, 1, r2=False)
    job = world.pop()
    world.deliver(job)
    blobs = Blobs({f"{0:064x}": b"RIFF....WEBP"})
    own = delivery(world, notifications.IMAGE, job.image_ids[0], request_id)
    assert base64.b64decode(body(world, own, blobs)["img"]) == b"RIFF....WEBP"
    assert body(world, own, Blobs())["img"] == ""
    elsewhere = delivery(
        world, notifications.IMAGE, job.image_ids[0], request_id, endpoint_id=ENDPOINT
    )
    assert body(world, elsewhere, blobs)["data"]["img"].startswith(f"{ROOT}/api/v2/")


@pytest.mark.parametrize("endpoint_id", [None, ENDPOINT])
def test_all_else_stands_in_an_envelope(world: ViewWorld, endpoint_id: UUID | None) -> None:
    request_id = ask(world)
    job = world.pop()
    world.clock.advance(timedelta(seconds=10))
    for step in (7, 14):
        world.hoard.ledger.jobs.record_progress(
            job.job_id, owner_id=world.owner_id, step=step, steps=20
        )
        world.clock.advance(timedelta(seconds=10))
    world.deliver(job)

    def told(kind: NotificationKind, about: UUID, step: int | None = None) -> Any:
        one = delivery(world, kind, about, request_id, endpoint_id=endpoint_id, step=step)
        return body(world, one)

    started = told(notifications.STARTED, job.job_id)
    assert started["type"] == "request.started"
    moment = world.clock.now() + timedelta(milliseconds=250)
    assert started["timestamp"] == moment.isoformat().replace("+00:00", "Z")
    assert started["data"]["job"] == str(job.job_id)
    assert started["data"]["request"] == str(request_id)
    assert "step" not in started["data"]
    second = told(notifications.PROGRESS, job.job_id, 14)
    assert second["type"] == "request.progress"
    assert (second["data"]["step"], second["data"]["steps"]) == (14, 20)
    assert told(notifications.PROGRESS, job.job_id, 7)["data"]["step"] == 7
    ended = told(notifications.ENDED, request_id)
    assert ended["type"] == "request.ended"
    assert ended["data"]["state"] == "completed"
    assert (ended["data"]["images"], ended["data"]["finished"]) == (2, 2)


def test_an_image_at_an_endpoint_stands_in_an_envelope(world: ViewWorld) -> None:
    request_id = ask(world)
    job = world.pop()
    world.deliver(job)
    one = delivery(world, notifications.IMAGE, job.image_ids[0], request_id, endpoint_id=ENDPOINT)
    told = body(world, one)
    assert set(told) == {"type", "timestamp", "data"}
    assert told["type"] == "request.image"
    assert told["data"]["id"] == str(job.image_ids[0])


def test_a_test_names_its_endpoint(world: ViewWorld) -> None:
    told = body(world, delivery(world, TEST, uuid4(), None, endpoint_id=ENDPOINT))
    assert told["type"] == "endpoint.test"
    assert told["data"] == {"endpoint": str(ENDPOINT)}


def test_what_happened_later_changes_nothing(world: ViewWorld) -> None:
    request_id = ask(world, 2)
    job = world.pop()
    world.deliver(job, 0)
    one = delivery(world, notifications.STARTED, job.job_id, request_id, endpoint_id=ENDPOINT)
    image = delivery(world, notifications.IMAGE, job.image_ids[0], request_id)

    def bodies() -> list[bytes]:
        history = RequestHistory.read(world.hoard.storage.log, request_id)
        return [payloads(world).body(each, history) for each in (one, image)]

    before = bodies()
    world.deliver(job, 1)
    assert bodies() == before


def test_what_the_log_lacks_cannot_be_told(world: ViewWorld) -> None:
    request_id = ask(world)
    history = RequestHistory.read(world.hoard.storage.log, request_id)
    with pytest.raises(NotificationNotFound):
        payloads(world).body(delivery(world, notifications.ENDED, request_id, request_id), history)
