"""Kudos: who has how many, and how many of them are held. Exact, like the queue.

An event adds one row for each balance that it moves, so that unrelated movements, and even two
of the same account, never wait for each other. Rows are folded into one per holder under that
row's lock: by a payer that has many, and by the sweep. A balance is the row and what is not folded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)

from domain.accounts.account import Account
from domain.accounts.directory import AccountEntry
from domain.accounts.funds import PayerState
from domain.accounts.kudos import Balance, hundredths
from domain.accounts.shared_key import SharedKey
from projections.directory.tables import ACCOUNT, account_from
from projections.kudos.entries import entries_of
from projections.kudos.tables import FIGURES, KUDOS_BALANCE, KUDOS_ENTRY, KUDOS_SENT
from projections.queue.tables import OPEN_REQUEST, WAITS
from projections.sql.bulk import Bulk
from projections.sql.rows import MOST_KEYS, replace_row
from projections.sql.statements import Statement
from projections.view import Compared, RecordedEvent, ViewDatabase

_MOST_UNFOLDED = 100
"""A payer with more entries than this folds them before it goes on."""

_NO_FIGURES = dict.fromkeys(FIGURES, 0)


def _summed(table: Any) -> list[ColumnElement[int]]:
    # PostgreSQL makes a numeric of the sum of bigints, and null of no rows at all.
    return [
        cast(func.coalesce(func.sum(table.c[figure]), 0), BigInteger).label(figure)
        for figure in FIGURES
    ]


def _rows_of(table: Table) -> Select[Any]:
    return select(table.c.holder_id, *(table.c[figure] for figure in FIGURES))


_both = union_all(_rows_of(KUDOS_BALANCE), _rows_of(KUDOS_ENTRY)).subquery("both_tables")
_TRUE_BALANCES = (
    select(_both.c.holder_id, *_summed(_both)).group_by(_both.c.holder_id).subquery("balances")
)
_this_holder: BindParameter[UUID] = bindparam("holder")
_mine = union_all(
    _rows_of(KUDOS_BALANCE).where(KUDOS_BALANCE.c.holder_id == _this_holder),
    _rows_of(KUDOS_ENTRY).where(KUDOS_ENTRY.c.holder_id == _this_holder),
).subquery("mine")
_BALANCE = Statement(select(*_summed(_mine)))
_LOCK = Statement(
    select(ACCOUNT)
    .join_from(KUDOS_BALANCE, ACCOUNT, ACCOUNT.c.account_id == KUDOS_BALANCE.c.holder_id)
    .where(KUDOS_BALANCE.c.holder_id == _this_holder)
    .with_for_update(key_share=True, of=KUDOS_BALANCE)
)
_LOCK_FREE = (
    select(KUDOS_BALANCE.c.holder_id)
    .where(KUDOS_BALANCE.c.holder_id.in_(bindparam("holders", expanding=True)))
    .order_by(KUDOS_BALANCE.c.holder_id)
    .with_for_update(key_share=True, skip_locked=True)
)
_WITH_ENTRIES = (
    select(KUDOS_ENTRY.c.holder_id)
    .where(KUDOS_ENTRY.c.holder_id.in_(select(KUDOS_BALANCE.c.holder_id)))
    .distinct()
    .limit(bindparam("most"))
)
_TAKE_ENTRIES = (
    delete(KUDOS_ENTRY)
    .where(KUDOS_ENTRY.c.holder_id.in_(bindparam("holders", expanding=True)))
    .returning(KUDOS_ENTRY)
)
_ADD = (
    update(KUDOS_BALANCE)
    .where(KUDOS_BALANCE.c.holder_id == bindparam("holder"))
    .values({figure: KUDOS_BALANCE.c[figure] + bindparam(f"more_{figure}") for figure in FIGURES})
)
_some_waiting = (
    select(OPEN_REQUEST.c.remaining)
    .where(OPEN_REQUEST.c.account_id == _this_holder, WAITS)
    .limit(bindparam("most", type_=Integer()))
    .subquery()
)
_waiting = select(cast(func.coalesce(func.sum(_some_waiting.c.remaining), 0), BigInteger))
_PAYER_STATE = Statement(
    select(*_summed(_mine), func.count().label("rows"), _waiting.scalar_subquery().label("waiting"))
)
_entries = Bulk(KUDOS_ENTRY)
_LAST_SENT = select(KUDOS_SENT.c.sent_at).where(
    KUDOS_SENT.c.sender_id == bindparam("sender"), KUDOS_SENT.c.receiver_id == bindparam("receiver")
)


class Kudos:
    """Balances, as a view of the log and as the ledger's port to them."""

    name = "kudos"
    tables: Sequence[Table] = (KUDOS_BALANCE, KUDOS_ENTRY, KUDOS_SENT)
    compared: Sequence[Compared] = (
        Compared("kudos_balance", _TRUE_BALANCES, (_TRUE_BALANCES.c.holder_id,)),
        Compared.table(KUDOS_SENT),
    )

    def __init__(self, database: ViewDatabase) -> None:
        """Keep the balances in the database that holds the events."""
        self._database = database

    def apply(self, connection: Connection, records: Sequence[RecordedEvent]) -> None:
        """Follow what moves kudos, and open a balance for each new account and shared key."""
        entries = []
        for record in records:
            event = record.event
            match event:
                case Account.Opened() | SharedKey.Issued():
                    opened = {"holder_id": event.originator_id} | _NO_FIGURES
                    connection.execute(insert(KUDOS_BALANCE), opened)
                case Account.KudosSent():
                    sent = {
                        "sender_id": event.originator_id,
                        "receiver_id": event.to,
                        "sent_at": event.timestamp,
                    }
                    replace_row(connection, KUDOS_SENT, sent)
            entries += [
                {"holder_id": holder_id, "position": record.position} | _NO_FIGURES | dict(change)
                for holder_id, change in entries_of(event)
            ]
        _entries.insert(connection, entries)

    def settle(self, connection: Connection) -> None:
        """Fold all entries, in a private database."""
        while holders := connection.execute(_WITH_ENTRIES, {"most": MOST_KEYS}).scalars().all():
            _fold(connection, holders)

    def lock(self, account_id: UUID) -> AccountEntry | None:
        """Lock an account: no other transaction spends from its balance until this one ends."""
        with self._database.transaction() as connection:
            row = _LOCK.first(connection, {"holder": account_id})
        return None if row is None else account_from(row)

    def payer_state(self, account_id: UUID, *, most: int) -> PayerState:
        """Return what an account that was locked before may spend, and how much of it waits.

        In a statement of its own: only one that begins under the lock is sure to see what the
        holder of the lock before us has committed.
        """
        with self._database.transaction() as connection:
            row = _PAYER_STATE.first(connection, {"holder": account_id, "most": most})
            assert row is not None
            if row.pop("rows") > _MOST_UNFOLDED:
                _fold(connection, [account_id])
            return PayerState(waiting=row.pop("waiting"), balance=Balance(**row))

    def balance(self, holder_id: UUID) -> Balance:
        """Return the balance of an account, or what was held and burnt under a shared key."""
        with self._database.reading() as connection:
            row = _BALANCE.first(connection, {"holder": holder_id})
        assert row is not None
        return Balance(**row)

    def last_sent(self, sender_id: UUID, receiver_id: UUID) -> datetime | None:
        """Return when one account last sent kudos to another, None for never."""
        pair = {"sender": sender_id, "receiver": receiver_id}
        with self._database.reading() as connection:
            sent_at: datetime | None = connection.execute(_LAST_SENT, pair).scalar()
            return sent_at

    def fold(self, limit: int) -> int:
        """Fold the entries of up to so many holders and return of how many; for the sweep.

        A holder that is locked is passed over: this never waits.
        """
        with self._database.reading() as connection:
            holders = connection.execute(_WITH_ENTRIES, {"most": limit}).scalars().all()
        if not holders:
            return 0
        with self._database.transaction() as connection:
            free = connection.execute(_LOCK_FREE, {"holders": holders}).scalars().all()
            _fold(connection, free)
        return len(free)

    def trust_candidates(
        self, *, earned: float, opened_before: datetime, limit: int
    ) -> Sequence[UUID]:
        """Return accounts that are not trusted and whose work may have earned that.

        :param earned: the least kudos that their workers earned, as far as folded.
        """
        candidates = (
            select(ACCOUNT.c.account_id)
            .join_from(KUDOS_BALANCE, ACCOUNT, ACCOUNT.c.account_id == KUDOS_BALANCE.c.holder_id)
            .where(
                KUDOS_BALANCE.c.earned >= hundredths(earned),
                ACCOUNT.c.opened_at <= opened_before,
                ~ACCOUNT.c.trusted,
                ~ACCOUNT.c.flagged,
                ~ACCOUNT.c.deleted,
            )
            .order_by(KUDOS_BALANCE.c.earned)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return connection.execute(candidates).scalars().all()


def _fold(connection: Connection, holders: Sequence[UUID]) -> None:
    """Add what entries there are to the rows of these holders, whose locks the caller has."""
    sums: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    for entry in connection.execute(_TAKE_ENTRIES, {"holders": holders}):
        sums[entry.holder_id].update(_figures(entry))
    if sums:
        connection.execute(
            _ADD,
            [
                {"holder": holder} | {f"more_{figure}": more[figure] for figure in FIGURES}
                for holder, more in sums.items()
            ],
        )


def _figures(row: Any) -> dict[str, int]:
    return {figure: row._mapping[figure] for figure in FIGURES}
