"""A worker that says what it has loaded is spared a swap, and nobody starves for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from domain.accounts.roles import Roles
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from tests.view_world import LARGE, ViewWorld

ONE_BY_ONE = replace(LARGE, amount=1)


def popped(
    world: ViewWorld,
    loaded: str | None,
    worker: str = "worker",
    *,
    for_friend: UUID | None = None,
) -> PoppedJob:
    """Let a worker that has this model in memory take a job."""
    found = world.hoard.ledger.jobs.pop(
        PopJob(
            world.owner_id,
            True,
            worker,
            ONE_BY_ONE,
            prioritised=(for_friend,) if for_friend else (),
            loaded_model=loaded,
        )
    )
    assert not isinstance(found, NoJob)
    return found


def test_what_needs_no_swap_comes_first(world: ViewWorld) -> None:
    cold = world.submit(models=["A"])
    warm = world.submit(models=["B"])
    either = world.submit(models=["A", "B"])
    jobs = [popped(world, "B") for _ in range(3)]
    assert [job.request_id for job in jobs] == [warm, either, cold]
    assert [job.model for job in jobs] == ["B", "B", "A"]


def test_a_worker_that_does_not_say_is_served_in_order(world: ViewWorld) -> None:
    asked = [world.submit(models=[model]) for model in ("A", "B", "A", "B")]
    assert [popped(world, None).request_id for _ in asked] == asked


def test_a_model_that_it_does_not_offer_makes_no_difference(world: ViewWorld) -> None:
    asked = [world.submit(models=models) for models in (["A"], [], ["B"])]
    assert [popped(world, "C").request_id for _ in asked] == asked


def test_no_stream_of_warm_work_makes_anybody_wait_for_long(world: ViewWorld) -> None:
    cold = world.submit(models=["A"])
    started = world.clock.now()
    while True:
        world.submit(2, models=["B"])
        if popped(world, "B").request_id == cold:
            break
        assert world.clock.now() - started < timedelta(seconds=30)
        world.clock.advance(timedelta(seconds=3))
    assert world.clock.now() - started == timedelta(seconds=30)


def test_where_all_have_waited_long_a_worker_swaps_no_more_than_twice_a_minute(
    world: ViewWorld,
) -> None:
    for place in range(40):
        world.submit(models=["A" if place % 2 else "B"])
    world.clock.advance(timedelta(minutes=5))
    loaded, swaps = "A", 0
    for _ in range(20):
        job = popped(world, loaded)
        swaps += job.model != loaded
        loaded = job.model
        world.clock.advance(timedelta(seconds=6))
    assert 2 <= swaps <= 4


def test_a_higher_priority_of_another_account_is_not_passed(world: ViewWorld) -> None:
    high = world.hoard.ledger.accounts.open("high", "1" * 64, Roles())
    world.hoard.ledger.kudos.award(high, 1000.0, by=None, reason="a start")
    dear = world.submit(models=["A"], account_id=high)
    plain = world.submit(models=["B"])
    assert popped(world, "B").request_id == dear
    assert popped(world, "B").request_id == plain


def test_an_accounts_own_requests_may_pass_each_other(world: ViewWorld) -> None:
    """What is left of its kudos, and so its priority, is less with each of them."""
    high = world.hoard.ledger.accounts.open("high", "1" * 64, Roles())
    world.hoard.ledger.kudos.award(high, 1000.0, by=None, reason="a start")
    first, second = (world.submit(models=[model], account_id=high) for model in ("A", "B"))
    assert popped(world, "B").request_id == second
    assert popped(world, "B").request_id == first


def test_favourites_are_not_passed(world: ViewWorld) -> None:
    friend = world.hoard.ledger.accounts.open("friend", "1" * 64, Roles())
    warm = world.submit(models=["B"])
    own = world.submit(models=["A"], account_id=world.owner_id)
    friends = world.submit(models=["B"], account_id=friend)
    jobs = [popped(world, "B", for_friend=friend) for _ in range(3)]
    assert [job.request_id for job in jobs] == [friends, own, warm]


def test_only_what_has_just_come_is_passed_by_a_worker_that_has_long_had_its_model(
    world: ViewWorld,
) -> None:
    world.submit(models=["B"])
    popped(world, "B")
    world.clock.advance(timedelta(minutes=1))
    old = world.submit(models=["A"])
    world.clock.advance(timedelta(seconds=30))
    fresh = world.submit(models=["A"])
    warm = [world.submit(models=["B"]) for _ in range(2)]
    jobs = [popped(world, "B").request_id for _ in range(4)]
    assert jobs == [old, *warm, fresh]
