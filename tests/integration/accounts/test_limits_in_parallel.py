"""Limits are decided where they are recorded: parallel calls do not pass them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from domain.accounts.shared_key import KeyLimits
from domain.ledger.shared_keys import MOST_SHARED_KEYS
from domain.ledger.webhooks import MOST_ENDPOINTS
from domain.ledger.workers import WORKERS_OF_UNTRUSTED
from domain.return_codes import Refused
from projections.tracking.notifications import IMAGE
from tests.integration.api_client import Api

AT_ONCE = 8


def together(attempt: Callable[[int], object]) -> list[str]:
    """Make attempts at one moment; return how each ended: empty, or its return code."""
    barrier = threading.Barrier(AT_ONCE)

    def one(number: int) -> str:
        barrier.wait()
        try:
            attempt(number)
        except Refused as refused:
            return refused.code.name
        return ""

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sorted(pool.map(one, range(AT_ONCE)))


def account_id(api: Api, name: str) -> UUID:
    api.key(name)
    entry = api.hoard.inline.directory.account_by_name(name)
    assert entry is not None
    return entry.account_id


@pytest.mark.parametrize("room", [1, 3])
def test_webhook_endpoints(api: Api, room: int) -> None:
    account = account_id(api, "integrator")

    def add(number: int) -> object:
        return api.hoard.ledger.webhooks.register_endpoint(
            account, address=f"https://a.example/{number}", kinds=(IMAGE,)
        )

    for number in range(MOST_ENDPOINTS - room):
        add(number)
    assert together(add) == [""] * room + ["Forbidden"] * (AT_ONCE - room)
    assert api.hoard.inline.deliveries.count_of_endpoints(account) == MOST_ENDPOINTS


def test_shared_keys(api: Api) -> None:
    account = account_id(api, "lender")

    def lend(number: int) -> object:
        return api.hoard.ledger.shared_keys.issue(
            account, name="", key_digest=f"{number:03}" * 21 + "0", limits=KeyLimits()
        )

    for number in range(100, 100 + MOST_SHARED_KEYS - 1):
        lend(number)
    assert together(lend) == [""] + ["Forbidden"] * (AT_ONCE - 1)


def test_workers(api: Api) -> None:
    key = api.key("owner")
    for number in range(WORKERS_OF_UNTRUSTED - 1):
        assert api.pop(key, name=f"worker {number}").status == 200

    def work(number: int) -> object:
        answered = api.pop(key, name=f"another worker {number}")
        if answered.status != 200:
            raise Refused(answered.rc)
        return answered

    assert together(work) == [""] + ["TooManyWorkers"] * (AT_ONCE - 1)
