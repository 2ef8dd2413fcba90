"""What clients are told of a request: each event once, and the same to everybody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.jobs.job import Job
from domain.requests.request import Request
from domain.webhooks.notification import Notification
from projections.status.fold import Generation
from projections.tracking import notifications
from projections.tracking.history import RequestHistory
from projections.tracking.notifications import notification_data, notification_of
from tests.view_world import ViewWorld, world

__all__ = ["world"]


def address(made: Generation) -> str:
    return f"https://images.example/{made.image_id}"


def told(world: ViewWorld, request_id: UUID) -> list[tuple[Notification, dict[str, Any]]]:
    """Return all that is told of a request, in order."""
    whole = RequestHistory.read(world.hoard.storage.log, request_id)
    assert whole is not None
    so_far = RequestHistory(whole.submitted)
    heard = []
    for record in whole.records:
        so_far.add(record)
        if (tracking := notification_of(record.event, request_id)) is not None:
            heard.append((tracking, notification_data(record, so_far, address)))
    return heard


def kinds(heard: list[tuple[Notification, dict[str, Any]]]) -> list[str]:
    return [tracking.kind for tracking, _ in heard]


def test_a_request_is_told_from_its_start_to_its_end(world: ViewWorld) -> None:
    request_id = world.submit(2)
    job = world.pop()
    world.deliver(job)
    heard = told(world, request_id)
    assert kinds(heard) == ["queued", "started", "image", "image", "ended"]
    queued, started, first, second, ended = (data for _, data in heard)
    assert {data["request"] for _, data in heard} == {request_id}
    assert queued["images"] == 2
    assert started["job"] == job.job_id
    assert (started["images"], started["worker_name"], started["model"]) == (2, "worker", job.model)
    assert [first["id"], second["id"]] == list(job.image_ids)
    assert first["img"] == f"https://images.example/{job.image_ids[0]}"
    assert second["gen_metadata"] == [{"type": "batch_index", "value": "see_ref", "ref": "1"}]
    assert ended == {
        "request": request_id,
        "state": "completed",
        "images": 2,
        "finished": 2,
        "faulted": False,
        "kudos": 0.0,
    }


def test_an_image_is_told_as_its_status_tells_it(world: ViewWorld) -> None:
    request_id = world.submit(1)
    world.deliver(world.pop())
    [made] = world.status(request_id).generations
    [image] = [data for tracking, data in told(world, request_id) if tracking.kind == "image"]
    assert image["id"] == made.image_id
    assert image["seed"] == str(made.seed)
    assert image["worker_id"] == made.worker_id
    assert image["state"] == "ok"
    assert image["censored"] is False
    assert image["kudos"] == made.kudos > 0
    assert image["gen_metadata"] == []


def test_what_is_lost_is_queued_again(world: ViewWorld) -> None:
    request_id = world.submit(3)
    job = world.pop()
    world.deliver(job, 0)
    world.hoard.ledger.jobs.fail(job.job_id, owner_id=world.owner_id, reason="no memory")
    world.hoard.ledger.requests.cancel(request_id)
    heard = told(world, request_id)
    assert kinds(heard) == ["queued", "started", "image", "queued", "ended"]
    assert heard[3][1] == {"request": request_id, "images": 3, "lost": 2}
    assert heard[4][1]["state"] == "cancelled"
    assert heard[4][1]["finished"] == 1


def test_a_job_that_loses_nothing_is_not_queued_again(world: ViewWorld) -> None:
    request_id = world.submit(1)
    world.deliver(world.pop())
    assert kinds(told(world, request_id)).count("queued") == 1


def test_progress_says_how_far_which_job_is(world: ViewWorld) -> None:
    request_id = world.submit(1)
    job = world.pop()
    ledger = world.hoard.ledger
    ledger.jobs.record_progress(job.job_id, owner_id=world.owner_id, step=1, steps=20)
    world.clock.advance(timedelta(seconds=10))
    for step in (7, 8, 7):
        ledger.jobs.record_progress(job.job_id, owner_id=world.owner_id, step=step, steps=20)
    world.clock.advance(timedelta(seconds=10))
    ledger.jobs.record_progress(job.job_id, owner_id=world.owner_id, step=7, steps=20)
    ledger.jobs.record_progress(job.job_id, owner_id=world.owner_id, step=20, steps=20)
    world.deliver(job)
    ledger.jobs.record_progress(job.job_id, owner_id=world.owner_id, step=21, steps=20)
    progress = [
        (tracking.about, tracking.step, data["step"], data["steps"], data["job"])
        for tracking, data in told(world, request_id)
        if tracking.kind == notifications.PROGRESS
    ]
    assert progress == [(job.job_id, s, s, 20, job.job_id) for s in (7, 20)]


def test_nothing_is_known_of_what_is_no_request(world: ViewWorld) -> None:
    world.submit(1)
    job = world.pop()
    assert RequestHistory.read(world.hoard.storage.log, uuid4()) is None
    assert RequestHistory.read(world.hoard.storage.log, job.job_id) is None


def test_a_history_holds_the_request_and_its_jobs(world: ViewWorld) -> None:
    request_id = world.submit(2)
    job = world.pop()
    history = RequestHistory.read(world.hoard.storage.log, request_id)
    assert history is not None
    assert isinstance(history.records[0].event, Request.Submitted)
    assert isinstance(history.batched[job.job_id], Job.Batched)
