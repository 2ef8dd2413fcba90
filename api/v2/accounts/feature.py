"""What the routes about accounts, kudos and shared keys need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.http.idempotency import KeyedDigest
from domain.accounts.allowances import Allowances
from domain.accounts.funds import Funds
from domain.content_filter import ContentFilter
from domain.ledger.accounts import Accounts as AccountsLedger
from domain.ledger.kudos import Kudos
from domain.ledger.shared_keys import SharedKeys
from domain.ports import Clock, RandomSource
from domain.sealing import Sealer
from projections.accounts.reader import AccountsReader
from projections.directory.view import AccountDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsFeature:
    """Accounts: who has which, what they may, and what they own."""

    authentication: Authentication
    ledger: AccountsLedger
    kudos: Kudos
    shared_keys: SharedKeys
    directory: AccountDirectory
    records: AccountsReader
    funds: Funds
    allowances: Allowances
    content_filter: ContentFilter
    sealer: Sealer
    keyed_digest: KeyedDigest
    key_digest: Callable[[str], str]
    """Turns an API key into the digest that the directory knows."""
    clock: Clock
    random_source: RandomSource


Accounts = Annotated[AccountsFeature, Depends(installed(AccountsFeature))]
"""A handler's parameter: what it needs."""
