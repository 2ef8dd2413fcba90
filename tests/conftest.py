"""Fixtures for all levels of tests."""

from __future__ import annotations

import signal

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

# A shell that starts the tests in the background has them ignore SIGINT, and so would every program
# that they start: whether Ctrl-C works could not be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
