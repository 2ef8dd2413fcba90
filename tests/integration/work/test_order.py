"""Who is served first, and by whom while a worker is in maintenance."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.workers.worker import Worker
from tests.integration.api_client import MODEL, Api


def handle(api: Api, name: str) -> str:
    """Return what clients know an account by, opening it first if need be."""
    api.key(name)
    entry = api.hoard.inline.directory.account_by_name(name)
    assert entry is not None
    return entry.handle


def prompts(api: Api, how_many: int, **fields: Any) -> list[str]:
    """Pop so many jobs and return their prompts."""
    return [api.popped(**fields)["payload"]["prompt"] for _ in range(how_many)]


def put_into_maintenance(api: Api, message: str = "") -> None:
    """Take the worker out of service as its owner does."""
    worker: Worker = api.hoard.ledger.repository.get(worker_id(api))
    worker.set_maintenance(True, message=message, timestamp=api.clock.now())
    api.hoard.ledger.save(worker)


def worker_id(api: Api) -> UUID:
    """Return the worker's id, registering it first if need be."""
    api.pop()
    entry = api.hoard.inline.directory.worker_by_name("a worker")
    assert entry is not None
    return entry.worker_id


def test_own_and_prioritised_accounts_come_first(api: Api) -> None:
    api.asked(prompt="anybody's")
    api.asked(api.key("friend"), prompt="a friend's")
    api.asked(api.key("owner"), prompt="my own", models=[MODEL])
    named = {"priority_usernames": [handle(api, "friend")]}
    assert sorted(prompts(api, 2, **named)) == ["a friend's", "my own"]
    assert prompts(api, 1, **named) == ["anybody's"]


def test_without_favourites_it_is_first_come_first_served(api: Api) -> None:
    for number in range(4):
        api.asked(prompt=str(number), models=[MODEL] if number % 2 else [])
    assert prompts(api, 4) == ["0", "1", "2", "3"]


def test_a_favourites_request_that_the_worker_may_not_have_stays(api: Api) -> None:
    api.asked(api.key("owner"), prompt="my own", models=["another model"])
    api.asked(prompt="anybody's")
    assert prompts(api, 1) == ["anybody's"]
    assert api.pop().body["id"] is None


def test_in_maintenance_it_serves_favourites_only(api: Api) -> None:
    put_into_maintenance(api, "the fan is loud")
    api.asked(prompt="anybody's")
    refused = api.pop()
    assert (refused.status, refused.rc) == (403, "WorkerMaintenance")
    assert "the fan is loud" in refused.body["message"]
    api.asked(api.key("owner"), prompt="my own")
    api.asked(api.key("friend"), prompt="a friend's")
    assert prompts(api, 1) == ["my own"]
    assert api.pop().rc == "WorkerMaintenance"
    assert prompts(api, 1, priority_usernames=[handle(api, "friend")]) == ["a friend's"]


def test_favourites_need_no_kudos_beforehand(api: Api) -> None:
    api.asked(prompt="anybody's")
    api.asked(api.key("owner"), prompt="my own")
    wary: dict[str, Any] = {"require_upfront_kudos": True}
    assert prompts(api, 1, **wary) == ["my own"]
    assert api.pop(**wary).body["id"] is None


def test_a_renamed_account_is_still_found_by_its_number(api: Api) -> None:
    number = handle(api, "friend").rpartition("#")[2]
    api.asked(prompt="anybody's")
    api.asked(api.key("friend"), prompt="a friend's")
    assert prompts(api, 1, priority_usernames=[f"Other#{number}"]) == ["a friend's"]


def test_many_prioritised_accounts(api: Api) -> None:
    names = [f"friend {number}" for number in range(20)]
    api.asked(prompt="anybody's")
    for name in names:
        api.asked(api.key(name), prompt=name)
    handles = [handle(api, name) for name in names]
    assert prompts(api, 21, priority_usernames=handles) == [*names, "anybody's"]
