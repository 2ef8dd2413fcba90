"""How fast events are appended: our recorder beside the library's, on the same databases.

Run with ``python -m benchmarks.event_store``. Durability is that of production on both sides:
SQLite in WAL mode with a sync for each commit, PostgreSQL with ``fsync`` and
``synchronous_commit``. Disks are moody, so all contenders take turns for several rounds and the
median counts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    StoredEvent,
    TrackingRecorder,
)
from eventsourcing.utils import Environment
from rich.console import Console
from rich.table import Table

from infrastructure.storage.database import Database
from infrastructure.storage.event_store import EventRecorder
from infrastructure.storage.schema import migrate_ledger
from tests.servers import PostgresServer

_STATE = b'{"timestamp":"2026-01-01T00:00:00+00:00","text":"' + b"x" * 400 + b'"}'


@dataclass(frozen=True, slots=True)
class Contender:
    """A recorder under measurement."""

    database: str
    name: str
    recorder: ApplicationRecorder


def saves_per_second(
    recorder: ApplicationRecorder, *, events: int, threads: int, seconds: float
) -> float:
    """Appends to new streams, from ``threads`` threads at once, for about ``seconds``."""
    deadline = time.perf_counter() + seconds

    def save(_: int) -> int:
        count = 0
        while time.perf_counter() < deadline:
            stream = uuid4()
            recorder.insert_events(
                [
                    StoredEvent(stream, version, "domain.jobs.job:Job.ImageGenerated", _STATE)
                    for version in range(1, events + 1)
                ]
            )
            count += 1
        return count

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        total = sum(pool.map(save, range(threads)))
    return total / (time.perf_counter() - started)


def library_recorder(stack: contextlib.ExitStack, settings: dict[str, str]) -> ApplicationRecorder:
    """The library's own recorder, made the way an application makes it."""
    factory: InfrastructureFactory[TrackingRecorder] = InfrastructureFactory.construct(
        Environment(name="bench", env=settings)
    )
    stack.callback(factory.close)
    return factory.application_recorder()


def our_recorder(stack: contextlib.ExitStack, url: str) -> ApplicationRecorder:
    """Our recorder on a database of its own."""
    database = Database(url)
    stack.callback(database.close)
    migrate_ledger(database)
    return EventRecorder(database)


@contextlib.contextmanager
def contenders() -> Iterator[list[Contender]]:
    """All recorders, each with an empty database: files in one folder, databases on one server."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = PostgresServer(durable=True)
        stack.callback(server.close)
        server.start()
        ours, theirs, locked = (server.create_database() for _ in range(3))
        postgres = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_HOST": str(server.folder),
            "POSTGRES_PORT": "5432",
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "",
        }
        yield [
            Contender(
                "SQLite",
                "eventsourcing.sqlite",
                library_recorder(
                    stack,
                    {
                        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                        "SQLITE_DBNAME": str(folder / "theirs.db"),
                        "SQLITE_LOCK_TIMEOUT": "60",
                    },
                ),
            ),
            Contender("SQLite", "hoard", our_recorder(stack, f"sqlite:///{folder}/ours.db")),
            Contender(
                "PostgreSQL",
                "eventsourcing.postgres",
                library_recorder(stack, postgres | {"POSTGRES_DBNAME": theirs}),
            ),
            Contender(
                "PostgreSQL",
                "… with functions",
                library_recorder(
                    stack,
                    postgres | {"POSTGRES_DBNAME": locked, "POSTGRES_ENABLE_DB_FUNCTIONS": "y"},
                ),
            ),
            Contender("PostgreSQL", "hoard", our_recorder(stack, server.url(ours))),
        ]


def report(rounds: int, seconds: float, progress: Callable[[str], None]) -> Table:
    """Measure everything and return the table; the ratio is to the first of each database."""
    shapes = [(events, threads) for events in (1, 3) for threads in (1, 8)]
    rates: dict[tuple[Contender, int, int], list[float]] = defaultdict(list)
    with contenders() as all_of_them:
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            for events, threads in shapes:
                for contender in all_of_them:
                    rates[contender, events, threads].append(
                        saves_per_second(
                            contender.recorder, events=events, threads=threads, seconds=seconds
                        )
                    )
    table = Table(title=f"Saves per second, median of {rounds} rounds (ratio to the library)")
    for heading in ("Database", "Recorder"):
        table.add_column(heading, no_wrap=True)
    for events, threads in shapes:
        table.add_column(f"{events} ev, {threads} thr", justify="right", no_wrap=True)
    first: dict[tuple[str, int, int], float] = {}
    for contender in all_of_them:
        cells = []
        for shape in shapes:
            rate = median(rates[contender, *shape])
            base = first.setdefault((contender.database, *shape), rate)
            cells.append(f"{rate:,.0f} ({rate / base:.2f})")
        table.add_row(contender.database, contender.name, *cells)
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How fast events are appended.")
    parser.add_argument("--rounds", type=int, default=5, help="at least 1")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each cell, above 0")
    arguments = parser.parse_args()
    table = report(arguments.rounds, arguments.seconds, Console(stderr=True).print)
    console = Console(width=110)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    console.print(f"{machine}, Python {platform.python_version()}")
    console.print(table)


if __name__ == "__main__":
    main()
