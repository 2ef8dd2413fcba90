"""Keys of webhooks: the same in every process, another for every account, number and purpose."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from infrastructure.webhooks.keys import WebhookKeys
from infrastructure.webhooks.signing import WebhookSigner, public_key_of

KEYS = WebhookKeys(bytes(range(32)))
OTHERS = WebhookKeys(bytes(32))
ACCOUNT, STRANGER = UUID(int=1), UUID(int=2)
ADDRESS = "https://bot.example/hoard"


def test_a_secret_is_the_same_wherever_it_is_made_and_differs_from_all_others() -> None:
    assert KEYS.secret(ACCOUNT, 1) == WebhookKeys(bytes(range(32))).secret(ACCOUNT, 1)
    made = {
        keys.secret(account, number)
        for keys in (KEYS, OTHERS)
        for account in (ACCOUNT, STRANGER)
        for number in (1, 2)
    }
    assert len(made) == 8
    keys = {keys.signing_key(account) for keys in (KEYS, OTHERS) for account in (ACCOUNT, STRANGER)}
    assert len(keys) == 4


def test_secret_and_private_key_have_nothing_in_common() -> None:
    secret, key = KEYS.secret(ACCOUNT, 1), KEYS.signing_key(ACCOUNT)
    assert secret.removeprefix("whsec_") != key.removeprefix("whsk_")
    assert KEYS.public_key(ACCOUNT) == public_key_of(key)


def test_what_they_sign_verifies() -> None:
    secret = KEYS.secret(ACCOUNT, 1)
    signer = WebhookSigner([secret, KEYS.signing_key(ACCOUNT)])
    headers = signer.headers("msg_1", datetime.now(UTC), b'{"a": 1}')
    assert Webhook(secret).verify(b'{"a": 1}', headers) == {"a": 1}


@pytest.mark.parametrize(
    "address",
    [
        ADDRESS + "?job=1",
        ADDRESS + "?job=2#x",
        "https://BOT.example/hoard",
        "HTTPS://bot.example/hoard",
    ],
)
def test_one_place_is_one_destination_however_it_is_written(address: str) -> None:
    assert KEYS.destination(ACCOUNT, address) == KEYS.destination(ACCOUNT, ADDRESS)


def test_another_place_account_or_installation_is_another_destination() -> None:
    made = {
        KEYS.destination(ACCOUNT, ADDRESS),
        KEYS.destination(STRANGER, ADDRESS),
        OTHERS.destination(ACCOUNT, ADDRESS),
        KEYS.destination(ACCOUNT, ADDRESS + "/more"),
        KEYS.destination(ACCOUNT, "https://bot.example/Hoard"),
        KEYS.destination(ACCOUNT, "http://bot.example/hoard"),
        KEYS.destination(ACCOUNT, "https://bot.example:8443/hoard"),
        KEYS.destination(ACCOUNT, "https://other.example/hoard"),
    }
    assert len(made) == 8
