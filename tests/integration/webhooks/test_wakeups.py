"""Wake-ups for webhooks: they reach those who send them, whatever becomes of the broker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.paths import ROOT
from tests.servers import RedisServer
from tests.waiting import wait_until
from workers.broker.app import WEBHOOK_QUEUE, WEBHOOK_TASK, WORK_QUEUE, make_app
from workers.broker.wakeups import BrokerSender, BrokerWakeup


class Ears:
    """A sender's ears, in a process of their own."""

    def __init__(self, broker_url: str, folder: Path) -> None:
        self._file = folder / "woken"
        self.log = folder / "ears.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.integration.webhooks.webhook_wakeup_listener"),
                    *(broker_url, str(self._file)),
                ],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def woken(self) -> int:
        return len(self._file.read_text().splitlines()) if self._file.exists() else 0

    def logs(self, word: bytes) -> int:
        return self.log.read_bytes().count(word)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def ears(own_redis: RedisServer, tmp_path: Path) -> Iterator[Ears]:
    made = Ears(own_redis.url, tmp_path)
    try:
        wait_until(lambda: made.logs(b" ready."), "the ears to be open")
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def send_wakeup(own_redis: RedisServer) -> None:
    sender = BrokerSender(make_app(own_redis.url), queue=WEBHOOK_QUEUE, task=WEBHOOK_TASK)
    with BrokerWakeup(sender) as wakeup:
        wakeup.send()


def waiting(own_redis: RedisServer, queue: str) -> int:
    path = own_redis.url.removeprefix("redis+socket://")
    with redis.Redis(unix_socket_path=path) as client:
        return int(client.llen(queue))


def test_a_ring_wakes_a_sender_and_no_worker(own_redis: RedisServer, ears: Ears) -> None:
    send_wakeup(own_redis)
    wait_until(lambda: ears.woken() == 1, "the wake-up")
    assert waiting(own_redis, WEBHOOK_QUEUE) == waiting(own_redis, WORK_QUEUE) == 0
    assert ears.stop() == 0


def test_a_wakeup_for_workers_wakes_no_sender(own_redis: RedisServer, ears: Ears) -> None:
    with BrokerWakeup(BrokerSender(make_app(own_redis.url))) as wakeup:
        wakeup.send()
    assert waiting(own_redis, WORK_QUEUE) == 1
    send_wakeup(own_redis)
    wait_until(ears.woken, "the right wake-up")
    assert ears.woken() == 1
    assert waiting(own_redis, WORK_QUEUE) == 1


def test_one_unread_message_is_enough(own_redis: RedisServer) -> None:
    for _ in range(5):
        send_wakeup(own_redis)
    assert waiting(own_redis, WEBHOOK_QUEUE) == 1


def test_after_the_broker_was_away_wakeups_arrive_again(own_redis: RedisServer, ears: Ears) -> None:
    send_wakeup(own_redis)
    wait_until(lambda: ears.woken() == 1, "the first wake-up")
    own_redis.stop()
    wait_until(lambda: ears.logs(b"Cannot connect"), "the broker to be missed")
    own_redis.start()
    # What is sent before the ears are open again waits in the queue.
    send_wakeup(own_redis)
    wait_until(lambda: ears.woken() == 2, "the second wake-up")


def test_a_sender_ends_in_order_while_the_broker_is_away(
    own_redis: RedisServer, ears: Ears
) -> None:
    own_redis.stop()
    wait_until(lambda: ears.logs(b"Cannot connect"), "the broker to be missed")
    assert ears.stop() == 0
