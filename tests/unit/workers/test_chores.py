"""Chores: the failure of any one leaves all others running, and is logged by its name."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from infrastructure.bootstrap import assemble
from infrastructure.processes import projector, webhooks
from infrastructure.settings.environment import load_settings
from workers.chores.images import ImageDeletion
from workers.chores.runner import Chore, ChoreRunner

OF_THE_PROJECTOR = (
    "sweep",
    "forget idempotency keys",
    "forget uploads",
    "flag losing workers",
    "fold balances",
    "give trust",
    "delete unused images",
)


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Done:
    """Chores that note each round, before they do it; one of them may fail instead."""

    def __init__(self, *chores: Chore, failing: str | None = None) -> None:
        self.rounds: Counter[str] = Counter()
        self.failing = failing
        self.chores = [replace(chore, run=self._noted(chore)) for chore in chores]

    def _noted(self, chore: Chore) -> Callable[[], object]:
        def run() -> object:
            self.rounds[chore.name] += 1
            if chore.name == self.failing:
                raise ZeroDivisionError("a prompt that must not be logged")
            return chore.run()

        return run


def chore(name: str, every_seconds: float = 5.0) -> Chore:
    return Chore(name, lambda: None, every_seconds)


@pytest.fixture
def chores(tmp_path: Path) -> tuple[Chore, ...]:
    """All chores of the projector, of a real Hoard in memory."""
    settings = load_settings(data=tmp_path, ledger_url="sqlite://", views_url="sqlite://")
    return tuple(projector.chores_of(assemble(settings), lambda: None))


def test_these_are_the_chores_of_the_projector(chores: tuple[Chore, ...]) -> None:
    assert tuple(each.name for each in chores) == OF_THE_PROJECTOR


@pytest.mark.parametrize("failing", OF_THE_PROJECTOR)
def test_the_failure_of_any_one_leaves_the_others_running(
    chores: tuple[Chore, ...], failing: str
) -> None:
    seconds, done = Seconds(), Done(*chores, failing=failing)
    runner = ChoreRunner(done.chores, seconds)
    with capture_logs() as entries:
        for _ in range(3):
            runner.run_due()
            seconds.now += 60
    assert set(done.rounds) == set(OF_THE_PROJECTOR)
    others = {name: rounds for name, rounds in done.rounds.items() if name != failing}
    assert set(others.values()) == {3}
    failed = [entry for entry in entries if entry["event"] == "chore failed"]
    assert [(entry["chore"], entry["failures"]) for entry in failed] == [
        (failing, number) for number in range(1, len(failed) + 1)
    ]
    assert failed[0]["error"] == "ZeroDivisionError"
    assert any("in run" in place for place in failed[0]["where"])
    assert "prompt" not in str(entries)


def test_the_chore_of_the_webhook_sender_runs(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, ledger_url="sqlite://", views_url="sqlite://")
    done = Done(*webhooks.chores_of(assemble(settings)))
    with capture_logs() as entries:
        ChoreRunner(done.chores).run_due()
    assert done.rounds == {"sweep deliveries": 1}
    assert entries == []


def test_one_that_fails_again_and_again_is_tried_less_and_less_often() -> None:
    seconds, done = Seconds(), Done(chore("stuck"), failing="stuck")
    runner = ChoreRunner(done.chores, seconds)
    pauses = []
    for _ in range(6):
        pause = runner.run_due()
        pauses.append(pause)
        seconds.now += pause
    assert pauses == [5, 10, 20, 30, 30, 30]
    done.failing = None
    with capture_logs() as entries:
        assert runner.run_due() == 5
    assert [(entry["event"], entry["failures"]) for entry in entries] == [("chore done again", 6)]


def test_each_is_done_at_its_own_times() -> None:
    seconds, done = Seconds(), Done(chore("often", 5), chore("seldom", 60))
    runner = ChoreRunner(done.chores, seconds)
    for _ in range(24):
        assert runner.run_due() == 5
        seconds.now += 5
    assert done.rounds == {"often": 24, "seldom": 2}


def test_none_is_begun_once_it_is_to_stop() -> None:
    stop = threading.Event()
    done = Done(Chore("first", stop.set, 5), chore("second"))
    ChoreRunner(done.chores).run_until(stop)
    assert done.rounds == {"first": 1}


def test_images_are_deleted_part_by_part_whatever_happens_to_one() -> None:
    asked: list[tuple[int, float]] = []

    class Store:
        def delete_unused(self, part: int, seconds: float, /) -> int:
            asked.append((part, seconds))
            if part == 2:
                raise OSError
            return 0

    deletion = ImageDeletion(Store(), parts=4, days=2)
    seconds = Seconds()
    runner = ChoreRunner([Chore("delete", deletion.run, 5)], seconds)
    for _ in range(5):
        seconds.now += runner.run_due()
    assert [part for part, _ in asked] == [1, 2, 3, 0, 1]
    assert {seconds for _, seconds in asked} == {2 * 86_400.0}
