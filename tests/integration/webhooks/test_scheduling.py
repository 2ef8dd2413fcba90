"""Scheduling: what is to be told is scheduled once, crash or not, and nothing else is."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from domain.jobs.job import Job
from domain.ledger.webhooks import PlannedDelivery
from domain.webhooks.delivery import WebhookDelivery
from projections.following.log_follower import FollowerFailed, LogFollower
from projections.following.positions import REACTION_POSITIONS
from projections.following.wakeups import WakeupSignal
from projections.tracking.notifications import ENDED, PROGRESS, STARTED
from projections.view import RecordedEvent
from tests.waiting import wait_until
from tests.webhook_world import WebhookWorld
from workers.webhooks.scheduling import LEAST_REST_SECONDS, NAME, WebhookScheduling

ADDRESS = "https://bot.example/hoard?job=1"


@pytest.fixture
def world(ledger_url: str | None, tmp_path: Path) -> Iterator[WebhookWorld]:
    made = WebhookWorld(tmp_path, ledger_url)
    yield made
    made.close()


class Reaction:
    """A follower that schedules, and how many new deliveries it had at each turn."""

    def __init__(self, world: WebhookWorld) -> None:
        self.new: list[int] = []
        hoard = world.hoard
        self.follower = LogFollower(
            hoard.storage.log,
            WebhookScheduling(
                hoard.storage.log,
                hoard.storage.ledger_database,
                hoard.ledger.webhooks,
                hoard.inline.deliveries,
                self.new.append,
            ),
        )

    def follow(self, stop: threading.Event, wakeup: WakeupSignal) -> None:
        self.follower.follow(stop, interval=0.01, least_rest=LEAST_REST_SECONDS, wakeup=wakeup)


def scheduling(world: WebhookWorld) -> Reaction:
    return Reaction(world)


def catch_up(reaction: Reaction) -> int:
    """React to all there is; return how many deliveries are new."""
    before = sum(reaction.new)
    while reaction.follower.catch_up():
        pass
    return sum(reaction.new) - before


def scheduled(world: WebhookWorld) -> list[WebhookDelivery.Scheduled]:
    """Return the first event of each delivery, in log order."""
    records: list[RecordedEvent] = []
    while page := world.hoard.storage.log.after(records[-1].position if records else 0, 500):
        records += page
    return [
        record.event for record in records if isinstance(record.event, WebhookDelivery.Scheduled)
    ]


def kinds(world: WebhookWorld, endpoint_id: UUID | None = None) -> list[str]:
    return [event.kind for event in scheduled(world) if event.endpoint_id == endpoint_id]


def position(world: WebhookWorld) -> int:
    with world.hoard.storage.ledger_database.reading() as connection:
        return REACTION_POSITIONS.read(connection, NAME)


def test_a_request_is_told_at_its_own_address_each_thing_once(world: WebhookWorld) -> None:
    reaction = scheduling(world)
    request_id = world.make(3, address=ADDRESS)
    assert catch_up(reaction) == 4
    assert catch_up(reaction) == 0
    assert kinds(world) == ["image", "image", "image", "ended"]
    [*images, ended] = scheduled(world)
    assert {event.request_id for event in images} == {request_id}
    assert [event.about for event in images] == [
        made.image_id for made in world.status(request_id).generations
    ]
    assert ended.about == request_id
    assert {event.destination for event in images} == {
        world.hoard.sending.keys.destination(world.integrator, ADDRESS)
    }
    assert [event.originator_id for event in (*images, ended)] == [
        planned_delivery.delivery_id for planned_delivery in world.planned_deliveries(request_id)
    ]


def test_what_is_wanted_is_told_and_no_more(world: WebhookWorld) -> None:
    everything = world.endpoint("https://a.example/")
    ends = world.endpoint("https://b.example/", [ENDED])
    request_id = world.ask(1, address=ADDRESS, kinds=(STARTED,))
    job = world.pop()
    world.clock.advance(timedelta(seconds=10))
    world.hoard.ledger.jobs.record_progress(job.job_id, owner_id=world.owner_id, step=1, steps=2)
    world.deliver(job)
    catch_up(scheduling(world))
    assert kinds(world) == ["started"]
    assert kinds(world, everything) == ["started", "progress", "image", "ended"]
    assert kinds(world, ends) == ["ended"]
    [progress] = [event for event in scheduled(world) if event.kind == PROGRESS]
    assert (progress.about, progress.step, progress.request_id) == (job.job_id, 1, request_id)


def test_nobody_else_is_told(world: WebhookWorld) -> None:
    endpoint = world.endpoint("https://a.example/")
    stranger = world.hoard.ledger.accounts.open("stranger", "2" * 64, world.hoard.operator.roles)
    world.make(1, account_id=stranger)
    world.submit(1)
    world.deliver(world.pop())
    reaction = scheduling(world)
    assert catch_up(reaction) == 0
    assert kinds(world, endpoint) == []


def test_history_from_before_an_endpoint_was_there_is_not_told_anew(world: WebhookWorld) -> None:
    world.make(2)
    request_id = world.ask(2)
    job = world.pop()
    world.deliver(job, 0)
    endpoint = world.endpoint("https://a.example/")
    world.deliver(job, 1)
    catch_up(scheduling(world))
    assert kinds(world, endpoint) == ["image", "ended"]
    assert {event.request_id for event in scheduled(world)} == {request_id}


def test_a_disabled_or_deleted_endpoint_is_told_nothing(world: WebhookWorld) -> None:
    disabled, deleted = world.endpoint("https://a.example/"), world.endpoint("https://b.example/")
    world.hoard.ledger.webhooks.change_endpoint(
        disabled, account_id=world.integrator, enabled=False
    )
    world.hoard.ledger.webhooks.delete_endpoint(deleted, account_id=world.integrator)
    world.make(1)
    assert catch_up(scheduling(world)) == 0


def test_after_a_crash_neither_deliveries_nor_position_are_there(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.make(2, address=ADDRESS)
    ledger, before = world.hoard.ledger, position(world)
    whole = ledger.webhooks.schedule

    def crash(planned_deliveries: Sequence[PlannedDelivery]) -> int:
        whole(planned_deliveries)
        raise RuntimeError("the power went")

    reaction = scheduling(world)
    monkeypatch.setattr(ledger.webhooks, "schedule", crash)
    with pytest.raises(FollowerFailed):
        catch_up(reaction)
    assert position(world) == before
    assert scheduled(world) == []
    monkeypatch.undo()
    assert catch_up(reaction) == 3
    assert position(world) > before


def test_who_was_restarted_in_the_middle_tells_the_rest(world: WebhookWorld) -> None:
    world.endpoint("https://a.example/")
    world.ask(3, address=ADDRESS)
    job = world.pop()
    world.deliver(job, 0)
    catch_up(scheduling(world))
    world.deliver(job, 1)
    catch_up(scheduling(world))
    world.deliver(job, 2)
    catch_up(scheduling(world))
    assert kinds(world) == ["image", "image", "image", "ended"]
    assert len(scheduled(world)) == 4 + 5


def test_whoever_reads_it_all_again_schedules_nothing_twice(world: WebhookWorld) -> None:
    world.endpoint("https://a.example/")
    world.make(2, address=ADDRESS)
    catch_up(scheduling(world))
    before = scheduled(world)
    with world.hoard.storage.ledger_database.transaction() as connection:
        REACTION_POSITIONS.set(connection, NAME, 0)
    world.make(1, address=ADDRESS)
    assert catch_up(scheduling(world)) == 2 + 3
    assert scheduled(world)[: len(before)] == before


def test_several_side_by_side_schedule_each_thing_once(world: WebhookWorld) -> None:
    for _ in range(12):
        world.make(2, address=ADDRESS)
    stop, wakeups = threading.Event(), [WakeupSignal() for _ in range(3)]
    reactions = [scheduling(world) for _ in wakeups]
    threads = [
        threading.Thread(target=reaction.follow, args=(stop, wakeup))
        for reaction, wakeup in zip(reactions, wakeups, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(scheduled(world)) == 36, "everything to be scheduled")
        world.make(1, address=ADDRESS)
        wait_until(lambda: len(scheduled(world)) == 38, "the rest to be scheduled")
    finally:
        stop.set()
        for wakeup in wakeups:
            wakeup.changed()
        for thread in threads:
            thread.join()
    assert sum(sum(reaction.new) for reaction in reactions) == 38
    assert len({event.originator_id for event in scheduled(world)}) == 38


def test_it_goes_on_once_what_it_stumbled_over_is_mended(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.make(1, address=ADDRESS)
    whole, failed = world.hoard.inline.deliveries.endpoints_of, threading.Event()

    def fail(_accounts: object) -> dict[UUID, list[object]]:
        failed.set()
        raise OSError

    monkeypatch.setattr(world.hoard.inline.deliveries, "endpoints_of", fail)
    stop, wakeup = threading.Event(), WakeupSignal()
    thread = threading.Thread(target=scheduling(world).follow, args=(stop, wakeup))
    thread.start()
    try:
        assert failed.wait(10)
        monkeypatch.setattr(world.hoard.inline.deliveries, "endpoints_of", whole)
        wait_until(lambda: len(scheduled(world)) == 2, "it to go on")
    finally:
        stop.set()
        wakeup.changed()
        thread.join()


def test_an_event_in_the_way_is_named_and_all_before_it_is_told(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.make(1, address=ADDRESS)
    world.make(1, address=ADDRESS)
    world.make(1, address=ADDRESS)
    in_the_way, stuck = [
        (record.position, record.event.image_id)
        for record in world.hoard.storage.log.after(0, 500)
        if isinstance(record.event, Job.ImageGenerated)
    ][1]
    ledger = world.hoard.ledger
    whole = ledger.webhooks.schedule

    def stumble(planned_deliveries: Sequence[PlannedDelivery]) -> int:
        if stuck in {
            planned_delivery.notification.about for planned_delivery in planned_deliveries
        }:
            raise ZeroDivisionError
        return whole(planned_deliveries)

    monkeypatch.setattr(ledger.webhooks, "schedule", stumble)
    reaction = scheduling(world)
    with pytest.raises(FollowerFailed) as failure:
        catch_up(reaction)
    assert failure.value.position == in_the_way
    assert kinds(world) == ["image", "ended"]
    with pytest.raises(FollowerFailed):
        catch_up(reaction)
    assert kinds(world) == ["image", "ended"]

    monkeypatch.undo()
    stop, wakeup = threading.Event(), WakeupSignal()
    thread = threading.Thread(target=reaction.follow, args=(stop, wakeup))
    thread.start()
    try:
        wait_until(lambda: len(scheduled(world)) == 6, "the rest to be scheduled")
        wait_until(lambda: sum(reaction.new) == 6, "the sender to be woken")
    finally:
        stop.set()
        wakeup.changed()
        thread.join()


def test_much_at_once_is_scheduled_in_several_transactions(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        world.endpoint("https://a.example/")
    world.make(3, address=ADDRESS)
    monkeypatch.setattr("workers.webhooks.scheduling._MOST_AT_ONCE", 4)
    ledger, sizes = world.hoard.ledger, []
    whole = ledger.webhooks.schedule

    def count(planned_deliveries: Sequence[PlannedDelivery]) -> int:
        sizes.append(len(planned_deliveries))
        if len(sizes) == 3:
            raise RuntimeError("the power went")
        return whole(planned_deliveries)

    monkeypatch.setattr(ledger.webhooks, "schedule", count)
    catch_up(scheduling(world))
    # What one event tells stays together: two at each start, three of each image and of the end.
    assert sizes == [5, 6, 3, 3]
    assert len(scheduled(world)) == 2 + 3 * 3 + 3
    assert position(world) > 0


def test_what_was_forgotten_is_read_from_the_log(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.webhooks.scheduling._MOST_REMEMBERED", 1)
    world.ask(2, address=ADDRESS)
    world.ask(2, address=ADDRESS)
    first, second = world.pop(), world.pop()
    reaction = scheduling(world)
    catch_up(reaction)
    for place in range(2):
        world.deliver(first, place)
        world.deliver(second, place)
        catch_up(reaction)
    assert sorted(kinds(world)) == ["ended"] * 2 + ["image"] * 4


def test_where_nothing_is_told_nothing_is_written(world: WebhookWorld) -> None:
    world.submit(2)
    world.deliver(world.pop())
    reaction, before = scheduling(world), world.hoard.storage.log.last_position()
    assert catch_up(reaction) == 0
    assert position(world) == 0
    assert world.hoard.storage.log.last_position() == before


def test_the_position_is_kept_now_and_then_all_the_same(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.webhooks.scheduling._MOST_UNSTORED", 5)
    world.submit(2)
    world.deliver(world.pop())
    catch_up(scheduling(world))
    assert position(world) == world.hoard.storage.log.last_position()


def test_who_was_overtaken_schedules_nothing_and_goes_on_from_there(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = scheduling(world), scheduling(world)
    assert catch_up(first) == catch_up(second) == 0
    world.make(1, address=ADDRESS)
    calls: list[int] = []
    whole = world.hoard.ledger.webhooks.schedule

    def counted(planned_deliveries: Sequence[PlannedDelivery]) -> int:
        calls.append(len(planned_deliveries))
        return whole(planned_deliveries)

    monkeypatch.setattr(world.hoard.ledger.webhooks, "schedule", counted)
    catch_up(first)
    second.follower.catch_up()
    assert calls == [2]
    world.make(1, address=ADDRESS)
    assert catch_up(second) == 2
    assert calls == [2, 2]
