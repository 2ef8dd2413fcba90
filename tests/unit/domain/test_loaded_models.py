"""What workers have loaded: since when, and which model a job is then made with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.jobs.model_affinity import LoadedModel
from domain.workers.matching import Capabilities, model_for
from infrastructure.workers.loaded_models import RememberedModels

START = datetime(2026, 1, 1, tzinfo=UTC)
WORKER, OTHER = UUID(int=1), UUID(int=2)
OFFERED = Capabilities(("A", "B"), 1, 512 * 512, True, 1, False, "test:1:nobody")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_time_counts_from_the_first_sight_of_a_model() -> None:
    loaded = RememberedModels()
    assert loaded.seen(WORKER, "A", START) == LoadedModel("A", START)
    assert loaded.seen(OTHER, "A", after(1)) == LoadedModel("A", after(1))
    assert loaded.seen(WORKER, "A", after(9)) == LoadedModel("A", START)


@pytest.mark.parametrize("between", ["B", None])
def test_it_starts_anew_when_the_model_was_away(between: str | None) -> None:
    loaded = RememberedModels()
    loaded.seen(WORKER, "A", START)
    loaded.seen(WORKER, between, after(1))
    assert loaded.seen(WORKER, "A", after(2)) == LoadedModel("A", after(2))


def test_a_worker_that_does_not_say_has_none() -> None:
    assert RememberedModels().seen(WORKER, None, START) is None


def test_a_thousand_workers_are_remembered() -> None:
    loaded = RememberedModels()
    for number in range(1001):
        loaded.seen(UUID(int=number), "A", START)
    assert loaded.seen(UUID(int=1), "A", after(1)) == LoadedModel("A", START)
    assert loaded.seen(UUID(int=0), "A", after(1)) == LoadedModel("A", after(1))


def test_a_job_is_made_with_the_loaded_model_where_the_request_allows_it() -> None:
    assert model_for(OFFERED, (), "B") == "B"
    assert model_for(OFFERED, ("A", "B"), "B") == "B"
    assert model_for(OFFERED, ("A",), "B") == "A"
    assert model_for(OFFERED, (), "not offered") == "A"
