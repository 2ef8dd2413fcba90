"""An account that has webhooks and asks after them, for tests of what is served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.ledger.webhooks import PlannedDelivery
from domain.requests.request import Request
from domain.webhooks.attempts import Outcome
from domain.webhooks.notification import Notification
from domain.webhooks.webhook import Webhook
from projections.tracking import notifications
from tests.integration.api_client import Answered, Api, serving

ADDRESS = "https://bot.example/hoard"
NOWHERE = str(UUID(int=404))
FAILED = Outcome(status=500)


@pytest.fixture
def api(followed_api: Api) -> Api:
    return followed_api


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One for all that is refused, which leaves nothing behind."""
    with serving(tmp_path_factory.mktemp("strict")) as served:
        yield served


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Api]:
    """One whose webhooks may go to this machine, and whose clock shows the present."""
    with serving(tmp_path, follow=True, permit_networks="127.0.0.0/8") as served:
        served.clock.time = datetime.now(UTC)
        yield served


def call(api: Api, method: str, path: str, who: str = "integrator", **options: Any) -> Answered:
    return api.call(method, f"/webhooks{path}", key=api.key(who), **options)


def told(api: Api, method: str, path: str, who: str = "integrator", **options: Any) -> Any:
    answered = call(api, method, path, who, **options)
    assert answered.status < 300, answered
    return answered.body


def add(api: Api, who: str = "integrator", **fields: object) -> Any:
    return told(api, "POST", "/endpoints", who, json={"url": ADDRESS, **fields})


def account_id(api: Api, who: str = "integrator") -> UUID:
    api.key(who)
    entry = api.hoard.inline.directory.account_by_name(who)
    assert entry is not None
    return entry.account_id


def sent_test(api: Api, endpoint_id: str, who: str = "integrator") -> UUID:
    """Have a test sent to an endpoint; return the delivery."""
    return UUID(told(api, "POST", f"/endpoints/{endpoint_id}/test", who)["delivery_id"])


def tried(api: Api, delivery_id: UUID, outcome: Outcome, answer: str = "") -> None:
    api.hoard.ledger.webhooks.record_attempt(delivery_id, outcome, seconds=0.25, answer=answer)
    api.catch_up()


def scheduled(api: Api, request_id: str, endpoint_id: str | None, who: str = "integrator") -> UUID:
    """Have the end of a request told; return the delivery."""
    known = UUID(request_id)
    tracking = Notification(notifications.ENDED, known, known, api.clock.now())
    to = None if endpoint_id is None else UUID(endpoint_id)
    planned_delivery = PlannedDelivery(tracking, account_id(api, who), to, to or uuid4())
    api.hoard.ledger.webhooks.schedule([planned_delivery])
    api.catch_up()
    return planned_delivery.delivery_id


def listed(api: Api, who: str = "integrator", **wanted: object) -> list[str]:
    """Return the ids of an account's deliveries."""
    return [each["id"] for each in told(api, "GET", "/deliveries", who, params=wanted)]


def named_by(api: Api, request_id: str) -> Webhook | None:
    """Return the webhook in the first event of a request."""
    first, *_ = [record.event for record in api.hoard.storage.log.tails({UUID(request_id): 0})]
    assert isinstance(first, Request.Submitted)
    return first.webhook
