"""The dispatcher: what it claims, in which threads it sends, and how it stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from structlog.testing import capture_logs

from tests.waiting import wait_until
from tests.world import ManualClock
from workers.webhooks.dispatcher import Dispatcher
from workers.webhooks.sender import NotAttempted

LIFETIME = timedelta(seconds=7)
NEVER = 3600.0


@dataclass(frozen=True)
class One:
    delivery_id: UUID


@dataclass
class Ledger:
    """Deliveries that are due, and who has them: both ports of a dispatcher."""

    due: list[UUID] = field(default_factory=list)
    claimed: list[UUID] = field(default_factory=list)
    released: list[UUID] = field(default_factory=list)
    asked: list[tuple[int, timedelta, int]] = field(default_factory=list)
    look_at: datetime | None = None
    failures: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def claim(self, *, slots: int, lifetime: timedelta, unproven: int) -> Sequence[One]:
        with self.guard:
            self.asked.append((slots, lifetime, unproven))
            if self.failures:
                self.failures -= 1
                raise ConnectionError("the database is away")
            taken, self.due = self.due[:slots], self.due[slots:]
            self.claimed += taken
        return [One(each) for each in taken]

    def release(self, delivery_id: UUID) -> None:
        with self.guard:
            self.released.append(delivery_id)

    def next_look(self, after: datetime) -> datetime | None:
        return self.look_at

    def add(self, deliveries: int = 1) -> list[UUID]:
        new = [uuid4() for _ in range(deliveries)]
        with self.guard:
            self.due += new
        return new


class Counted(Dispatcher):
    """One that counts how often it was woken."""

    wakes = 0

    def wake(self) -> None:
        self.wakes += 1
        super().wake()


def is_sending() -> bool:
    return any(thread.name == "delivery" for thread in threading.enumerate())


@contextmanager
def running(
    ledger: Ledger, send: Callable[[UUID], None], look_every: float = NEVER
) -> Iterator[Counted]:
    dispatcher = Counted(
        ledger,
        ledger,
        send,
        ManualClock(),
        claim_lifetime=LIFETIME,
        slots=4,
        poll_seconds=look_every,
    )
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop(60)


def test_what_is_due_is_claimed_sent_and_given_back() -> None:
    ledger = Ledger()
    sent: list[UUID] = []
    due = ledger.add(3)
    with running(ledger, sent.append):
        wait_until(lambda: len(ledger.released) == 3, "three deliveries")
    assert sorted(sent) == sorted(due) == sorted(ledger.released)
    assert ledger.asked[0] == (4, LIFETIME, 2)


def test_a_bell_makes_it_look_at_once() -> None:
    ledger = Ledger()
    sent: list[UUID] = []
    with running(ledger, sent.append) as dispatcher:
        wait_until(lambda: ledger.asked, "the first look")
        due = ledger.add()
        dispatcher.wake()
        wait_until(lambda: sent == due, "what was rung for")


def test_without_a_bell_it_looks_by_itself() -> None:
    ledger = Ledger()
    sent: list[UUID] = []
    with running(ledger, sent.append, look_every=0.01):
        wait_until(lambda: ledger.asked, "the first look")
        due = ledger.add()
        wait_until(lambda: sent == due, "what nobody rang for")


def test_it_looks_as_soon_as_something_may_be_sent() -> None:
    ledger = Ledger(look_at=ManualClock().now() + timedelta(milliseconds=1))
    with running(ledger, lambda _: None):
        wait_until(lambda: len(ledger.asked) > 2, "further looks")


def test_what_waited_behind_another_is_sent_when_that_has_ended() -> None:
    ledger = Ledger()
    sent: list[UUID] = []
    behind: list[UUID] = []

    def send(delivery_id: UUID) -> None:
        sent.append(delivery_id)
        if not behind:
            behind.extend(ledger.add())

    ledger.add()
    with running(ledger, send):
        wait_until(lambda: sent[1:] == behind != [], "the one behind")


def test_no_more_than_there_are_places_are_on_their_way() -> None:
    ledger, may_end = Ledger(), threading.Semaphore(0)
    ledger.add(10)
    together: list[int] = []

    def send(_: UUID) -> None:
        together.append(len(ledger.claimed) - len(ledger.released))
        may_end.acquire()

    with running(ledger, send) as dispatcher:
        wait_until(lambda: len(together) == 4, "every place to be taken")
        for ended in range(1, 11):
            dispatcher.wake()
            may_end.release()
            wait_until(lambda: len(ledger.released) == ended, "one more to end")  # noqa: B023
    assert max(together) == 4
    assert {slots for slots, _, _ in ledger.asked} <= {1, 2, 3, 4}


def test_one_that_hangs_keeps_one_place_and_nobody_else() -> None:
    ledger, go = Ledger(), threading.Event()
    sent: list[UUID] = []
    hanging = ledger.add(3)

    def send(delivery_id: UUID) -> None:
        if delivery_id in hanging:
            go.wait()
        sent.append(delivery_id)

    with running(ledger, send) as dispatcher:
        wait_until(lambda: len(ledger.claimed) == 3, "three to hang")
        others = ledger.add(20)
        dispatcher.wake()
        wait_until(lambda: len(sent) == 20, "all the others")
        assert sorted(sent) == sorted(others)
        go.set()


def test_a_try_that_breaks_stops_nobody_and_keeps_its_claim() -> None:
    ledger = Ledger()
    sent: list[UUID] = []
    [broken] = ledger.add()

    def send(delivery_id: UUID) -> None:
        if delivery_id == broken:
            raise ValueError("https://bot.example/hook?token=secret")
        sent.append(delivery_id)

    with capture_logs() as entries, running(ledger, send) as dispatcher:
        wait_until(lambda: entries, "a word about it")
        good = ledger.add()
        dispatcher.wake()
        wait_until(lambda: ledger.released == good, "the next delivery")
    assert sent == good
    [entry] = entries
    assert entry["delivery"] == str(broken)
    assert entry["error"] == "ValueError"
    assert "token" not in str(entry)


def test_where_there_is_no_room_it_is_given_back_and_not_taken_at_once() -> None:
    ledger = Ledger()
    busy = ledger.add()

    def send(_: UUID) -> None:
        raise NotAttempted

    with capture_logs() as entries, running(ledger, send) as dispatcher:
        wait_until(lambda: ledger.released == busy and not is_sending(), "it to be given back")
        assert dispatcher.wakes == 0
    assert entries == []


def test_a_database_that_is_away_is_asked_again() -> None:
    ledger = Ledger(failures=2)
    sent: list[UUID] = []
    due = ledger.add()
    with capture_logs() as entries, running(ledger, sent.append, look_every=0.01):
        wait_until(lambda: sent == due, "the database to be back")
    assert [entry["event"] for entry in entries] == ["deliveries not claimed"] * 2


def test_a_stop_waits_for_what_is_on_its_way_and_takes_nothing_more() -> None:
    ledger, go = Ledger(), threading.Event()
    sent: list[UUID] = []
    first = ledger.add()

    def send(delivery_id: UUID) -> None:
        go.wait()
        sent.append(delivery_id)

    with running(ledger, send) as dispatcher:
        wait_until(lambda: ledger.claimed, "the first to be on its way")
        assert not dispatcher.stop(0)
        ledger.add()
        dispatcher.wake()
        go.set()
        assert dispatcher.stop(60)
    assert sent == ledger.claimed == ledger.released == first
