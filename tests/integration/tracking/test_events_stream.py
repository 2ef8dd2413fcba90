"""Streams of events: in order, each once, whoever is cut off and whatever is down."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.accounts.roles import Roles
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.jobs.job import PROGRESS_RECORDED_EVERY, ImageState
from domain.workers.matching import Capabilities
from infrastructure.bootstrap import Hoard, assemble
from tests.integration.api_client import in_base64, picture, serving
from tests.servers import RedisServer
from tests.streaming import Served, Told, served
from tests.view_world import ViewWorld
from tests.waiting import wait_until

NEVER = 3600.0
SMALL = Capabilities(("A", "B"), 2, 2048 * 2048, True, 1, False, "test:1:small")


@pytest.fixture
def api(world: ViewWorld) -> Iterator[Served]:
    """A server on both databases, which nobody but itself wakes."""
    with served(world.hoard, poll=0.02) as api:
        yield api


def kinds(told: list[Told]) -> list[str]:
    return [each.event for each in told]


def record_progress(world: ViewWorld, job: PoppedJob, step: int) -> None:
    world.clock.advance(PROGRESS_RECORDED_EVERY)
    world.hoard.ledger.jobs.record_progress(
        job.job_id, owner_id=world.owner_id, step=step, steps=20
    )


def test_everything_is_told_as_it_happens_until_the_end(world: ViewWorld, api: Served) -> None:
    request_id = world.submit(2)
    with api.stream(request_id) as events:
        queued = next(events)
        assert queued.data["request"] == str(request_id)
        assert (queued.data["queue_position"], queued.data["images"]) == (1, 2)
        assert queued.data["wait_time"] > 0
        job = world.pop()
        started = next(events)
        assert (started.data["job"], started.data["worker_name"]) == (str(job.job_id), "worker")
        record_progress(world, job, 7)
        progress = next(events)
        assert (progress.data["step"], progress.data["steps"]) == (7, 20)
        for place, image_id in enumerate(job.image_ids):
            world.deliver(job, place)
            assert next(events).data["id"] == str(image_id)
        ended = next(events)
        assert (ended.data["state"], ended.data["finished"]) == ("completed", 2)
        assert next(events, None) is None
    told = api.told(request_id)
    assert kinds(told) == ["queued", "started", "progress", "image", "image", "ended"]
    positions = [int(each.id) for each in told]
    assert positions == sorted(set(positions))
    assert [each.lasting for each in told][1:3] == [started.lasting, progress.lasting]


def test_what_a_job_lost_is_told_with_the_place_in_the_queue(world: ViewWorld, api: Served) -> None:
    request_id = world.submit(2)
    job = world.pop()
    with api.stream(request_id) as events:
        assert kinds([next(events), next(events)]) == ["queued", "started"]
        for image_id in job.image_ids:
            world.hoard.ledger.jobs.fault_image(image_id, owner_id=world.owner_id)
        lost, moved = next(events), next(events)
    assert (lost.event, lost.data["lost"]) == ("queued", 2)
    assert int(lost.id) > 0
    assert (moved.event, moved.id, moved.data["queue_position"]) == ("queued", "", 1)


def test_the_place_in_the_queue_is_told_again_when_it_is_another_one(world: ViewWorld) -> None:
    first = world.submit()
    second = world.submit()
    world.follow()
    with served(world.hoard, keep_alive=0.02) as api, api.stream(second) as events:
        assert next(events).data["queue_position"] == 2
        world.hoard.ledger.requests.cancel(first)
        world.follow()
        moved = next(events)
        assert (moved.event, moved.id, moved.data["queue_position"]) == ("queued", "", 1)


@pytest.mark.parametrize("r2", [True, False])
def test_an_image_is_told_as_the_status_tells_it(tmp_path: Path, r2: bool) -> None:
    with serving(tmp_path, kudos_upfront=False) as client:
        request_id = client.asked(n=2, r2=r2)
        job = client.popped()
        client.submit(job["id"], generation=in_base64(picture(3)))
        (made,) = client.status(request_id)["generations"]
        with served(client.hoard) as api, api.stream(UUID(request_id)) as events:
            image = next(each for each in events if each.event == "image")
    told = {name: image.data[name] for name in made}
    if r2:
        # Each is signed at an address of the server that was asked.
        told["img"] = told["img"].split("/api/")[1].partition("?")[0]
        made["img"] = made["img"].split("/api/")[1].partition("?")[0]
    assert told == made


def test_nobody_is_told_of_other_requests(world: ViewWorld, api: Served) -> None:
    one, other = world.submit(), world.submit()
    with api.stream(one) as ones, api.stream(other) as others:
        assert next(ones).data["request"] == str(one)
        assert next(others).data["request"] == str(other)
        world.hoard.ledger.requests.cancel(other)
        assert kinds(list(others)) == ["ended"]
        job = world.pop()
        assert job.request_id == one
        world.deliver(job)
        assert kinds(list(ones)) == ["started", "image", "ended"]


class Client(threading.Thread):
    """Reads a stream to its end, cutting the connection now and then."""

    def __init__(self, api: Served, request_id: UUID, patience: list[int]) -> None:
        """Read.

        :param patience: after how many events each connection is cut; the last one is not.
        """
        super().__init__()
        self.told: list[Told] = []
        self._api = api
        self._request_id = request_id
        self._patience = patience

    def run(self) -> None:
        for most in [*self._patience, 1_000_000]:
            last = self.told[-1].id if self.told else None
            if last is not None and self.told[-1].event == "ended":
                assert self._api.answer(self._request_id, last).status_code == 204
                return
            with self._api.stream(self._request_id, last) as events:
                recorded = (each for each in events if each.id)
                self.told.extend(each for _, each in zip(range(most), recorded, strict=False))


def let_something_happen(world: ViewWorld, request_id: UUID, random_source: random.Random) -> None:
    """Make the images of a request, losing some, by small workers in a random order."""
    jobs: list[tuple[PoppedJob, UUID]] = []
    while not world.status(request_id).done:
        happens = random_source.randrange(6)
        if happens == 0 or not jobs:
            popped = world.hoard.ledger.jobs.pop(PopJob(world.owner_id, True, "worker", SMALL))
            if not isinstance(popped, NoJob):
                jobs += [(popped, image_id) for image_id in popped.image_ids]
        elif happens == 1:
            record_progress(world, random_source.choice(jobs)[0], random_source.randrange(1, 20))
        else:
            job, image_id = jobs.pop(random_source.randrange(len(jobs)))
            if happens == 2:
                world.hoard.ledger.jobs.fault_image(image_id, owner_id=world.owner_id)
            else:
                world.deliver(job, job.image_ids.index(image_id))


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=3),
)
def test_whoever_is_cut_off_and_resumes_is_told_each_event_once_in_order(
    world: ViewWorld, api: Served, seed: int, cuts: list[list[int]]
) -> None:
    request_id = world.submit(6)
    clients = [Client(api, request_id, patience) for patience in cuts]
    for client in clients:
        client.start()
    let_something_happen(world, request_id, random.Random(seed))
    for client in clients:
        client.join()
    whole = [each.lasting for each in api.told(request_id)]
    assert whole[-1][0] == "ended"
    for client in clients:
        assert [each.lasting for each in client.told] == whole


def test_one_can_resume_at_every_event(world: ViewWorld, api: Served) -> None:
    request_id = world.submit(5)
    let_something_happen(world, request_id, random.Random(7))
    whole = [each.lasting for each in api.told(request_id)]
    for place, (_, position, _) in enumerate(whole[:-1], start=1):
        assert [each.lasting for each in api.told(request_id, position)] == whole[place:]
    assert api.answer(request_id, whole[-1][1]).status_code == 204


def test_a_job_that_began_before_the_stream_is_followed(world: ViewWorld, api: Served) -> None:
    request_id = world.submit(2)
    job = world.pop()
    last = str(world.hoard.storage.log.last_position())
    with api.stream(request_id, last) as events:
        wait_until(lambda: api.hub.subscriptions, "the stream to be open")
        world.deliver(job)
        assert kinds(list(events)) == ["image", "image", "ended"]


def test_what_commits_in_another_order_is_told_in_log_order(
    prepared_postgres_url: str, tmp_path: Path
) -> None:
    world = ViewWorld(tmp_path, prepared_postgres_url)
    other_owner = world.hoard.ledger.accounts.open("other", "1" * 64, Roles(trusted=True))
    request_id = world.submit(4)
    first = world.pop(capabilities=SMALL)
    popped = world.hoard.ledger.jobs.pop(PopJob(other_owner, True, "other worker", SMALL))
    assert isinstance(popped, PoppedJob)
    second = popped
    is_saved, may_commit = threading.Event(), threading.Event()

    def deliver_and_dawdle() -> None:
        with world.hoard.storage.ledger_database.transaction():
            world.deliver(first, 0)
            is_saved.set()
            may_commit.wait()

    dawdling = threading.Thread(target=deliver_and_dawdle)
    with ExitStack() as stack:
        stack.callback(world.hoard.close)
        stack.callback(dawdling.join)
        stack.callback(may_commit.set)
        api = stack.enter_context(served(world.hoard, poll=0.02))
        early = stack.enter_context(api.stream(request_id))
        assert kinds([next(early) for _ in range(3)]) == ["queued", "started", "started"]
        dawdling.start()
        is_saved.wait()
        world.hoard.ledger.jobs.submit_image(
            second.image_ids[0], owner_id=other_owner, digest="a" * 64, seed=1, state=ImageState.OK
        )
        # This one opens when the later event is committed and the earlier one is not.
        late = stack.enter_context(api.stream(request_id))
        assert kinds([next(late) for _ in range(3)]) == ["queued", "started", "started"]
        may_commit.set()
        for events in (early, late):
            images = [next(events), next(events)]
            assert [each.data["id"] for each in images] == [
                str(first.image_ids[0]),
                str(second.image_ids[0]),
            ]
            assert int(images[0].id) < int(images[1].id)
        world.hoard.ledger.requests.cancel(request_id)
        assert [kinds(list(events)) for events in (early, late)] == [["ended"], ["ended"]]


def elsewhere(world: ViewWorld) -> Hoard:
    """Return the same Hoard as another process has it."""
    return assemble(world.hoard.settings, clock=world.clock, migrate=False)


def test_a_wake_up_from_another_process_brings_events_at_once(
    tmp_path: Path, redis_url: str
) -> None:
    world = ViewWorld(tmp_path, broker_url=redis_url)
    request_id = world.submit()
    with (
        closing(world),
        closing(elsewhere(world)) as hoard,
        # Nobody looks at the log by itself here.
        served(hoard, poll=NEVER) as api,
        api.stream(request_id) as events,
    ):
        assert next(events).event == "queued"
        job = world.pop()
        assert next(events).event == "started"
        world.deliver(job)
        assert kinds(list(events)) == ["image", "ended"]


def test_streams_go_on_while_redis_is_gone(tmp_path: Path) -> None:
    server = RedisServer()
    with ExitStack() as stack:
        stack.callback(server.close)
        server.start()
        world = stack.enter_context(closing(ViewWorld(tmp_path, broker_url=server.url)))
        hoard = stack.enter_context(closing(elsewhere(world)))
        request_id = world.submit()
        api = stack.enter_context(served(hoard, poll=0.02))
        events = stack.enter_context(api.stream(request_id))
        assert next(events).event == "queued"
        server.stop()
        job = world.pop()
        assert next(events).event == "started"
        world.deliver(job)
        assert kinds(list(events)) == ["image", "ended"]


def test_each_step_is_told_while_it_is_made(world: ViewWorld, api: Served) -> None:
    request_id = world.submit()
    job = world.pop()
    with api.stream(request_id) as events:
        assert kinds([next(events), next(events)]) == ["queued", "started"]
        world.hoard.wakeups.progress(uuid4(), 1, 20)
        world.hoard.wakeups.progress(job.job_id, 3, 20)
        step = next(events)
        assert (step.event, step.id, step.data["step"], step.data["steps"]) == (
            "progress",
            "",
            3,
            20,
        )
        assert step.data["job"] == str(job.job_id)
        # What is known already is not told again, whichever way it comes.
        world.hoard.wakeups.progress(job.job_id, 2, 20)
        record_progress(world, job, 4)
        recorded = next(events)
        assert (recorded.data["step"], bool(recorded.id)) == (4, True)
        assert recorded.data.keys() == step.data.keys()


def test_a_client_that_does_not_read_is_cut_off_and_comes_back_for_the_rest(
    world: ViewWorld,
) -> None:
    request_id = world.submit(5)
    with served(world.hoard, poll=0.02, most_pending=3) as api:
        with api.stream(request_id) as events:
            told = [next(events)]
            # The server is held up while more is committed than one client may be behind.
            with held_up(api):
                let_something_happen(world, request_id, random.Random(1))
            told += [each for each in events if each.id]
        assert told[-1].event != "ended"
        rest = api.told(request_id, told[-1].id)
        whole = api.told(request_id)
    assert [each.lasting for each in [*told, *rest]] == [each.lasting for each in whole]


@contextmanager
def held_up(api: Served) -> Iterator[None]:
    """Keep the server's event loop busy for as long as the block runs."""
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        is_held.set()
        may_go.wait()

    api.loop.call_soon_threadsafe(hold)
    is_held.wait()
    try:
        yield
    finally:
        may_go.set()


