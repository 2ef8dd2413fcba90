"""``make bench``: the write path over HTTP on SQLite and on PostgreSQL, beside plain inserts."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.databases import ledger_url
from benchmarks.payers import open_payers
from benchmarks.plain_inserts import ROWS, plain_inserts
from benchmarks.running import free_port, running_hoard
from benchmarks.write_path import CLIENTS, Scale, WritePath
from domain.accounts.roles import Roles
from infrastructure.bootstrap import assemble
from infrastructure.keys.api_keys import digest_of, new_api_key
from infrastructure.settings.environment import Settings
from infrastructure.storage.database import Database

_FLOORS = {"async": 200, "pop hit": 200, "submit": 200, "check": 1000}
_PLAIN_TRANSACTIONS = 1600

console = Console()


def main(
    on: Annotated[list[str] | None, typer.Option(help="sqlite, postgres; both if left out")] = None,
    quick: Annotated[bool, typer.Option(help="a tenth of the work: is it all there?")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Measure the write path of a running Hoard with 16 HTTP clients."""
    scale = Scale(1000, 160, 800, 48) if quick else Scale()
    for database in on or ["sqlite", "postgres"]:
        rows = _measure(database, scale)
        if as_json:
            for row in rows:
                print(json.dumps({"database": database, **row}))
        else:
            console.print(_table(database, rows))


def _measure(database: str, scale: Scale) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, ledger_url(database) as url:
        settings = Settings(data=Path(folder), ledger_url=url, port=free_port())
        key = new_api_key()
        hoard = assemble(settings)
        hoard.ledger.accounts.open("benchmark", digest_of(key), Roles(trusted=True))
        payers = open_payers(hoard)
        hoard.close()
        with running_hoard(settings) as address:
            measured = asyncio.run(WritePath(address, key, payers, scale).run())
        plain = _plain_rates(settings)
    rows = []
    for measurement in measured:
        kind = next(kind for kind in ROWS if kind in measurement.operation)
        rows.append(
            {
                "operation": measurement.operation,
                "per_second": round(measurement.per_second, 1),
                "p50_ms": round(measurement.percentile(50) * 1000, 2),
                "p95_ms": round(measurement.percentile(95) * 1000, 2),
                "to_plain_inserts": round(measurement.per_second / plain[kind], 3),
            }
        )
    return rows


def _plain_rates(settings: Settings) -> dict[str, float]:
    database = Database(settings.ledger_database)
    try:
        return {
            kind: plain_inserts(database, rows, clients=CLIENTS, transactions=_PLAIN_TRANSACTIONS)
            for kind, rows in ROWS.items()
        }
    finally:
        database.close()


def _table(database: str, rows: list[dict[str, Any]]) -> Table:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table(title=f"{database}: {CLIENTS} HTTP clients; {machine}")
    for heading in ("operation", "per second", "p50 ms", "p95 ms", "x plain inserts", "floor"):
        table.add_column(heading, justify="left" if heading == "operation" else "right")
    for row in rows:
        floor = next((str(f) for kind, f in _FLOORS.items() if kind in row["operation"]), "")
        table.add_row(*(str(value) for value in row.values()), floor)
    return table


if __name__ == "__main__":
    typer.run(main)
