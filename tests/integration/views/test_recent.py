"""What the last minute and hour made, and the modes of the service: exact, and recomputable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.return_codes import Refused
from domain.service.modes import HORDE_ID, Modes
from projections.following.rebuild import rebuild, verify
from projections.service.modes import ModesReader, ModesView
from projections.statistics.apply import StatisticsView
from projections.statistics.recent import RecentStatistics
from projections.statistics.tables import STATISTICS_RECENT
from tests.view_world import ViewWorld

PIXELSTEPS = 20 * 512 * 512


class HandSeconds:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def make(world: ViewWorld, images: int, model: str = "A") -> None:
    world.submit(images, models=(model,))
    world.deliver(world.pop())
    world.follow()


def test_what_was_made_lately_fades_ten_seconds_by_ten_seconds(world: ViewWorld) -> None:
    statistics, now = world.hoard.views.statistics, world.clock.now
    minute, hour = timedelta(minutes=1), timedelta(hours=1)
    make(world, 2)
    world.clock.advance(timedelta(seconds=50))
    make(world, 3, "B")
    made = statistics.recent(now() - minute)
    assert (made.images, made.pixelsteps) == (5, 5 * PIXELSTEPS)
    world.clock.advance(timedelta(seconds=10))
    assert statistics.recent(now() - minute).images == 3
    assert statistics.recent(now() - hour).images == 5
    world.clock.advance(timedelta(minutes=59))
    assert statistics.recent(now() - hour).images == 3
    world.clock.advance(hour)
    assert statistics.recent(now() - hour).images == 0


def test_the_ring_stays_as_small_as_it_is_and_the_log_alone_decides_it(world: ViewWorld) -> None:
    for _ in range(3):
        make(world, 1)
        # Exactly once around: the new step takes the old one's slot.
        world.clock.advance(timedelta(seconds=4000))
    make(world, 2)
    with world.hoard.storage.view_database.reading() as connection:
        rows = connection.execute(STATISTICS_RECENT.select()).all()
    assert [row.images for row in rows] == [2]
    report = verify(StatisticsView(), world.hoard.storage.log, world.hoard.storage.view_database)
    assert report.holds, report


def test_minutes_hours_days_and_months_are_told_together(world: ViewWorld) -> None:
    seconds = HandSeconds()
    lately = RecentStatistics(world.hoard.views.statistics, world.clock, seconds)
    for images, pause in [(1, 40 * 24), (2, 2 * 24), (3, 5), (4, 0.5)]:
        make(world, images)
        world.clock.advance(timedelta(hours=pause))
    make(world, 5, "B")
    totals = lately.totals()
    told = (totals.minute, totals.hour, totals.day, totals.month, totals.total)
    assert [made.images for made in told] == [5, 9, 12, 14, 15]
    by_model = lately.by_model()
    assert by_model.day == {"A": 7, "B": 5}
    assert by_model.month == {"A": 9, "B": 5}
    assert by_model.total == {"A": 10, "B": 5}

    make(world, 1)
    assert lately.totals() is totals
    seconds.seconds += 10
    assert lately.totals().total.images == 16


def test_modes_change_in_the_transaction_of_their_event(world: ViewWorld) -> None:
    ledger = world.hoard.ledger
    reader = ModesReader(world.hoard.storage.ledger_database)
    assert reader.now() == Modes()
    assert ledger.modes.change(maintenance=True, by=world.owner_id) == Modes(maintenance=True)
    reader.forget()
    assert reader.now() == Modes(maintenance=True)
    assert ledger.modes.change(invite_only=True, maintenance=False) == Modes(invite_only=True)
    assert ledger.modes.change(raid=True) == Modes(invite_only=True, raid=True)
    assert ledger.modes.change(raid=True) == Modes(invite_only=True, raid=True)
    reader.forget()
    assert reader.now() == Modes(invite_only=True, raid=True)

    events = [
        record.event
        for record in world.hoard.storage.log.committed_after(0, 1000)
        if record.event.originator_id == HORDE_ID
    ]
    assert [type(event).__name__ for event in events] == ["Founded"] + ["ModesChanged"] * 3
    assert verify(ModesView(), world.hoard.storage.log, world.hoard.storage.ledger_database).holds
    assert rebuild(ModesView(), world.hoard.storage.log, world.hoard.storage.ledger_database) == 1


def test_changing_no_mode_is_refused(world: ViewWorld) -> None:
    with pytest.raises(Refused, match="NoHordeModSelected"):
        world.hoard.ledger.modes.change()


def test_modes_are_remembered_for_a_second(world: ViewWorld) -> None:
    seconds = HandSeconds()
    reader = ModesReader(world.hoard.storage.ledger_database, seconds)
    assert reader.now() == Modes()
    world.hoard.ledger.modes.change(maintenance=True)
    assert reader.now() == Modes()
    seconds.seconds += 1
    assert reader.now() == Modes(maintenance=True)