def test_a_server_that_stops_lets_its_streams_go(world: ViewWorld) -> None:
    request_id = world.submit()
    with served(world.hoard, poll=NEVER) as api, api.stream(request_id) as events:
        assert next(events).event == "queued"
        api.hub.leave()
        assert next(events, None) is None


def test_a_client_that_goes_is_forgotten(world: ViewWorld, api: Served) -> None:
    request_id = world.submit()
    with api.stream(request_id) as events:
        next(events)
        assert api.hub.subscriptions == 1
    wait_until(lambda: not api.hub.subscriptions, "the watch to be closed")


def test_a_request_that_there_is_not_is_refused_before_the_stream(
    world: ViewWorld, api: Served
) -> None:
    world.submit()
    for nobody in (uuid4(), "no-id", world.pop().job_id):
        refused = api.answer(nobody, "")
        assert (refused.status_code, refused.json()["rc"]) == (404, "RequestNotFound")
    assert api.hub.subscriptions == 0


@pytest.mark.parametrize(
    "rubbish", ["x", "-1", "1.5", "1e3", " ", "0x10", "1_0", "\u0661", "9" * 400, "9" * 18]
)
def test_an_id_that_is_none_is_refused(world: ViewWorld, api: Served, rubbish: str) -> None:
    request_id = world.submit()
    for refused in asked_after(api, request_id, rubbish):
        assert (refused.status_code, refused.json()["rc"]) == (400, "BadRequest")
    assert api.hub.subscriptions == 0


