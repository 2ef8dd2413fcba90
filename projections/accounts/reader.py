"""What each account requested, what its workers made, and lists of accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select

from projections.accounts.apply import _records
from projections.accounts.tables import ACCOUNT_OPEN_REQUEST, ACCOUNT_RECORD
from projections.view import ViewDatabase

ACCOUNTS_A_PAGE = 25
"""As many as the AI Horde lists at a time."""


class AccountOrder(StrEnum):
    """How a list of accounts is sorted."""

    KUDOS = "kudos"
    """The richest first."""
    AGE = "age"
    """The oldest first."""


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """What an account requested and what its workers made."""

    account_id: UUID
    requests: int = 0
    """Requests that it made."""
    images_used: int = 0
    """Images that were made for it."""
    pixelsteps_used: int = 0
    """Denoiser passes times pixels of these."""
    images_made: int = 0
    """Images that its workers made."""
    pixelsteps_made: int = 0


class AccountsReader:
    """Answers about accounts."""

    def __init__(self, database: ViewDatabase) -> None:
        """Read from the views' database."""
        self._database = database

    def record(self, account_id: UUID) -> AccountRecord:
        """Return what an account requested and what its workers made."""
        return self.records([account_id])[account_id]

    def records(self, account_ids: Sequence[UUID]) -> dict[UUID, AccountRecord]:
        """Return what each of these accounts requested, and what its workers made."""
        with self._database.reading() as connection:
            rows = _records.by_key(connection, account_ids)
        known = {
            row["account_id"]: AccountRecord(
                row["account_id"],
                row["requests"],
                row["images_used"],
                row["pixelsteps_used"],
                row["images_made"],
                row["pixelsteps_made"],
            )
            for row in rows
        }
        return {each: known.get(each, AccountRecord(each)) for each in account_ids}

    def page(self, order: AccountOrder, page: int) -> Sequence[UUID]:
        """Return the ids of accounts that are not deleted, 25 a page; without anonymous.

        :param page: 1 for the first.
        """
        table = ACCOUNT_RECORD.c
        found = select(table.account_id).where(~table.deleted, table.number > 0)
        if order is AccountOrder.KUDOS:
            found = found.order_by(table.kudos.desc(), table.number)
        else:
            found = found.order_by(table.number)
        found = found.limit(ACCOUNTS_A_PAGE).offset((page - 1) * ACCOUNTS_A_PAGE)
        with self._database.reading() as connection:
            return connection.execute(found).scalars().all()

    def open_requests(self, account_id: UUID, most: int) -> Sequence[UUID]:
        """Return the ids of an account's requests that are not over, up to so many."""
        table = ACCOUNT_OPEN_REQUEST.c
        found = select(table.request_id).where(table.account_id == account_id)
        with self._database.reading() as connection:
            return connection.execute(found.limit(most)).scalars().all()
