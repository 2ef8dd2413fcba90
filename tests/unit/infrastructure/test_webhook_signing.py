"""Signed webhooks: the published vectors, what receivers accept, and what they refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from infrastructure.webhooks.signing import WebhookKeyUnusable, WebhookSigner, public_key_of
from tests.signing_keys import new_secret, new_signing_key

# Of the reference libraries that stand beside the specification (libraries/go, TestSymmetric- and
# TestAsymmetricWebhookSign): the headers in the specification's own text come without their keys.
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_MOMENT = datetime.fromtimestamp(1614265330, UTC)
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_SECRET_SIGNS = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
VECTOR_SIGNING_KEY = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
VECTOR_SIGNING_KEY_SIGNS = (
    "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
)

BODY = '{"prompt":"ein Leuchtturm über der Flut ⛵","kudos":7.5}'.encode()


def signed(*keys: str, body: bytes = BODY) -> dict[str, str]:
    return WebhookSigner(keys).headers("3f1c-8a_X", datetime.now(UTC), body)


def accepted(secret: str, headers: dict[str, str], body: bytes = BODY) -> bool:
    """Whether the package of Standard Webhooks lets it pass."""
    try:
        return bool(Webhook(secret).verify(body, headers) == json.loads(body))
    except WebhookVerificationError:
        return False


def accepted_by_public_key(key: str, headers: dict[str, str], body: bytes = BODY) -> bool:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for signature in headers["webhook-signature"].split(" "):
        version, value = signature.split(",")
        if version != "v1a":
            continue
        try:
            public.verify(base64.b64decode(value), said)
        except InvalidSignature:
            continue
        return True
    return False


@pytest.mark.parametrize(
    ("keys", "signature"),
    [
        ([VECTOR_SECRET], VECTOR_SECRET_SIGNS),
        ([VECTOR_SIGNING_KEY], VECTOR_SIGNING_KEY_SIGNS),
        (
            [VECTOR_SIGNING_KEY, VECTOR_SECRET],
            f"{VECTOR_SIGNING_KEY_SIGNS} {VECTOR_SECRET_SIGNS}",
        ),
    ],
)
def test_the_published_vectors_come_out(keys: list[str], signature: str) -> None:
    assert WebhookSigner(keys).headers(VECTOR_ID, VECTOR_MOMENT, VECTOR_BODY) == {
        "webhook-id": VECTOR_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": signature,
    }


def test_the_package_accepts_what_is_signed_with_its_secret_only() -> None:
    secret = new_secret()
    headers = signed(secret)
    assert accepted(secret, headers)
    assert not accepted(new_secret(), headers)


def test_the_bytes_that_are_sent_are_those_that_are_signed() -> None:
    secret = new_secret()
    headers = signed(secret)
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + BODY
    key = base64.b64decode(secret.removeprefix("whsec_"))
    good = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{good}"


def test_both_secrets_count_while_one_takes_over_from_the_other() -> None:
    new, old = new_secret(), new_secret()
    headers = signed(new, old)
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert accepted(new, headers)
    assert accepted(old, headers)
    assert not accepted(new_secret(), headers)


def test_a_public_key_verifies_what_its_private_key_signed() -> None:
    key = new_signing_key()
    headers = signed(key)
    assert accepted_by_public_key(public_key_of(key), headers)
    assert not accepted_by_public_key(public_key_of(new_signing_key()), headers)


def test_receivers_of_either_kind_find_theirs_when_both_are_sent() -> None:
    secret, key, older_key = new_secret(), new_signing_key(), new_signing_key()
    headers = signed(key, secret, older_key)
    assert accepted(secret, headers)
    assert accepted_by_public_key(public_key_of(key), headers)
    assert accepted_by_public_key(public_key_of(older_key), headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_nothing_signed_can_be_changed(changed: str) -> None:
    secret, key = new_secret(), new_signing_key()
    headers = signed(secret, key)
    body = BODY
    if changed == "webhook-id":
        headers[changed] += "1"
    elif changed == "webhook-timestamp":
        headers[changed] = str(int(headers[changed]) + 1)
    else:
        body = BODY.replace(b"7.5", b"8.5")
    assert not accepted(secret, headers, body)
    assert not accepted_by_public_key(public_key_of(key), headers, body)


def test_an_old_attempt_cannot_be_played_again() -> None:
    secret = new_secret()
    signer = WebhookSigner([secret])
    now = datetime.now(UTC)
    assert not accepted(secret, signer.headers("a", now - timedelta(minutes=6), BODY))
    assert not accepted(secret, signer.headers("a", now + timedelta(minutes=6), BODY))


def test_the_time_zone_and_the_fraction_of_a_moment_do_not_matter() -> None:
    elsewhere = VECTOR_MOMENT.astimezone(timezone(timedelta(hours=-7)))
    headers = WebhookSigner([VECTOR_SECRET, VECTOR_SIGNING_KEY]).headers(
        VECTOR_ID, elsewhere + timedelta(microseconds=999_999), VECTOR_BODY
    )
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == f"{VECTOR_SECRET_SIGNS} {VECTOR_SIGNING_KEY_SIGNS}"


def test_new_keys_are_as_long_as_they_should_be_and_never_the_same() -> None:
    made = [(new_secret(), "whsec_"), (new_signing_key(), "whsk_")]
    made.append((public_key_of(made[1][0]), "whpk_"))
    for key, prefix in made:
        assert key.startswith(prefix)
        assert len(base64.b64decode(key.removeprefix(prefix), validate=True)) == 32
    assert len({new_secret() for _ in range(50)}) == 50
    assert len({new_signing_key() for _ in range(50)}) == 50


def encoded(length: int) -> str:
    return base64.b64encode(bytes(range(length))).decode()


@pytest.mark.parametrize("length", [24, 64])
def test_secrets_of_others_may_be_as_short_and_as_long_as_specified(length: int) -> None:
    secret = f"whsec_{encoded(length)}"
    assert accepted(secret, signed(secret))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "whsec_",
        "whsk_",
        encoded(32),
        f"WHSEC_{encoded(32)}",
        f"whsec_{encoded(23)}",
        f"whsec_{encoded(65)}",
        f"whsec_{encoded(32)}\n",
        f"whsec_{encoded(32)[:-1]}",
        f"whsec_{encoded(32)[:-4]}ü===",
        f"whsk_{encoded(31)}",
        f"whsk_{encoded(64)}",
        f"whsk_{encoded(32)}!",
        f"whpk_{encoded(32)}",
    ],
)
def test_what_is_no_key_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(WebhookKeyUnusable) as caught:
        WebhookSigner([new_secret(), key])
    assert encoded(31)[:20] not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nothing_goes_out_unsigned() -> None:
    with pytest.raises(WebhookKeyUnusable, match="one key at least"):
        WebhookSigner([])


@pytest.mark.parametrize("key", [VECTOR_SECRET, "whsk_", encoded(32)])
def test_only_a_private_key_has_a_public_one(key: str) -> None:
    with pytest.raises(WebhookKeyUnusable):
        public_key_of(key)


@pytest.mark.parametrize("webhook_id", ["", "a.b", "a b", "a\n", "ü", "٣", "a" * 129])
def test_an_id_that_could_be_read_as_something_else_is_refused(webhook_id: str) -> None:
    with pytest.raises(ValueError, match="1 to 128"):
        WebhookSigner([VECTOR_SECRET]).headers(webhook_id, VECTOR_MOMENT, VECTOR_BODY)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    naive = VECTOR_MOMENT.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        WebhookSigner([VECTOR_SECRET]).headers(VECTOR_ID, naive, VECTOR_BODY)


def test_a_body_that_is_not_text_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        WebhookSigner([VECTOR_SECRET]).headers(VECTOR_ID, VECTOR_MOMENT, b"\xff")


def test_a_signer_does_not_show_its_keys() -> None:
    signer = WebhookSigner([VECTOR_SECRET, VECTOR_SIGNING_KEY])
    shown = f"{signer} {signer!r} {signer._keys!r}"
    assert "MfKQ9r8G" not in shown
    assert "VEVTVFNJ" not in shown