def asked_after(api: Served, request_id: UUID, last: str) -> Iterator[httpx.Response]:
    """Ask for the events after some text, by the address and, where a header holds it, by that."""
    path = f"/generate/events/{request_id}"
    yield api.client.get(path, params={"last_event_id": last})
    if last and last.isprintable() and not (last[0].isspace() or last[-1].isspace()):
        header = last.encode("utf-8")
        yield api.client.get(path, headers=[(b"Last-Event-ID", header)])


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(last=st.one_of(st.text(max_size=40), st.integers().map(str)))
def test_whatever_comes_as_the_last_id_never_breaks_the_server(
    ended: tuple[Served, UUID], last: str
) -> None:
    api, request_id = ended
    for answer in asked_after(api, request_id, last):
        assert answer.status_code in {200, 204, 400}
        assert answer.status_code != 400 or answer.json()["rc"] == "BadRequest"


@pytest.fixture
def ended(world: ViewWorld, api: Served) -> tuple[Served, UUID]:
    """A server, and a request that was cancelled."""
    request_id = world.submit()
    world.hoard.ledger.requests.cancel(request_id)
    return api, request_id


def test_a_client_without_headers_resumes_by_its_address(ended: tuple[Served, UUID]) -> None:
    api, request_id = ended
    first, last = api.told(request_id)
    path = f"{api.url}/generate/events/{request_id}"
    answer = httpx.get(path, params={"last_event_id": first.id})
    assert answer.text.startswith(f"id: {last.id}\nevent: ended\n")
    # Who reconnects has the address that he began with, and a header that knows better.
    header = {"Last-Event-ID": last.id}
    assert httpx.get(path, params={"last_event_id": first.id}, headers=header).status_code == 204
