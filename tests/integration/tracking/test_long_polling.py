"""Long polling: whoever cannot keep a stream is answered when something has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from infrastructure.bootstrap import assemble
from tests.integration.api_client import serving
from tests.streaming import Served, served
from tests.view_world import ViewWorld
from tests.waiting import wait_until


@pytest.fixture
def api(world: ViewWorld) -> Iterator[Served]:
    """A server on both databases."""
    with served(world.hoard) as api:
        yield api


Asked = Callable[..., "Future[httpx.Response]"]


@pytest.fixture
def asked(api: Served) -> Iterator[Asked]:
    """Ask for a change in a thread; return when the server waits for it, with what will come."""
    with ThreadPoolExecutor() as threads:

        def ask(request_id: UUID, **options: Any) -> Future[httpx.Response]:
            before = api.hub.subscriptions
            answer = threads.submit(api.check, request_id, 60, **options)
            wait_until(
                lambda: api.hub.subscriptions > before or answer.done(), "the server to wait"
            )
            return answer

        yield ask


def test_without_wait_nothing_is_different(world: ViewWorld, api: Served) -> None:
    request_id = world.submit()
    plain, tagged = api.check(request_id), api.check(request_id, etag='W/"0-0-1-0-0-0"')
    assert (plain.status_code, tagged.status_code) == (200, 200)
    assert plain.json() == tagged.json()
    assert "etag" not in plain.headers


def test_each_change_of_the_counts_is_an_answer(
    world: ViewWorld, api: Served, asked: Asked
) -> None:
    request_id = world.submit(2)
    seen = []
    now = api.check(request_id, 0)

    def changed(happens: Callable[[], object]) -> None:
        nonlocal now
        etag = now.headers["etag"]
        answer = asked(request_id, etag=etag)
        assert not answer.done()
        happens()
        now = answer.result()
        assert now.headers["etag"] != etag
        body = now.json()
        seen.append((body["waiting"], body["processing"], body["finished"], body["done"]))

    jobs = []
    changed(lambda: jobs.append(world.pop()))
    changed(lambda: world.deliver(jobs[0], 0))
    changed(lambda: world.deliver(jobs[0], 1))
    assert seen == [(0, 2, 0, False), (0, 1, 1, False), (0, 0, 2, True)]
    assert api.hub.subscriptions == 0


def test_without_a_tag_the_next_change_is_waited_for(world: ViewWorld, asked: Asked) -> None:
    request_id = world.submit()
    answer = asked(request_id)
    assert not answer.done()
    world.pop()
    assert answer.result().json()["processing"] == 1


def test_a_job_under_way_is_followed(world: ViewWorld, asked: Asked) -> None:
    request_id = world.submit(2)
    job = world.pop()
    answer = asked(request_id)
    world.deliver(job, 1)
    assert answer.result().json()["finished"] == 1


def test_a_submit_over_http_wakes_it(tmp_path: Path) -> None:
    with serving(tmp_path, kudos_upfront=False) as worker, served(worker.hoard) as api:
        request_id = worker.asked()
        job = worker.popped()
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(api.check, request_id, 60)
            wait_until(lambda: api.hub.subscriptions, "the server to wait")
            worker.deliver(job["ids"])
            assert answer.result().json()["done"] is True


def test_what_changed_between_two_calls_is_no_news_to_wait_for(
    world: ViewWorld, api: Served
) -> None:
    request_id = world.submit()
    etag = api.check(request_id, 0).headers["etag"]
    world.pop()
    assert api.check(request_id, 60, etag).json()["processing"] == 1


def test_a_request_that_is_done_is_not_waited_for(world: ViewWorld, api: Served) -> None:
    request_id = world.submit()
    world.hoard.ledger.requests.cancel(request_id)
    done = api.check(request_id, 60)
    assert done.json()["done"] is True
    assert api.check(request_id, 60, done.headers["etag"]).json()["done"] is True


def test_the_answer_comes_when_the_time_is_over(world: ViewWorld, api: Served) -> None:
    request_id = world.submit()
    first = api.check(request_id, 0)
    last = api.check(request_id, 1, first.headers["etag"])
    assert (last.status_code, last.headers["etag"]) == (200, first.headers["etag"])


def test_other_requests_and_steps_are_no_change(
    world: ViewWorld, api: Served, asked: Asked
) -> None:
    request_id = world.submit()
    job = world.pop()
    etag = api.check(request_id, 0).headers["etag"]
    answer = asked(request_id, etag=etag)
    world.submit()
    world.hoard.wakeups.progress(job.job_id, 3, 20)
    world.hoard.ledger.jobs.renew_lease(job.job_id, owner_id=world.owner_id)
    world.deliver(job)
    assert answer.result().json()["done"] is True


def test_a_server_that_stops_answers_at_once(world: ViewWorld, api: Served, asked: Asked) -> None:
    answer = asked(world.submit())
    api.hub.leave()
    assert answer.result().json()["waiting"] == 1


@pytest.mark.parametrize("wait", ["-1", "61", "x", "1.5", "nan", "", "1e1"])
def test_a_wait_that_is_none_is_refused(world: ViewWorld, api: Served, wait: str) -> None:
    refused = api.check(world.submit(), wait)
    assert (refused.status_code, refused.json()["rc"]) == (400, "BadRequest")
    assert list(refused.json()["errors"]) == ["query.wait"]


@pytest.mark.parametrize("wait", [0, 60])
def test_a_request_that_there_is_not_is_refused_at_once(api: Served, wait: int) -> None:
    for nobody in (uuid4(), "no-id"):
        refused = api.check(nobody, wait)
        assert (refused.status_code, refused.json()["rc"]) == (404, "RequestNotFound")


def test_it_works_without_any_wake_up(tmp_path: Path) -> None:
    with (
        closing(ViewWorld(tmp_path)) as world,
        closing(assemble(world.hoard.settings, clock=world.clock, migrate=False)) as hoard,
        served(hoard, poll=0.02) as api,
        ThreadPoolExecutor() as threads,
    ):
        answer = threads.submit(api.check, world.submit(), 60)
        wait_until(lambda: api.hub.subscriptions, "the server to wait")
        world.pop()
        assert answer.result().json()["processing"] == 1
