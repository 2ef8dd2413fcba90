"""``python -m benchmarks.webhooks``: how soon finished images arrive, beside dead receivers too."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import tempfile
from enum import StrEnum
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.databases import ledger_url
from benchmarks.http_client import Connection
from benchmarks.payers import open_payers
from benchmarks.running import free_port, running_hoard
from benchmarks.webhooks.arrivals import Arrivals, Provenance, Receiver, running_receiver
from domain.accounts.roles import Roles
from infrastructure.bootstrap import assemble
from infrastructure.keys.api_keys import digest_of, new_api_key
from infrastructure.settings.environment import Settings
from tests.waiting import wait_until

_FIRST_IMAGES = 5
"""Made before anything is measured, so that every process has been used."""

console = Console()


class On(StrEnum):
    """Which database."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


class Beside(StrEnum):
    """What else there is to deliver."""

    NOTHING = "nothing"
    ONE_ADDRESS = "one address that hangs"
    MANY_ADDRESSES = "as many addresses that hang"


_HELD_AT_LEAST = {Beside.ONE_ADDRESS: 2, Beside.MANY_ADDRESSES: 50}
"""How many receivers must hang before it is measured, if there are so many."""


def main(
    on: Annotated[list[On] | None, typer.Option(help="both if left out")] = None,
    images: Annotated[int, typer.Option(min=2, help="measured in each case")] = 200,
    hanging: Annotated[int, typer.Option(min=1, help="requests whose receiver hangs")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Measure from the answer to an image's submit until its webhook arrives at a receiver."""
    for database in on or list(On):
        rows = []
        for beside in Beside:
            row = _measure(database, beside, images, 0 if beside is Beside.NOTHING else hanging)
            rows.append(row)
            if as_json:
                print(json.dumps(row), flush=True)
        if not as_json:
            console.print(_table(database, rows))


def _measure(database: On, beside: Beside, images: int, hanging: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, ledger_url(database) as url:
        settings = Settings(
            data=Path(folder),
            ledger_url=url,
            port=free_port(),
            # The receiver is on this machine.
            permit_networks="127.0.0.0/8",
        )
        worker_key = new_api_key()
        hoard = assemble(settings)
        hoard.ledger.accounts.open("benchmark", digest_of(worker_key), Roles(trusted=True))
        (key,) = open_payers(hoard, 1)
        hoard.close()
        with running_receiver() as receiver, running_hoard(settings) as address:
            arrivals, held = asyncio.run(
                _run(address, key, worker_key, receiver, beside, images, hanging)
            )
    if len(arrivals.seconds) < 2:
        raise RuntimeError(f"{arrivals.lost} of {images} images did not arrive")
    cuts = quantiles(arrivals.seconds, n=100)
    return {
        "database": database.value,
        "beside": beside.value,
        "held": held,
        "images": images,
        "lost": arrivals.lost,
        "p50_ms": round(cuts[49] * 1000, 1),
        "p95_ms": round(cuts[94] * 1000, 1),
        "max_ms": round(max(arrivals.seconds) * 1000, 1),
    }


async def _run(
    address: str,
    key: str,
    worker_key: str,
    receiver: Receiver,
    beside: Beside,
    images: int,
    hanging: int,
) -> tuple[Arrivals, int]:
    connection = await Connection.open(address)
    making = Provenance(connection, key, worker_key)
    await making.measured(_FIRST_IMAGES, receiver)
    for number in range(hanging):
        place = f"/{number}" if beside is Beside.MANY_ADDRESSES else ""
        await making.image(f"{receiver.url}/hang{place}")
    least = min(hanging, _HELD_AT_LEAST.get(beside, 0))
    wait_until(lambda: receiver.held >= least, "receivers to hang")
    measured = await making.measured(images, receiver)
    await connection.close()
    return measured, receiver.held


def _table(database: On, rows: list[dict[str, Any]]) -> Table:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table(
        title=f"{database.value}: from submit to arrival; {machine}",
        box=box.HEAVY_HEAD if console.is_terminal else None,
    )
    for heading in ("beside", "held", "images", "lost", "p50 ms", "p95 ms", "max ms"):
        table.add_column(heading, justify="left" if heading == "beside" else "right")
    for row in rows:
        table.add_row(*(str(value) for name, value in row.items() if name != "database"))
    return table


if __name__ == "__main__":
    typer.run(main)
