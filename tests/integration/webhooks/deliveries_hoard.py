"""The fixture of the tests of deliveries: a Hoard on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.settings.environment import Settings
from tests.delivery_world import DeliveryWorld
from tests.prepared import assembled
from tests.world import ManualClock, SeededRandomSource


def open_world(folder: Path, ledger_url: str | None) -> Iterator[DeliveryWorld]:
    """Assemble a Hoard, and let go of it at the end."""
    clock = ManualClock()
    hoard = assembled(
        Settings(data=folder, ledger_url=ledger_url),
        clock=clock,
        random_source=SeededRandomSource(),
    )
    yield DeliveryWorld(hoard, clock)
    hoard.close()


@pytest.fixture(params=["memory", "file", "postgres"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DeliveryWorld]:
    """A world of deliveries on SQLite in memory, on a SQLite file and on PostgreSQL."""
    urls = {"memory": "sqlite://", "file": None}
    on_postgres = request.param == "postgres"
    url = request.getfixturevalue("prepared_postgres_url") if on_postgres else urls[request.param]
    yield from open_world(tmp_path, url)
