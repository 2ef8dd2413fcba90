from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from infrastructure.wakeups.broadcast import ChannelListener, ProcessWakeups, Step
from tests.waiting import wait_until

DEADLINE_SECONDS = 30
FIRST, SECOND = UUID(int=1), UUID(int=2)


@dataclass
class Gate:
    """A carrier that waits to be let through, and fails when told to."""

    fails: bool = False
    tried: int = 0
    sent: list[tuple[bool, tuple[Step, ...]]] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    open: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    heard_by: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    hearing_ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_leave: threading.Event = field(default_factory=threading.Event)
    disconnected: bool = False
    listener: ChannelListener | None = None

    def send(self, changed: bool, steps: Sequence[Step]) -> None:
        self.tried += 1
        self.arrived.release()
        assert self.open.acquire(timeout=DEADLINE_SECONDS)
        if self.fails:
            raise ConnectionError("no broker")
        self.sent.append((changed, tuple(steps)))

    def receive(self, listener: ChannelListener, is_wanted: Callable[[], bool]) -> None:
        if self.fails:
            raise ConnectionError("no broker")
        self.listener = listener
        listener.subscribed()
        self.heard_by.release()
        wait_until(lambda: not is_wanted() or self.fails, "nobody to listen")
        self.hearing_ended.release()
        assert self.may_leave.wait(DEADLINE_SECONDS)
        if self.fails:
            raise ConnectionError("no broker")

    def disconnect(self) -> None:
        self.disconnected = True

    def forked(self) -> None:
        raise AssertionError("nobody forks here")

    def wait_for_arrival(self) -> None:
        assert self.arrived.acquire(timeout=DEADLINE_SECONDS)

    def let_through(self, messages: int) -> None:
        self.open.release(messages)


@dataclass
class Notes:
    """What somebody heard."""

    changes: int = 0
    steps: list[tuple[UUID, int, int]] = field(default_factory=list)
    breaks: bool = False

    def changed(self) -> None:
        self.changes += 1
        if self.breaks:
            raise RuntimeError("the loop is closed")

    def progress(self, job_id: UUID, step: int, steps: int) -> None:
        self.steps.append((job_id, step, steps))


@pytest.fixture
def gate() -> Gate:
    made = Gate()
    made.may_leave.set()
    return made


@pytest.fixture
def wakeups(gate: Gate) -> Iterator[ProcessWakeups]:
    made = ProcessWakeups(gate)
    yield made
    gate.let_through(1_000)
    made.close()


def test_what_is_told_while_a_message_is_on_its_way_is_one_further_message(
    gate: Gate, wakeups: ProcessWakeups
) -> None:
    wakeups.changed()
    gate.wait_for_arrival()
    for _ in range(10_000):
        wakeups.changed()
    gate.let_through(1)
    gate.wait_for_arrival()
    gate.let_through(10)
    wakeups.close()
    assert gate.sent == [(True, ()), (True, ())]
    assert gate.disconnected


def test_of_a_job_only_the_latest_step_is_told(gate: Gate, wakeups: ProcessWakeups) -> None:
    wakeups.progress(FIRST, 1, 30)
    gate.wait_for_arrival()
    wakeups.progress(SECOND, 7, 8)
    for step in range(2, 31):
        wakeups.progress(FIRST, step, 30)
    gate.let_through(1_000)
    wakeups.close()
    assert gate.sent == [
        (False, (Step(FIRST, 1, 30),)),
        (False, (Step(SECOND, 7, 8), Step(FIRST, 30, 30))),
    ]


def test_a_carrier_that_hangs_holds_up_no_memory(gate: Gate, wakeups: ProcessWakeups) -> None:
    wakeups.changed()
    gate.wait_for_arrival()
    for job in range(10_000):
        wakeups.progress(UUID(int=job), 1, 2)
    gate.let_through(1_000)
    wakeups.close()
    assert len(gate.sent[1][1]) == 1_000


