"""The table of all deliveries, found by account, endpoint or request, the newest first.

A list without a state is three lists merged into one: so each index serves with a state and
without.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Uuid,
    text,
)

from projections.sql.encoding import Instant

METADATA = MetaData()

WEBHOOK_DELIVERY = Table(
    "webhook_delivery",
    METADATA,
    Column("delivery_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("request_id", Uuid, index=True),
    Column("kind", String(16), nullable=False),
    Column("about", Uuid, nullable=False),
    Column("step", Integer),
    Column("endpoint_id", Uuid),
    Column("destination", Uuid, nullable=False),
    Column("state", String(16), nullable=False),
    Column("scheduled_at", Instant, nullable=False),
    Column("happened_at", Instant, nullable=False),
    Column("due_at", Instant),
    Column("give_up_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_status", Integer),
    Column("last_problem", String(16)),
    Column("last_attempt_at", Instant),
    Column("last_seconds", Double),
    Column("given_up_because", String(16)),
    Column("given_up_at", Instant),
    Column("position", BigInteger, nullable=False),
)
"""One delivery; ``position`` is that of its first event."""

ENDPOINTS = text("endpoint_id IS NOT NULL")
ABANDONED = text("given_up_at IS NOT NULL")
"""The conditions of the partial indexes, spelt so that the databases use them."""

_TABLE = WEBHOOK_DELIVERY.c
_NEWEST = (_TABLE.state, _TABLE.scheduled_at, _TABLE.position)

Index("webhook_delivery_by_state", *_NEWEST)
Index("webhook_delivery_of_account", _TABLE.account_id, *_NEWEST)
Index(
    "webhook_delivery_of_endpoint",
    _TABLE.endpoint_id,
    *_NEWEST,
    sqlite_where=ENDPOINTS,
    postgresql_where=ENDPOINTS,
)
Index(
    "webhook_delivery_given_up",
    _TABLE.given_up_at,
    _TABLE.position,
    sqlite_where=ABANDONED,
    postgresql_where=ABANDONED,
)
Index(
    "webhook_delivery_given_up_of_account",
    _TABLE.account_id,
    _TABLE.given_up_at,
    _TABLE.position,
    sqlite_where=ABANDONED,
    postgresql_where=ABANDONED,
)
