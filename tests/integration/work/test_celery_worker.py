from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.paths import ROOT
from tests.servers import RedisServer
from tests.waiting import wait_until
from workers.broker.app import WORK_QUEUE, make_app
from workers.broker.wakeups import BrokerSender, BrokerWakeup


class Listener:
    """A Celery worker in a process of its own, that notes each wake-up."""

    def __init__(self, broker_url: str, folder: Path) -> None:
        self._broker_url = broker_url
        self._file = folder / "wakeups"
        self.log = folder / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, dies_until: int = 0, hangs: str = "") -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.integration.tracking.wakeup_listener"),
                    *(self._broker_url, str(self._file), str(dies_until), hangs),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: b" ready." in self.log.read_bytes(), "the worker to be ready")

    @property
    def hold(self) -> Path:
        """While this file exists, no task ends."""
        return self._file.with_name(f"{self._file.name}.hold")

    def wakeups(self) -> int:
        return len(self._file.read_text().splitlines()) if self._file.exists() else 0

    def notes(self) -> list[str]:
        return self._file.read_text().splitlines()

    def wait_for(self, wakeups: int) -> None:
        wait_until(lambda: self.wakeups() >= wakeups, f"{wakeups} wakeups")

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        process, self.process = self.process, None
        assert process is not None
        process.send_signal(with_signal)
        return process.wait(60)


@pytest.fixture
def listener(redis_url: str, tmp_path: Path) -> Iterator[Listener]:
    """A worker of the session's Redis."""
    made = Listener(redis_url, tmp_path)
    yield made
    if made.process is not None:
        made.stop(signal.SIGKILL)


@pytest.fixture
def own_listener(own_redis: RedisServer, tmp_path: Path) -> Iterator[Listener]:
    """A worker of the Redis that a test may kill."""
    made = Listener(own_redis.url, tmp_path)
    yield made
    if made.process is not None:
        made.stop(signal.SIGKILL)


def waiting(broker_url: str) -> int:
    """Return the wake-ups that nobody has taken yet."""
    client = redis.Redis(unix_socket_path=broker_url.removeprefix("redis+socket://"))
    try:
        return int(client.llen(WORK_QUEUE))
    finally:
        client.close()


def send_wakeup(broker_url: str) -> None:
    with BrokerWakeup(BrokerSender(make_app(broker_url))) as wakeup:
        wakeup.send()


def test_a_ring_wakes_the_worker(listener: Listener, redis_url: str) -> None:
    listener.start()

    send_wakeup(redis_url)

    listener.wait_for(1)
    assert listener.stop() == 0
    assert listener.wakeups() == 1


def test_one_unread_message_is_enough(listener: Listener, redis_url: str) -> None:
    for _ in range(5):
        send_wakeup(redis_url)
    assert waiting(redis_url) == 1

    listener.start()

    listener.wait_for(1)
    assert waiting(redis_url) == 0


def test_a_task_whose_process_died_is_handed_on(listener: Listener, redis_url: str) -> None:
    listener.start(dies_until=1)

    send_wakeup(redis_url)

    listener.wait_for(2)


def test_what_hangs_beyond_its_lease_is_interrupted_and_its_process_lives_on(
    listener: Listener, redis_url: str
) -> None:
    listener.start(hangs="soft")

    send_wakeup(redis_url)

    listener.wait_for(2)
    assert listener.notes() == ["woken", "interrupted"]
    send_wakeup(redis_url)
    listener.wait_for(3)
    assert listener.stop() == 0
    assert b"SIGKILL" not in listener.log.read_bytes()


def test_what_cannot_be_interrupted_is_killed_and_its_task_handed_on(
    listener: Listener, redis_url: str
) -> None:
    listener.start(hangs="hard")

    send_wakeup(redis_url)

    listener.wait_for(3)
    assert listener.notes() == ["woken", "interrupted", "woken"]
    assert b"SIGKILL" in listener.log.read_bytes()


def test_a_worker_finds_its_way_back_to_a_broker_that_lost_everything(
    own_redis: RedisServer, own_listener: Listener
) -> None:
    own_listener.start()
    send_wakeup(own_redis.url)
    own_listener.wait_for(1)

    own_redis.stop()
    own_redis.start()
    send_wakeup(own_redis.url)

    own_listener.wait_for(2)
    assert own_listener.stop() == 0


def test_a_worker_whose_broker_failed_during_a_task_gets_the_next_wakeup(
    own_redis: RedisServer, own_listener: Listener
) -> None:
    own_listener.hold.touch()
    own_listener.start()
    send_wakeup(own_redis.url)
    own_listener.wait_for(1)

    own_redis.stop()
    own_listener.hold.unlink()
    wait_until(lambda: b"Couldn't ack" in own_listener.log.read_bytes(), "the task to end")
    own_redis.start()
    send_wakeup(own_redis.url)

    own_listener.wait_for(2)
    assert own_listener.stop() == 0


def test_a_worker_stops_though_its_broker_is_gone(
    own_redis: RedisServer, own_listener: Listener
) -> None:
    own_listener.start()
    own_redis.stop()
    wait_until(lambda: b"onnection" in own_listener.log.read_bytes(), "the worker to notice")

    own_listener.stop()


def test_a_wakeup_for_a_broker_that_is_gone_returns_at_once(own_redis: RedisServer) -> None:
    own_redis.stop()
    sender = BrokerSender(make_app(own_redis.url))
    with pytest.raises(Exception, match=r".*"):
        sender.send()

    started = time.monotonic()
    send_wakeup(own_redis.url)
    assert time.monotonic() - started < 30


def test_a_wakeup_that_was_lost_is_sent_with_the_next(own_redis: RedisServer) -> None:
    with BrokerWakeup(BrokerSender(make_app(own_redis.url))) as wakeup:
        own_redis.stop()
        wakeup.send()
        own_redis.start()
        wakeup.send()
    assert waiting(own_redis.url) == 1
