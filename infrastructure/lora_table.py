"""The table in which versions of LoRAs are remembered: a cache, no view of the log."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, String, Table, Text

from projections.encoding import Instant

METADATA = MetaData()

LORA_VERSION = Table(
    "lora_version",
    METADATA,
    Column("asked", String(300), primary_key=True),
    Column("found", Text),
    Column("fetched_at", Instant, nullable=False, index=True),
)
"""What a LoRA was asked for by (``model:`` or ``version:`` and its name), the version found (JSON,
NULL where there is none), and when that was."""
