"""The header ``Idempotency-Key``: a POST that is sent again for want of an answer is done once."""

from __future__ import annotations

from typing import Annotated, Protocol

import orjson
from fastapi import Header

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry
from domain.ledger.idempotency import HEADER, IdempotencyKey
from domain.return_codes import Refused

MOST_CHARACTERS = 255

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description="Any text of up to 255 characters, new for each new request: the same text "
        "with the same body, within 24 hours, answers with the same request.",
    ),
]
"""A handler's parameter: the key as the client wrote it."""


class KeyedDigest(Protocol):
    """The port to keyed digests: without this installation's master key they reveal nothing."""

    def __call__(self, *parts: bytes) -> str:
        """Return the digest of several byte strings in their order, as 64 hex digits."""


def idempotency_key_from(
    digest: KeyedDigest,
    key: str | None,
    raw: bytes,
    *,
    what: str,
    account: AccountEntry,
    client_address: str,
) -> IdempotencyKey | None:
    """Return what a POST that is sent again is known by; None without a key.

    A key counts for one account; for anonymous, which many share, for one address. Bodies that
    differ in their spaces or in the order of their fields are the same.

    :param raw: the body, which has been read as JSON before.
    :param what: what the key is used for, such as ``async``: elsewhere it is another key.
    :raises Refused: ``BadRequest``, when it is no key.
    """
    if key is None:
        return None
    if not key or len(key) > MOST_CHARACTERS or not key.isprintable():
        raise Refused(
            "BadRequest",
            f"{HEADER}: send 1 to {MOST_CHARACTERS} printable characters",
            {HEADER: "is no key"},
        )
    who = account.account_id.bytes + (account.shared_key_id.bytes if account.shared_key_id else b"")
    where = client_address if account.account_id == ANONYMOUS_ID else ""
    return IdempotencyKey(
        key=digest(b"key", what.encode(), who, where.encode(), key.encode()),
        content=digest(b"content", _canonical(raw)),
    )


def _canonical(raw: bytes) -> bytes:
    try:
        return orjson.dumps(orjson.loads(raw), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        # Lone surrogates, say, which only the other parser takes.
        return raw
