"""A remote worker that loses too much within an hour is put into maintenance; others are not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from domain.jobs.image_ids import job_of
from domain.workers.worker import Worker
from tests.integration.api_client import Api, serving
from workers.chores.losses import flag_losing_workers


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A Hoard whose views catch up after each call."""
    with serving(tmp_path, follow=True) as api:
        yield api


def lose(api: Api, jobs: int, name: str = "a worker") -> None:
    """Let a worker pop so many jobs and report each as lost."""
    for _ in range(jobs):
        api.asked()
        assert api.submit(api.popped(name=name)["id"], state="faulted").status == 200
        # What was lost would wait again, and be lost again.
        api.deliver(api.popped(name="a good worker")["ids"])


def flagged(api: Api, most: int = 2) -> int:
    """Apply the rule, and return how many workers it found."""
    found = flag_losing_workers(
        api.hoard.views.workers, api.hoard.ledger.workers, most, api.clock.now()
    )
    api.catch_up()
    return found


def test_more_than_the_limit_within_an_hour_is_too_much(api: Api) -> None:
    lose(api, 2)
    assert flagged(api) == 0
    lose(api, 1)
    assert flagged(api, most=0) == 0
    assert flagged(api) == 1
    refused = api.pop()
    assert (refused.status, refused.rc) == (403, "WorkerFlaggedMaintenance")
    assert api.pop(name="a good worker").status == 200
    # It is in maintenance already.
    assert flagged(api) == 0


def test_losses_of_another_hour_do_not_count(api: Api) -> None:
    lose(api, 2)
    api.clock.advance(timedelta(minutes=61))
    lose(api, 2)
    assert flagged(api) == 0
    api.clock.advance(timedelta(minutes=59))
    lose(api, 1)
    assert flagged(api) == 1


def test_who_was_put_back_starts_anew(api: Api) -> None:
    lose(api, 3)
    assert flagged(api) == 1
    entry = api.hoard.inline.directory.worker_by_name("a worker")
    assert entry is not None
    worker: Worker = api.hoard.ledger.repository.get(entry.worker_id)
    worker.set_maintenance(False, message="", timestamp=api.clock.now())
    api.hoard.ledger.save(worker)
    api.catch_up()
    assert flagged(api) == 0
    lose(api, 2)
    assert flagged(api) == 0


def test_an_ended_lease_is_a_loss(api: Api) -> None:
    for _ in range(3):
        api.asked()
        image_id = api.popped()["id"]
        api.clock.advance(timedelta(minutes=3))
        api.hoard.ledger.jobs.expire_lease(job_of(UUID(image_id)))
        api.catch_up()
        api.deliver(api.popped(name="a good worker")["ids"])
    assert flagged(api) == 1
