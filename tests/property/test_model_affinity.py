"""Whatever waits and whatever workers have loaded: a swap is spared, within the rule's limits."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.roles import Roles
from domain.images.settings import ImageSettings
from domain.jobs.commands import PopJob, PoppedJob
from domain.jobs.model_affinity import PATIENCE, LoadedModel, loaded_model_first
from domain.jobs.queue import Offer
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Capabilities, Requirements, model_for
from infrastructure.bootstrap import Hoard
from infrastructure.settings.environment import load_settings
from tests.prepared import assembled
from tests.world import ManualClock, SeededRandomSource

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANYBODY = Capabilities(("A", "B", "C"), 1, 512 * 512, True, 1, False, "test:1:nobody")
ACCOUNTS = 3
PACE = timedelta(seconds=5)
"""How long a worker takes for a job."""

ago = st.sampled_from([0, 10, 29, 30, 31, 60]).map(lambda seconds: NOW - timedelta(seconds=seconds))
wanted_models = st.sampled_from([(), ("A",), ("A", "B"), ("B",), ("C",)])
accounts = st.integers(0, ACCOUNTS - 1)
offers = st.builds(
    Offer,
    lane=st.integers(0, 2**63 - 1),
    account_id=st.none(),
    models=wanted_models,
    requester_id=accounts.map(lambda number: UUID(int=number)),
    priority=st.sampled_from([0.0, 0.0, 1.0]),
    waiting_since=ago,
)
preferred_offers = offers.map(
    lambda offer: Offer(
        offer.lane,
        offer.requester_id,
        offer.models,
        offer.requester_id,
        offer.priority,
        offer.waiting_since,
    )
)


def _in_rank_order(some: list[Offer]) -> list[Offer]:
    return sorted(some, key=lambda offer: (offer.account_id is None, -offer.priority))


queues = st.lists(
    offers | preferred_offers, max_size=8, unique_by=lambda offer: (offer.lane, offer.account_id)
).map(_in_rank_order)
loads = st.builds(LoadedModel, name=st.sampled_from(["A", "B", "another"]), since=ago)


def _is_warm(offer: Offer, loaded: LoadedModel) -> bool:
    return model_for(ANYBODY, offer.models, loaded.name) == loaded.name


def _may_be_passed(better: Offer, other: Offer, loaded: LoadedModel) -> bool:
    """Say of two offers what the rule says, in other words than it does."""
    if _is_warm(better, loaded) or not _is_warm(other, loaded):
        return False
    both_alike = bool(better.account_id) == bool(other.account_id)
    fair = better.priority <= other.priority or better.requester_id == other.requester_id
    latest = max(better.waiting_since, loaded.since)
    return both_alike and fair and latest + timedelta(seconds=30) > NOW


@given(queue=queues)
def test_with_no_model_loaded_nothing_changes(queue: list[Offer]) -> None:
    assert list(loaded_model_first(queue, ANYBODY, None, NOW)) == queue


@given(queue=queues, loaded=loads)
def test_nobody_is_passed_but_by_the_rule(queue: list[Offer], loaded: LoadedModel) -> None:
    ordered = list(loaded_model_first(queue, ANYBODY, loaded, NOW))
    assert sorted(map(id, ordered)) == sorted(map(id, queue))
    for place, offer in enumerate(ordered):
        passed = queue[: queue.index(offer)]
        for better in passed:
            assert better in ordered[:place] or _may_be_passed(better, offer, loaded)


@given(queue=queues.filter(bool), loaded=loads)
def test_what_may_come_first_does(queue: list[Offer], loaded: LoadedModel) -> None:
    first_by_right, *others = [
        offer
        for place, offer in enumerate(queue)
        if all(_may_be_passed(better, offer, loaded) for better in queue[:place])
    ]
    expected = others[0] if others else first_by_right
    assert loaded_model_first(queue, ANYBODY, loaded, NOW)[0] == expected


@dataclass(frozen=True)
class Wanted:
    """A request for one image."""

    who: int
    """0 is anonymous, 1 runs the workers."""
    priority: float
    models: tuple[str, ...]
    submitted_at: datetime = NOW


@dataclass
class Machine:
    """A worker, as this test keeps track of it."""

    models: tuple[str, ...]
    loaded: str | None = None
    shown: str | None = None
    shown_at: datetime = NOW
    """When it first asked for work with that model loaded."""


wishes = st.builds(
    Wanted, who=accounts, priority=st.sampled_from([0.0, 0.0, 1.0]), models=wanted_models
)
steps = st.lists(
    wishes
    | st.integers(0, 1)  # the worker that asks
    | st.integers(1, 40).map(lambda seconds: timedelta(seconds=seconds)),
    min_size=10,
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(steps=steps)
def test_whole_histories(steps: list[Wanted | int | timedelta]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        hoard = assembled(
            load_settings(data=folder, ledger_url="sqlite://"),
            clock=clock,
            random_source=SeededRandomSource(),
        )
        try:
            history = History(hoard, clock)
            for step in steps:
                if isinstance(step, Wanted):
                    history.ask(step)
                elif isinstance(step, int):
                    history.pop(step)
                else:
                    clock.advance(step)
        finally:
            hoard.close()


class History:
    """A Hoard, and what must become of it."""

    def __init__(self, hoard: Hoard, clock: ManualClock) -> None:
        self.hoard, self.clock = hoard, clock
        self.accounts = [ANONYMOUS_ID] + [
            hoard.ledger.accounts.open(f"account {number}", f"{number:064x}", Roles())
            for number in range(1, ACCOUNTS)
        ]
        self.machines = (Machine(("A", "B", "C")), Machine(("A", "B")))
        self.waiting: dict[UUID, Wanted] = {}

    def ask(self, wanted: Wanted) -> None:
        """Ask for an image."""
        request_id, _ = self.hoard.ledger.requests.submit(
            SubmitRequest(
                Requester(self.accounts[wanted.who]),
                RequestSpecification(
                    prompt="a cat",
                    negative_prompt="",
                    settings=ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1),
                    requirements=Requirements(wanted.models, 512 * 512, False, False, True, False),
                    images=1,
                ),
                priority=wanted.priority,
            )
        )
        self.waiting[request_id] = Wanted(
            wanted.who, wanted.priority, wanted.models, self.clock.now()
        )

    def pop(self, number: int) -> None:
        """Let a machine ask for work, check what it gets, and let it take its time for it."""
        machine, now = self.machines[number], self.clock.now()
        if machine.loaded != machine.shown:
            machine.shown, machine.shown_at = machine.loaded, now
        found = self.hoard.ledger.jobs.pop(
            PopJob(
                self.accounts[1],
                False,
                f"worker {number}",
                Capabilities(machine.models, 1, 512 * 512, True, 1, False, "test:1:nobody"),
                loaded_model=machine.loaded,
            )
        )
        first = self._first_for(machine)
        if not isinstance(found, PoppedJob):
            assert first is None
            return
        assert first is not None
        served = self.waiting[found.request_id]
        if found.request_id != first:
            self._check_passed(machine, self.waiting[first], served)
        del self.waiting[found.request_id]
        if machine.loaded in machine.models and machine.loaded in (served.models or machine.models):
            assert found.model == machine.loaded
        machine.loaded = found.model
        self.clock.advance(PACE)

    def _check_passed(self, machine: Machine, first: Wanted, served: Wanted) -> None:
        assert machine.loaded in machine.models
        assert first.models
        assert machine.loaded not in first.models
        assert not served.models or machine.loaded in served.models
        assert (first.who == 1) == (served.who == 1)
        assert first.priority == served.priority or first.who == served.who
        # Who comes first by right may have had another model loaded meanwhile: that begins anew.
        assert self.clock.now() - max(first.submitted_at, machine.shown_at) < PATIENCE

    def _first_for(self, machine: Machine) -> UUID | None:
        def rank(entry: tuple[int, tuple[UUID, Wanted]]) -> tuple[bool, float, int]:
            place, (_, wanted) = entry
            return wanted.who != 1, -wanted.priority, place

        for _, (request_id, wanted) in sorted(enumerate(self.waiting.items()), key=rank):
            if not wanted.models or set(machine.models).intersection(wanted.models):
                return request_id
        return None
