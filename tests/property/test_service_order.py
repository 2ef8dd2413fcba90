"""Whoever asks for work, and whatever waits: favourites first, then priority, then first come."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.roles import Roles
from domain.images.settings import ImageSettings
from domain.jobs.commands import PopJob, PoppedJob
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.return_codes import Refused
from domain.workers.matching import Capabilities, Requirements
from domain.workers.worker import Worker
from infrastructure.bootstrap import Hoard
from infrastructure.settings.environment import load_settings
from tests.prepared import assembled
from tests.world import ManualClock, SeededRandomSource

SETTINGS = ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1)
ACCOUNTS = 4


@dataclass(frozen=True)
class Wanted:
    """A request for one image."""

    who: int
    """0 is anonymous, 1 runs the worker."""
    priority: float
    models: tuple[str, ...]
    prompt: str


@dataclass(frozen=True)
class Pop:
    """A worker asks."""

    prioritised: frozenset[int]
    blacklist: tuple[str, ...]
    maintenance: bool


wishes = st.builds(
    Wanted,
    who=st.integers(0, ACCOUNTS - 1),
    priority=st.sampled_from([0.0, 0.0, 1.0, 2.0]),
    models=st.sampled_from([(), ("A",), ("A", "B"), ("B",)]),
    prompt=st.sampled_from(["a horse", "a zebra"]),
)
pops = st.builds(
    Pop,
    prioritised=st.frozensets(st.integers(0, ACCOUNTS - 1)),
    blacklist=st.sampled_from([(), (), ("zebra",)]),
    maintenance=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(
    rounds=st.lists(
        st.tuples(st.lists(wishes, min_size=2, max_size=6), st.lists(pops, min_size=1, max_size=4)),
        min_size=1,
        max_size=3,
    )
)
def test_the_order_of_service(rounds: list[tuple[list[Wanted], list[Pop]]]) -> None:
    steps: list[Wanted | Pop] = []
    for asked, popped in rounds:
        steps += [*asked, *popped]
    with tempfile.TemporaryDirectory() as folder:
        hoard = assembled(
            load_settings(data=folder, ledger_url="sqlite://"),
            clock=ManualClock(),
            random_source=SeededRandomSource(),
        )
        try:
            _follow(hoard, steps)
        finally:
            hoard.close()


def _follow(hoard: Hoard, steps: list[Wanted | Pop]) -> None:
    accounts = [ANONYMOUS_ID] + [
        hoard.ledger.accounts.open(f"account {number}", f"{number:064x}", Roles())
        for number in range(1, ACCOUNTS)
    ]
    waiting: dict[UUID, Wanted] = {}
    for step in steps:
        if isinstance(step, Wanted):
            waiting[_ask(hoard, accounts[step.who], step)] = step
            continue
        expected = _first_for(step, waiting)
        found = _pop(hoard, accounts, step)
        assert found == expected
        if found is not None:
            del waiting[found]


def _first_for(pop: Pop, waiting: dict[UUID, Wanted]) -> UUID | None:
    favourites = {1, *pop.prioritised}

    def rank(entry: tuple[int, tuple[UUID, Wanted]]) -> tuple[bool, float, int]:
        place, (_, wanted) = entry
        return wanted.who not in favourites, -wanted.priority, place

    for _, (request_id, wanted) in sorted(enumerate(waiting.items()), key=rank):
        served = wanted.who in favourites or not pop.maintenance
        refused = any(word in wanted.prompt for word in pop.blacklist)
        if served and not refused and (not wanted.models or "A" in wanted.models):
            return request_id
    return None


def _ask(hoard: Hoard, account_id: UUID, wanted: Wanted) -> UUID:
    request_id, _ = hoard.ledger.requests.submit(
        SubmitRequest(
            Requester(account_id),
            RequestSpecification(
                prompt=wanted.prompt,
                negative_prompt="",
                settings=SETTINGS,
                requirements=Requirements(wanted.models, 512 * 512, False, False, True, False),
                images=1,
            ),
            priority=wanted.priority,
        )
    )
    return request_id


def _pop(hoard: Hoard, accounts: list[UUID], pop: Pop) -> UUID | None:
    declared = Capabilities(
        ("A",), 1, 512 * 512, True, 1, False, "test:1:nobody", blacklist=pop.blacklist
    )
    entry = hoard.inline.directory.worker_by_name("worker")
    if entry is not None:
        worker: Worker = hoard.ledger.repository.get(entry.worker_id)
        worker.set_maintenance(pop.maintenance, message="", timestamp=ManualClock().now())
        hoard.ledger.save(worker)
    elif pop.maintenance:
        worker = Worker.register(
            UUID(int=7),
            name="worker",
            owner_id=accounts[1],
            kind=PopJob(accounts[1], False, "worker", declared).kind,
            capabilities=declared,
            timestamp=ManualClock().now(),
        )
        worker.set_maintenance(True, message="", timestamp=ManualClock().now())
        hoard.ledger.save(worker)
    command = PopJob(
        accounts[1],
        False,
        "worker",
        declared,
        prioritised=tuple(accounts[who] for who in sorted(pop.prioritised)),
    )
    try:
        found = hoard.ledger.jobs.pop(command)
    except Refused as refusal:
        if refusal.code.name != "WorkerMaintenance" or not pop.maintenance:
            raise
        return None
    assert isinstance(found, PoppedJob) or not pop.maintenance
    return found.request_id if isinstance(found, PoppedJob) else None
