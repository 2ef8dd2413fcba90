from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from workers.broker.wakeups import BrokerWakeup

DEADLINE_SECONDS = 30


@dataclass
class Gate:
    """A sender that waits to be let through, and fails when told to."""

    fails: bool = False
    sent: int = 0
    closed: bool = False
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    open: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def send(self) -> None:
        self.arrived.release()
        assert self.open.acquire(timeout=DEADLINE_SECONDS)
        if self.fails:
            raise ConnectionError("no broker")
        self.sent += 1

    def close(self) -> None:
        self.closed = True

    def wait_for_arrival(self) -> None:
        assert self.arrived.acquire(timeout=DEADLINE_SECONDS)

    def let_through(self, messages: int) -> None:
        self.open.release(messages)


@pytest.fixture
def gate() -> Gate:
    return Gate()


def test_wakeups_while_a_message_is_on_its_way_become_one_message(gate: Gate) -> None:
    with BrokerWakeup(gate) as wakeup:
        wakeup.send()
        gate.wait_for_arrival()
        for _ in range(100):
            wakeup.send()
        gate.let_through(1)
        gate.wait_for_arrival()
        gate.let_through(10)
    assert gate.sent == 2
    assert gate.closed


def test_a_wakeup_is_never_lost_to_the_message_before_it(gate: Gate) -> None:
    with BrokerWakeup(gate) as wakeup:
        wakeup.send()
        gate.wait_for_arrival()
        wakeup.send()
        gate.let_through(1)
        gate.wait_for_arrival()
        gate.let_through(10)
    assert gate.sent == 2


def test_sending_never_raises_and_works_again_afterwards(gate: Gate) -> None:
    gate.fails = True
    with capture_logs() as entries, BrokerWakeup(gate) as wakeup:
        for _ in range(3):
            wakeup.send()
            gate.wait_for_arrival()
            gate.let_through(1)
        gate.let_through(10)
        gate.fails = False
    assert [entry["event"] for entry in entries if entry["log_level"] == "warning"] == [
        "wake-up not sent"
    ]


def test_a_closed_one_sends_nothing(gate: Gate) -> None:
    wakeup = BrokerWakeup(gate)
    wakeup.close()
    wakeup.send()
    assert gate.sent == 0