def test_a_flood_is_few_messages_and_closing_waits_for_no_rest(
    gate: Gate, wakeups: ProcessWakeups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.wakeups.broadcast._MESSAGE_INTERVAL_SECONDS", 1_000)
    gate.let_through(1_000)
    wakeups.changed()
    wait_until(lambda: gate.sent, "the first message")
    for step in range(1, 20_001):
        wakeups.changed()
        wakeups.progress(FIRST, step, 20_000)
    wakeups.close()
    assert gate.sent == [(True, ()), (True, (Step(FIRST, 20_000, 20_000),))]


def test_telling_never_raises_and_trouble_is_logged_once_until_it_is_over(
    gate: Gate, wakeups: ProcessWakeups
) -> None:
    gate.fails = True
    gate.let_through(1_000)
    with capture_logs() as entries:
        tell_until(wakeups, lambda: gate.tried >= 3)
        gate.fails = False
        tell_until(wakeups, lambda: bool(gate.sent))
        wakeups.close()
    assert [(entry["log_level"], entry["event"]) for entry in entries] == [
        ("info", "wake-ups not sent"),
        ("info", "wake-ups sent again"),
    ]


def test_a_carrier_that_fails_is_left_alone_for_a_while(
    gate: Gate, wakeups: ProcessWakeups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.wakeups.broadcast.time.monotonic", lambda: 100.0)
    gate.fails = True
    gate.let_through(1_000)
    notes = Notes()
    wakeups.listen(notes)
    tell_until(wakeups, lambda: notes.changes >= 10)
    assert gate.tried == 1


def test_threads_of_this_process_hear_without_any_carrier() -> None:
    wakeups, notes, others = ProcessWakeups(), Notes(), Notes()
    end = wakeups.listen(notes)
    wakeups.listen(others)
    wakeups.changed()
    wakeups.progress(FIRST, 2, 3)
    wait_until(lambda: notes.steps and others.steps, "both to hear")
    assert (notes.changes, notes.steps) == (1, [(FIRST, 2, 3)])
    end()
    end()
    wakeups.changed()
    wakeups.close()
    assert (notes.changes, others.changes) == (1, 2)


def test_who_fails_at_hearing_keeps_nobody_else_from_it() -> None:
    wakeups, first, second = ProcessWakeups(), Notes(breaks=True), Notes()
    wakeups.listen(first)
    wakeups.listen(second)
    with capture_logs() as entries:
        wakeups.changed()
        wait_until(lambda: second.changes, "the second to hear")
        wakeups.changed()
        wakeups.close()
    assert (first.changes, second.changes) == (2, 2)
    assert {entry["event"] for entry in entries} == {"wake-up listener failed"}


def test_with_nobody_to_tell_no_thread_is_started() -> None:
    wakeups = ProcessWakeups()
    before = threading.active_count()
    wakeups.changed()
    wakeups.progress(FIRST, 1, 2)
    assert threading.active_count() == before
    notes = Notes()
    wakeups.listen(notes)
    wakeups.changed()
    wakeups.close()
    assert notes.changes == 1
    assert notes.steps == []


def test_others_are_heard_by_one_thread_for_as_long_as_anybody_listens(
    gate: Gate, wakeups: ProcessWakeups
) -> None:
    first, second = Notes(), Notes()
    end_first = wakeups.listen(first)
    end_second = wakeups.listen(second)
    assert gate.heard_by.acquire(timeout=DEADLINE_SECONDS)
    assert gate.listener is not None
    gate.listener.progress(SECOND, 1, 2)
    assert first.steps == second.steps == [(SECOND, 1, 2)]
    end_first()
    gate.listener.changed()
    assert not gate.heard_by.acquire(blocking=False)
    end_second()
    assert gate.hearing_ended.acquire(timeout=DEADLINE_SECONDS)
    third = Notes()
    wakeups.listen(third)
    assert gate.heard_by.acquire(timeout=DEADLINE_SECONDS)
    gate.listener.progress(FIRST, 1, 2)
    assert (first.steps, third.steps) == ([(SECOND, 1, 2)], [(FIRST, 1, 2)])


def test_who_comes_while_the_last_one_goes_is_heard_by_one_thread(
    gate: Gate, wakeups: ProcessWakeups
) -> None:
    before = set(listening_threads())
    gate.may_leave.clear()
    end = wakeups.listen(Notes())
    assert gate.heard_by.acquire(timeout=DEADLINE_SECONDS)
    end()
    assert gate.hearing_ended.acquire(timeout=DEADLINE_SECONDS)
    notes = Notes()
    wakeups.listen(notes)
    wait_until(lambda: notes.changes, "the new one to hear")
    gate.may_leave.set()
    wait_until(lambda: len(set(listening_threads()) - before) == 1, "the first thread to end")
    assert notes.changes == 1


def test_after_every_interruption_everybody_hears_of_a_change(
    gate: Gate, wakeups: ProcessWakeups
) -> None:
    notes = Notes()
    with capture_logs() as entries:
        wakeups.listen(notes)
        assert gate.heard_by.acquire(timeout=DEADLINE_SECONDS)
        assert notes.changes == 1
        gate.fails = True
        assert gate.hearing_ended.acquire(timeout=DEADLINE_SECONDS)
        wait_until(lambda: entries, "the trouble to be noticed")
        gate.fails = False
        assert gate.heard_by.acquire(timeout=DEADLINE_SECONDS)
        wakeups.close()
    assert notes.changes == 2
    assert [(entry["log_level"], entry["event"]) for entry in entries] == [
        ("info", "wake-ups not received"),
        ("info", "wake-ups received again"),
    ]


def test_once_closed_nothing_is_told_or_heard(gate: Gate) -> None:
    wakeups, notes = ProcessWakeups(gate), Notes()
    wakeups.close()
    wakeups.listen(notes)()
    wakeups.listen(notes)
    wakeups.changed()
    wakeups.progress(FIRST, 1, 2)
    assert (gate.tried, notes.changes, notes.steps) == (0, 0, [])
    wait_until(lambda: not listening_threads(), "no thread to listen")


def tell_until(wakeups: ProcessWakeups, happened: Callable[[], bool]) -> None:
    """Tell of changes again and again until something happened."""

    def has_happened() -> bool:
        wakeups.changed()
        return happened()

    wait_until(has_happened, "what telling brings about")


def listening_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "wakeups received"]
