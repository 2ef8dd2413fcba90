"""Who waits for events hears of them from other processes, for as long as there is a Redis."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from structlog.testing import capture_logs

from infrastructure.wakeups.broadcast import ProcessWakeups
from infrastructure.wakeups.redis_channels import RedisChannels
from tests.paths import ROOT
from tests.servers import RedisServer
from tests.view_world import ViewWorld
from tests.waiting import DEADLINE_SECONDS, wait_until

JOB = UUID(int=7)
CHANGED, PROGRESS = "hoard.0.changed", "hoard.0.progress"


class Undone(Exception):
    """What rolls a transaction back."""


@dataclass
class Notes:
    """What somebody heard."""

    changes: int = 0
    steps: list[tuple[UUID, int, int]] = field(default_factory=list)

    def changed(self) -> None:
        """Count a change."""
        self.changes += 1

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        """Note a step."""
        self.steps.append((job_id, step, steps))


@contextmanager
def wakeups_at(url: str, *, check_seconds: int = 5) -> Iterator[ProcessWakeups]:
    """Wake-ups as a process of their own has them."""
    made = ProcessWakeups(RedisChannels(url, check_seconds=check_seconds))
    try:
        yield made
    finally:
        made.close()


def listening(wakeups: ProcessWakeups) -> Notes:
    """Listen, and wait until Redis knows."""
    notes = Notes()
    wakeups.listen(notes)
    wait_until(lambda: notes.changes, "the subscription")
    notes.changes = 0
    return notes


@contextmanager
def client_of(url: str) -> Iterator[redis.Redis]:
    """A client of the same Redis, for what a test does behind our back."""
    with redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"), protocol=2) as client:
        yield client


@pytest.fixture
def told(redis_url: str) -> Iterator[ProcessWakeups]:
    """The side that tells."""
    with wakeups_at(redis_url) as made:
        yield made


@pytest.fixture
def heard(redis_url: str) -> Iterator[ProcessWakeups]:
    """The side that hears."""
    with wakeups_at(redis_url) as made:
        yield made


@pytest.fixture
def woken(ledger_url: str | None, redis_url: str, tmp_path: Path) -> Iterator[ViewWorld]:
    """A Hoard whose broker answers, on SQLite files and on PostgreSQL."""
    made = ViewWorld(tmp_path, ledger_url, broker_url=redis_url)
    yield made
    made.close()


def test_a_commit_is_heard_in_another_process(
    woken: ViewWorld, redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "heard"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.tracking.wakeups_process", tmp_path, redis_url],
        cwd=ROOT,
    )
    try:
        wait_until(lambda: file.exists() and file.read_text(), "the subscription")
        woken.submit()
        wait_until(lambda: len(file.read_text().splitlines()) == 2, "the change to be heard")
        job = woken.pop()
        wait_until(lambda: len(file.read_text().splitlines()) == 3, "the next one to be heard")
        woken.hoard.wakeups.progress(job.job_id, 3, 20)
        wait_until(lambda: f"{job.job_id} 3/20" in file.read_text(), "the step to be heard")
    finally:
        process.terminate()
        assert process.wait(60) == 0
    assert file.read_text().splitlines() == [*3 * ["changed"], f"{job.job_id} 3/20"]


def test_what_is_heard_is_committed_already(woken: ViewWorld, heard: ProcessWakeups) -> None:
    log = woken.hoard.storage.log
    seen: list[int] = []

    class Looks(Notes):
        def changed(self) -> None:
            seen.append(len(log.committed_after(0, 1_000)))
            super().changed()

    notes = Looks()
    heard.listen(notes)
    wait_until(lambda: seen, "the subscription")
    before = seen[-1]
    woken.submit()
    wait_until(lambda: len(seen) > 1, "the change")
    assert seen[-1] > before


def test_a_transaction_that_is_rolled_back_wakes_nobody(woken: ViewWorld) -> None:
    with client_of(woken.hoard.settings.broker) as client:
        client.config_resetstat()
        with contextlib.suppress(Undone), woken.hoard.storage.ledger_database.transaction():
            woken.submit()
            raise Undone
        woken.hoard.wakeups.close()
        assert published(client) == 0


def test_a_hoard_whose_broker_is_gone_works_and_its_own_threads_hear(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    world = ViewWorld(tmp_path, broker_url=own_redis.url)
    try:
        notes = listening(world.hoard.wakeups)
        own_redis.stop()
        world.submit()
        wait_until(lambda: notes.changes == 1, "the change to be heard")
        world.deliver(world.pop())
        wait_until(lambda: notes.changes >= 2, "more of it to be heard")
        world.follow()
    finally:
        world.close()


@pytest.mark.parametrize("broker", ["amqp://nobody@127.0.0.1:1//", "sentinel://127.0.0.1:1"])
def test_other_brokers_carry_no_wakeups_but_threads_still_hear(broker: str, tmp_path: Path) -> None:
    world = ViewWorld(tmp_path, broker_url=broker)
    notes = Notes()
    with capture_logs() as entries:
        world.hoard.wakeups.listen(notes)
        world.submit()
        wait_until(lambda: notes.changes == 1, "the change to be heard")
        world.close()
    assert entries == []


def test_a_listener_hears_nothing_twice_of_its_own_process(
    told: ProcessWakeups, heard: ProcessWakeups
) -> None:
    own, others = listening(told), listening(heard)
    told.changed()
    told.progress(JOB, 1, 2)
    wait_until(lambda: others.steps, "the step to be heard")
    # What others tell comes over the same connection, after what this process told itself.
    heard.progress(JOB, 2, 2)
    wait_until(lambda: len(own.steps) > 1, "the answer")
    assert (own.changes, own.steps) == (1, [(JOB, 1, 2), (JOB, 2, 2)])
    assert (others.changes, others.steps) == (1, [(JOB, 1, 2), (JOB, 2, 2)])


def test_twenty_thousand_commits_are_few_messages(
    told: ProcessWakeups, heard: ProcessWakeups, redis_url: str
) -> None:
    notes = listening(heard)
    with client_of(redis_url) as client:
        client.config_resetstat()
        for _ in range(20_000):
            told.changed()
        told.close()
        assert 1 <= published(client) < 2_000
        wait_until(lambda: notes.changes == published(client), "all of them to be heard")


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"\xff\x00",
        b"null",
        b"[]",
        b'{"job": 7}',
        b'{"sender": "a", "job": "b", "step": 1, "steps": 2}',
        f'{{"sender": "a", "job": "{JOB}", "step": 0, "steps": 2}}'.encode(),
        f'{{"sender": "a", "job": "{JOB}", "step": 3, "steps": 2}}'.encode(),
        f'{{"sender": "a", "job": "{JOB}", "step": 1, "steps": 1e400}}'.encode(),
        f'{{"sender": "{2_000 * "a"}", "job": "{JOB}", "step": 5, "steps": 9}}'.encode(),
        b"[" * 900,
    ],
)
def test_rubbish_on_the_channel_is_passed_over(
    rubbish: bytes, told: ProcessWakeups, heard: ProcessWakeups, redis_url: str
) -> None:
    notes = listening(heard)
    with capture_logs() as entries, client_of(redis_url) as client:
        assert client.publish(PROGRESS, rubbish)
        assert client.publish(CHANGED, rubbish)
        told.progress(JOB, 1, 2)
        wait_until(lambda: notes.steps, "the step to be heard")
    # Whatever comes over the other channel means a look at the log, which harms nobody.
    assert (notes.changes, notes.steps, entries) == (1, [(JOB, 1, 2)], [])


def test_installations_with_a_database_each_do_not_wake_each_other(
    heard: ProcessWakeups, told: ProcessWakeups, redis_url: str
) -> None:
    notes = listening(heard)
    with wakeups_at(f"{redis_url}?virtual_host=3") as elsewhere:
        theirs = listening(elsewhere)
        elsewhere.changed()
        elsewhere.progress(JOB, 1, 9)
        wait_until(lambda: theirs.steps, "their own step")
        elsewhere.close()
        told.progress(JOB, 1, 2)
        wait_until(lambda: notes.steps, "the step to be heard")
        assert (notes.changes, notes.steps) == (0, [(JOB, 1, 2)])
        assert theirs.steps == [(JOB, 1, 9)]


def test_a_redis_that_is_killed_and_comes_back_is_found_again(own_redis: RedisServer) -> None:
    with wakeups_at(own_redis.url) as told, wakeups_at(own_redis.url) as heard:
        notes = listening(heard)
        for _ in range(3):
            with capture_logs() as entries:
                own_redis.stop()
                tell_until_logged(told, entries, "wake-ups not sent")
                until_logged(entries, "wake-ups not received")
                own_redis.start()
                tell_until_logged(told, entries, "wake-ups sent again")
                until_logged(entries, "wake-ups received again")
            assert len([each for each in entries if " not " in each["event"]]) == 2
        heard_so_far = len(notes.steps)
        told.progress(JOB, 2, 2)
        wait_until(lambda: len(notes.steps) > heard_so_far, "the last step")
        assert notes.changes >= 3


def test_a_connection_that_was_cut_costs_no_wakeup(
    told: ProcessWakeups, heard: ProcessWakeups, redis_url: str
) -> None:
    notes = listening(heard)
    told.progress(JOB, 1, 9)
    wait_until(lambda: notes.steps, "the first step")
    with client_of(redis_url) as client:
        assert client.client_kill_filter(_type="normal", skipme=True) == 1
    told.progress(JOB, 2, 9)
    wait_until(lambda: len(notes.steps) == 2, "the second step")


def test_a_redis_that_hangs_holds_nobody_up_and_is_noticed(own_redis: RedisServer) -> None:
    with (
        wakeups_at(own_redis.url, check_seconds=1) as told,
        wakeups_at(own_redis.url, check_seconds=1) as heard,
        capture_logs() as entries,
    ):
        notes, own = listening(heard), listening(told)
        with client_of(own_redis.url) as client:
            server: int = client.info("server")["process_id"]
        os.kill(server, signal.SIGSTOP)
        told.changed()
        wait_until(lambda: own.changes, "the thread beside to hear")
        # A minute later its full socket would tell anybody.
        until_logged(entries, "wake-ups not received", seconds=30)
        until_logged(entries, "wake-ups not sent")
        os.kill(server, signal.SIGCONT)
        until_logged(entries, "wake-ups received again")
        tell_until_logged(told, entries, "wake-ups sent again")
        wait_until(lambda: notes.steps, "the step to be heard")


def test_a_forked_child_tells_by_itself_and_takes_nothing_from_its_parent(
    told: ProcessWakeups, heard: ProcessWakeups
) -> None:
    notes, own = listening(heard), listening(told)
    told.progress(JOB, 1, 9)
    wait_until(lambda: notes.steps and own.steps, "the first step")

    child = os.fork()
    if child == 0:
        alive = {thread.name for thread in threading.enumerate()}
        told.progress(JOB, 2, 9)
        told.close()
        os._exit(0 if alive == {threading.current_thread().name} and len(own.steps) == 1 else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    # The parent hears its child as it hears anybody else.
    wait_until(lambda: len(notes.steps) == len(own.steps) == 2, "the child's step")
    told.progress(JOB, 3, 9)
    wait_until(lambda: len(notes.steps) == len(own.steps) == 3, "the parent's next step")
    heard.progress(JOB, 4, 9)
    wait_until(lambda: len(own.steps) == 4, "the parent to hear others")
    assert notes.steps == own.steps == [(JOB, step, 9) for step in (1, 2, 3, 4)]


def published(client: redis.Redis) -> int:
    """Return how many messages were published since the figures were set to zero."""
    figures: dict[str, dict[str, int]] = client.info("commandstats")
    return figures.get("cmdstat_publish", {}).get("calls", 0)


def until_logged(
    entries: Sequence[MutableMapping[str, Any]], event: str, seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until something was logged."""
    wait_until(lambda: event in [entry["event"] for entry in entries], event, seconds)


def tell_until_logged(
    wakeups: ProcessWakeups, entries: Sequence[MutableMapping[str, Any]], event: str
) -> None:
    """Tell of a step again and again until something was logged."""

    def is_logged() -> bool:
        wakeups.progress(JOB, 1, 2)
        return event in [entry["event"] for entry in entries]

    wait_until(is_logged, event)
