"""Who asks for images, as one call of the API knows it."""

from __future__ import annotations

from dataclasses import dataclass

from domain.accounts.directory import AccountEntry
from domain.ledger.idempotency import IdempotencyKey


@dataclass(frozen=True, slots=True)
class Requester:
    """Whoever asks for images."""

    account: AccountEntry
    address: str
    """The network address that the call comes from."""
    agent: str
    """The client, as ``name:version:contact``."""
    unsafe_ip: bool
    """Whether it came through a network that the operator calls unsafe."""
    attempt: IdempotencyKey | None
    """What tells the call when it is sent again; None for one that is never."""
