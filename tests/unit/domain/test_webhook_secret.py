"""Webhook secrets: one signs, or two for a while after a rotation, and the history holds none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.webhooks.secret import OVERLAP, WebhookSecret, webhook_secret_id_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACCOUNT = UUID(int=1)


def kept() -> WebhookSecret:
    return WebhookSecret.keep(ACCOUNT, timestamp=NOW)


def test_each_account_has_one_stream_of_secrets() -> None:
    assert kept().id == webhook_secret_id_of(ACCOUNT) != webhook_secret_id_of(UUID(int=2))


def test_two_secrets_sign_for_a_while_after_a_rotation_and_never_three() -> None:
    secret = kept()
    assert secret.numbers(NOW) == (1,)
    assert secret.rotate(timestamp=NOW) == 2
    assert secret.numbers(NOW + OVERLAP - timedelta(microseconds=1)) == (2, 1)
    assert secret.numbers(NOW + OVERLAP) == (2,)
    assert secret.rotate(timestamp=NOW + timedelta(hours=1)) == 3
    assert secret.numbers(NOW + timedelta(hours=2)) == (3, 2)


def test_a_secret_that_leaked_signs_no_more() -> None:
    secret = kept()
    secret.rotate(overlap=timedelta(0), timestamp=NOW)
    assert secret.numbers(NOW) == (2,)


def test_its_history_brings_it_back() -> None:
    secret = kept()
    secret.rotate(timestamp=NOW)
    again: WebhookSecret | None = None
    for event in secret.collect_events():
        again = event.mutate(again)
    assert again == secret
