"""Webhook endpoints: what is told there, what signs it, and when nothing is sent any more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.sealing import Sealed
from domain.webhooks.endpoint import DisableReason, WebhookEndpoint
from domain.webhooks.notification import TEST, NotificationKind

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACCOUNT = UUID(int=1)
ADDRESS = Sealed(ACCOUNT, "YQ")
STARTED = NotificationKind("started")
IMAGE = NotificationKind("image")
PROGRESS = NotificationKind("progress")
ENDED = NotificationKind("ended")


def registered(*kinds: NotificationKind) -> WebhookEndpoint:
    return WebhookEndpoint.register(
        UUID(int=2),
        account_id=ACCOUNT,
        address=ADDRESS,
        kinds=kinds,
        timestamp=NOW,
    )


def names(endpoint: WebhookEndpoint) -> list[str]:
    return [type(event).__name__ for event in endpoint.pending_events]


def wanted(endpoint: WebhookEndpoint) -> set[NotificationKind]:
    """Return what is to be sent there, if it is scheduled by its filter."""
    filtered = (*endpoint.kinds, TEST)
    return {kind for kind in filtered if endpoint.accepts(kind)}


def test_what_is_told_is_what_was_asked_for_and_tests() -> None:
    assert wanted(registered(ENDED, IMAGE)) == {IMAGE, ENDED, TEST}


def test_a_filter_has_each_kind_once() -> None:
    assert registered(ENDED, STARTED, ENDED).kinds == (ENDED, STARTED)


def test_a_filter_changes_and_the_same_one_is_no_news() -> None:
    endpoint = registered(IMAGE, ENDED)
    endpoint.change_filter([ENDED, IMAGE], timestamp=NOW)
    assert names(endpoint) == ["Registered"]
    endpoint.change_filter([PROGRESS], timestamp=NOW)
    assert names(endpoint) == ["Registered", "FilterChanged"]
    assert wanted(endpoint) == {PROGRESS, TEST}


@pytest.mark.parametrize("reason", DisableReason)
def test_a_disabled_endpoint_hears_tests_alone_until_it_is_enabled(reason: DisableReason) -> None:
    endpoint = registered(IMAGE)
    endpoint.enable(by=ACCOUNT, timestamp=NOW)
    endpoint.disable(reason, timestamp=NOW)
    endpoint.disable(DisableReason.BY_HAND, by=ACCOUNT, timestamp=NOW)
    assert endpoint.disabled is reason
    assert not endpoint.is_enabled
    assert wanted(endpoint) == {TEST}
    endpoint.enable(by=ACCOUNT, timestamp=NOW)
    assert wanted(endpoint) == {IMAGE, TEST}
    assert names(endpoint) == ["Registered", "Disabled", "Enabled"]


def test_the_filter_of_a_disabled_endpoint_can_be_mended() -> None:
    endpoint = registered(IMAGE)
    endpoint.disable(DisableReason.DEAD, timestamp=NOW)
    endpoint.change_filter([ENDED], timestamp=NOW)
    assert endpoint.kinds == (ENDED,)
    assert not endpoint.is_enabled


@pytest.mark.parametrize(
    "change",
    [
        lambda endpoint: endpoint.change_filter([ENDED], timestamp=NOW),
        lambda endpoint: endpoint.disable(DisableReason.GONE, timestamp=NOW),
        lambda endpoint: endpoint.enable(by=ACCOUNT, timestamp=NOW),
        lambda endpoint: endpoint.delete(timestamp=NOW),
    ],
    ids=["filter", "disable", "enable", "delete"],
)
@pytest.mark.parametrize("disabled", [False, True])
def test_a_deleted_endpoint_stays_as_it_is(
    change: Callable[[WebhookEndpoint], None], disabled: bool
) -> None:
    endpoint = registered(IMAGE)
    if disabled:
        endpoint.disable(DisableReason.DEAD, timestamp=NOW)
    endpoint.delete(timestamp=NOW)
    before = names(endpoint)
    change(endpoint)
    assert names(endpoint) == before
    assert wanted(endpoint) == set()


def test_its_history_brings_it_back() -> None:
    endpoint = registered(IMAGE)
    endpoint.disable(DisableReason.GONE, timestamp=NOW)
    again: WebhookEndpoint | None = None
    for event in endpoint.collect_events():
        again = event.mutate(again)
    assert again == endpoint
