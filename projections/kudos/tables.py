"""The tables of the kudos view: entries that are only ever added, and the sums they fold into."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, Table, Uuid

from projections.sql.encoding import Instant

METADATA = MetaData()

FIGURES = ("earned", "burnt", "sent", "received", "awarded", "held")
"""The fields of :class:`domain.accounts.kudos.Balance`, in hundredths."""

KUDOS_BALANCE = Table(
    "kudos_balance",
    METADATA,
    Column("holder_id", Uuid, primary_key=True),
    *(Column(figure, BigInteger, nullable=False) for figure in FIGURES),
)
"""One row for each account and for each shared key, whose ``holder_id`` is its own id. A holder's
true balance is this row and its entries together."""

KUDOS_ENTRY = Table(
    "kudos_entry",
    METADATA,
    Column("holder_id", Uuid, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    *(Column(figure, BigInteger, nullable=False) for figure in FIGURES),
)
"""What the event at ``position`` changes of a holder's balance. Rows are added and, folded into
``kudos_balance``, deleted; none is ever changed, so those who add never wait for each other."""

KUDOS_SENT = Table(
    "kudos_sent",
    METADATA,
    Column("sender_id", Uuid, primary_key=True),
    Column("receiver_id", Uuid, primary_key=True),
    Column("sent_at", Instant, nullable=False),
)
"""When one account last sent kudos to another."""
