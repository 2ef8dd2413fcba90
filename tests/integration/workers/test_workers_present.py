"""What clients are told of the workers that are here, and workers of what waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.integration.api_client import MODEL, Api, serving


@pytest.fixture
def api(ledger_url: str | None, tmp_path: Path) -> Iterator[Api]:
    """A Hoard whose views follow at once."""
    with serving(tmp_path, database=ledger_url, follow=True, kudos_upfront=False) as api:
        yield api


def test_nobody_is_here(api: Api) -> None:
    asked = api.ask()
    assert asked.status == 202
    assert [warning["code"] for warning in asked.body["warnings"]] == ["NoAvailableWorker"]
    assert asked.body["message"] == asked.body["warnings"][0]["message"]
    assert not api.check(asked.body["id"])["is_possible"]


def test_a_worker_is_here(api: Api) -> None:
    api.pop()
    asked = api.ask()
    assert asked.body.keys() == {"id", "kudos"}
    assert api.check(asked.body["id"])["is_possible"]


def test_the_worker_that_is_here_may_not_serve_everything(api: Api) -> None:
    api.pop(max_pixels=512 * 512)
    assert "warnings" in api.ask(models=["another model"]).body
    assert "warnings" in api.ask(params={"width": 1024}).body
    assert "warnings" in api.ask(nsfw=True).body
    assert "warnings" in api.ask(trusted_workers=True).body
    assert "warnings" not in api.ask(models=[MODEL, "another model"]).body


def test_a_trusted_owner_makes_a_trusted_worker(api: Api) -> None:
    api.pop(key=api.key("friend", trusted=True))
    assert "warnings" not in api.ask(trusted_workers=True).body


def test_a_worker_that_went_away_is_not_here(api: Api) -> None:
    api.pop()
    api.clock.advance(timedelta(minutes=6))
    assert "warnings" in api.ask().body


def test_a_worker_is_told_to_censor(api: Api) -> None:
    api.pop()
    api.asked(censor_nsfw=True)
    assert api.popped()["payload"]["use_nsfw_censor"] is True


def test_a_worker_learns_why_there_is_nothing_for_it(api: Api) -> None:
    api.asked()
    api.deliver(api.popped(name="another")["ids"])
    api.ask(models=["another model"])
    api.ask(params={"width": 1024})
    api.ask(nsfw=True)
    api.ask(trusted_workers=True)
    api.ask(workers=["another"])
    api.ask()
    api.ask()
    nothing = api.pop(max_pixels=512 * 512, extra_slow_worker=True)
    assert nothing.body == {
        "payload": {},
        "id": None,
        "ids": [],
        "skipped": {
            "models": 1,
            "max_pixels": 1,
            "nsfw": 1,
            "untrusted": 1,
            "worker_id": 1,
            "performance": 2,
        },
        "messages": [],
    }


def test_a_worker_that_was_measured_as_slow_is_no_fast_one(api: Api) -> None:
    api.asked()
    job = api.popped()
    api.clock.advance(timedelta(seconds=100))
    api.deliver(job["ids"])
    api.asked(slow_workers=False)
    assert api.pop().body["skipped"] == {"performance": 1}
    assert api.popped(name="another")


def test_those_who_wait_know_how_many_are_before_them(api: Api) -> None:
    checks = [api.check(request_id) for request_id in [api.asked(n=2) for _ in range(3)]]
    assert [check["queue_position"] for check in checks] == [1, 2, 3]
    waits = [check["wait_time"] for check in checks]
    assert waits == sorted(set(waits))


def test_what_is_being_made_is_waited_for_too(api: Api) -> None:
    request_id = api.asked(n=2)
    first, _ = api.popped()["ids"]
    both = api.check(request_id)
    assert (both["queue_position"], both["is_possible"]) == (0, True)
    api.deliver([first])
    assert 0 < api.check(request_id)["wait_time"] < both["wait_time"]
