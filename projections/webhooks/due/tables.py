"""The tables of due deliveries: no question may cost more because more is due."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    text,
)

from projections.sql.encoding import Instant

METADATA = MetaData()

WEBHOOK_DESTINATION = Table(
    "webhook_destination",
    METADATA,
    Column("destination", Uuid, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Instant),
    Column("last_failed_at", Instant),
    Column("proven", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("looks_at", Instant),
)
"""How each destination has answered lately. ``position`` is that of the last event that changed
this, 0 for none. ``looks_at`` is the earliest moment at which something may be sent there, null
where nothing is due."""

LOOKS = text("looks_at IS NOT NULL")
"""The condition that something is due, spelt so that the databases use the partial index."""

Index(
    "webhook_destination_looks",
    WEBHOOK_DESTINATION.c.proven,
    WEBHOOK_DESTINATION.c.looks_at,
    sqlite_where=LOOKS,
    postgresql_where=LOOKS,
)

DUE_DELIVERY = Table(
    "due_delivery",
    METADATA,
    Column("delivery_id", Uuid, primary_key=True),
    Column("destination", Uuid, nullable=False),
    Column("request_id", Uuid),
    Column("line", Uuid, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("give_up_at", Instant, nullable=False),
    Column("is_head", Boolean, nullable=False),
)
"""Deliveries that are neither delivered nor abandoned. Those of one destination and request form
one ``line`` and go one after the other, by ``place``: the position of the event that made them due.
A test has no request and a line of its own. The first of a line is its head."""

HEADS = text("is_head")
"""The condition that a delivery is the first of its line, spelt so that the databases use the
partial indexes."""

Index("due_delivery_late", DUE_DELIVERY.c.give_up_at, DUE_DELIVERY.c.place)
Index("due_delivery_in_line", DUE_DELIVERY.c.line, DUE_DELIVERY.c.place)
Index(
    "due_delivery_head",
    DUE_DELIVERY.c.line,
    unique=True,
    sqlite_where=HEADS,
    postgresql_where=HEADS,
)
Index(
    "due_delivery_head_due",
    DUE_DELIVERY.c.destination,
    DUE_DELIVERY.c.due_at,
    DUE_DELIVERY.c.place,
    sqlite_where=HEADS,
    postgresql_where=HEADS,
)
TESTS = text("request_id IS NULL")
"""The condition that it is a test."""

Index(
    "due_delivery_test",
    DUE_DELIVERY.c.destination,
    DUE_DELIVERY.c.due_at,
    DUE_DELIVERY.c.place,
    sqlite_where=TESTS,
    postgresql_where=TESTS,
)

WEBHOOK_ENDPOINT = Table(
    "webhook_endpoint",
    METADATA,
    Column("endpoint_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False, index=True),
    Column("kinds", Text, nullable=False),
    Column("disabled", String(16)),
    Column("registered_at_position", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
)
"""Endpoints that were not deleted. ``kinds`` are separated by commas."""
