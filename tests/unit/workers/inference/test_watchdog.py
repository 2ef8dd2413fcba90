"""A block that is not left in time is interrupted first, and then its process is ended."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from types import FrameType

import pytest

from infrastructure.system import SystemClock
from workers.inference.lease_watch import Watchdog, interrupt_this_process

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Dog:
    def __init__(self) -> None:
        self.interrupted, self.killed = threading.Event(), threading.Event()
        self.watchdog = Watchdog(SystemClock(), self.interrupted.set, self.killed.set)


def test_a_block_that_is_left_in_time_is_left_alone() -> None:
    dog = Dog()
    with dog.watchdog.until(lambda: SystemClock().now() + timedelta(hours=1)):
        pass
    assert not dog.interrupted.is_set()
    assert not dog.killed.is_set()


def test_what_hangs_is_interrupted_at_once_and_not_yet_killed() -> None:
    dog = Dog()
    with dog.watchdog.until(lambda: SystemClock().now()):
        assert dog.interrupted.wait(30)
    assert not dog.killed.is_set()


def test_what_goes_on_hanging_is_killed() -> None:
    dog = Dog()
    with dog.watchdog.until(lambda: LONG_AGO):
        assert dog.killed.wait(30)
    assert dog.interrupted.is_set()


def test_a_moment_that_moves_on_is_waited_for() -> None:
    dog = Dog()
    asked = threading.Event()
    moments = iter([timedelta(milliseconds=1), timedelta(hours=1)])

    def moment() -> datetime:
        by = next(moments, timedelta(hours=1))
        if by > timedelta(seconds=1):
            asked.set()
        return SystemClock().now() + by

    with dog.watchdog.until(moment):
        assert asked.wait(30)
    assert not dog.interrupted.is_set()


def test_the_interruption_is_raised_where_the_block_is() -> None:
    class Interrupted(Exception):
        pass

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    clock = SystemClock()
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(Interrupted), Watchdog(clock).until(clock.now):
            threading.Event().wait(30)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_where_nobody_handles_it_the_interruption_is_none() -> None:
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    interrupt_this_process()
    assert os.getpid()
