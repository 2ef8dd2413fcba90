"""What a client that polls calls the counts that it has seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from api.tracking.long_polling import etag_of, matches
from projections.status.fold import RequestStatus

COUNTS: dict[str, Any] = {
    "finished": 1,
    "processing": 2,
    "waiting": 3,
    "restarted": 4,
    "done": False,
    "faulted": False,
}
ELSE: dict[str, Any] = {"kudos": 1.0, "priority": 0.0}


def tag(**changed: Any) -> str:
    return etag_of(cast(RequestStatus, SimpleNamespace(**(ELSE | COUNTS | changed))))


@pytest.mark.parametrize("name", COUNTS)
def test_each_count_changes_the_tag(name: str) -> None:
    assert tag(**{name: COUNTS[name] + 1}) != tag()


@pytest.mark.parametrize("name", ELSE)
def test_nothing_else_changes_it(name: str) -> None:
    assert tag(**{name: 99}) == tag()


@pytest.mark.parametrize(
    "given", [tag(), tag().removeprefix("W/"), f'"other", {tag()}', f'{tag()},W/"x"', "*"]
)
def test_a_tag_is_known_again(given: str) -> None:
    assert matches(given, tag())


@pytest.mark.parametrize(
    "given", ["", '"other"', "W/", tag(finished=2), tag()[:-2], "\N{DIGIT ONE}"]
)
def test_another_one_is_not(given: str) -> None:
    assert not matches(given, tag())
