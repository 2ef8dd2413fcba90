"""Fixtures for all levels of tests."""

from __future__ import annotations

from tests.servers import (
    postgres_database,
    postgres_server,
    postgres_url,
    redis_server,
    redis_url,
)

__all__ = [
    "postgres_database",
    "postgres_server",
    "postgres_url",
    "redis_server",
    "redis_url",
]
