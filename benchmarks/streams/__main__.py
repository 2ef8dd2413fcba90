"""``python -m benchmarks.streams``: what thousands of open streams cost one API process."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.databases import ledger_url
from benchmarks.http_client import Connection
from benchmarks.running import free_port, running_hoard
from benchmarks.streams.clients import Listeners
from benchmarks.streams.making import Maker
from infrastructure.bootstrap import assemble
from infrastructure.settings.environment import Settings

_WARMING_UP = 50
_QUIET = 100
"""Images that are made one by one, with a pause between them."""
_PAUSE_SECONDS = 0.1
_CHECKS = 500

console = Console()


def main(
    streams: Annotated[int, typer.Option(min=_QUIET + 1, help="how many are open")] = 2000,
    on: Annotated[list[str] | None, typer.Option(help="sqlite, postgres; both if left out")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Open a stream for each of many requests, make their images, and measure one API process."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for database in on or ["sqlite", "postgres"]:
        measured = _measure(database, streams)
        if as_json:
            print(json.dumps({"database": database, "streams": streams, **measured}))
        else:
            console.print(_table(database, streams, measured))


def _measure(database: str, streams: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, ledger_url(database) as url:
        settings = Settings(
            data=Path(folder),
            ledger_url=url,
            port=free_port(),
            api_processes=1,
        )
        with running_hoard(settings) as address:
            return asyncio.run(_streamed(settings, address, streams))


async def _streamed(settings: Settings, address: str, streams: int) -> dict[str, float]:
    hoard = assemble(settings, migrate=False)
    try:
        maker = Maker(hoard)
        process = _Process(settings.data / "run")
        await _warm_up(maker, address)
        requests = [maker.ask() for _ in range(streams)]
        before = process.resident_bytes()
        listeners = Listeners(address, requests)
        begun = time.perf_counter()
        await listeners.open()
        opening = time.perf_counter() - begun
        after = process.resident_bytes()
        checks = await _checked(address, requests[-1])
        for _ in range(_QUIET):
            await asyncio.to_thread(maker.make_one)
            await asyncio.sleep(_PAUSE_SECONDS)
        quiet = _delays(listeners, maker, requests)
        told, seconds_used = listeners.events, process.seconds_used()
        begun = time.perf_counter()
        await asyncio.to_thread(_make, maker, streams - _QUIET)
        await listeners.ended()
        busy_seconds = time.perf_counter() - begun
        told, seconds_used = listeners.events - told, process.seconds_used() - seconds_used
        busy = _delays(listeners, maker, requests[_QUIET:])
        return {
            "opened_per_second": round(streams / opening, 1),
            "mib_before": round(before / 2**20, 1),
            "mib_open": round(after / 2**20, 1),
            "kib_a_stream": round((after - before) / 1024 / streams, 1),
            "mib_at_the_end": round(process.resident_bytes() / 2**20, 1),
            "check_p50_ms": _milliseconds(checks, 50),
            "check_p95_ms": _milliseconds(checks, 95),
            "quiet_p50_ms": _milliseconds(quiet, 50),
            "quiet_p95_ms": _milliseconds(quiet, 95),
            "busy_events": told,
            "busy_events_per_second": round(told / busy_seconds, 1),
            "busy_p50_ms": _milliseconds(busy, 50),
            "busy_p95_ms": _milliseconds(busy, 95),
            "cpu_ms_an_event": round(seconds_used / told * 1000, 2),
        }
    finally:
        hoard.close()


def _make(maker: Maker, images: int) -> None:
    for _ in range(images):
        maker.make_one()


async def _warm_up(maker: Maker, address: str) -> None:
    listeners = Listeners(address, [maker.ask() for _ in range(_WARMING_UP)])
    await listeners.open()
    await asyncio.to_thread(_make, maker, _WARMING_UP)
    await listeners.ended()


async def _checked(address: str, request_id: UUID) -> list[float]:
    """Return how long checks took beside the open streams, in seconds."""
    connection = await Connection.open(address)
    took = []
    for _ in range(_CHECKS):
        begun = time.perf_counter()
        await connection.call("GET", f"/api/v2/generate/check/{request_id}")
        took.append(time.perf_counter() - begun)
    await connection.close()
    return took


def _delays(listeners: Listeners, maker: Maker, requests: Sequence[UUID]) -> list[float]:
    """Return the seconds from each command to the arrival of what it had told."""
    known = set(requests)
    return [
        listeners.arrived[key] - begun
        for key, begun in maker.began.items()
        if key[0] in known and key in listeners.arrived
    ]


class _Process:
    """The API process."""

    def __init__(self, run_folder: Path) -> None:
        self._proc = Path("/proc", (run_folder / "api.pid").read_text().split()[0])

    def resident_bytes(self) -> int:
        """Return its resident memory."""
        fields = dict(
            line.split(":", 1) for line in (self._proc / "status").read_text().splitlines()
        )
        return int(fields["VmRSS"].split()[0]) * 1024

    def seconds_used(self) -> float:
        """Return the processor time that it has used."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _milliseconds(seconds: Sequence[float], percent: int) -> float:
    return round(quantiles(seconds, n=100)[percent - 1] * 1000, 2)


def _table(database: str, streams: int, measured: dict[str, Any]) -> Table:
    table = Table(title=f"{database}: {streams} open streams on one API process")
    table.add_column("measured")
    table.add_column("", justify="right")
    for name, value in measured.items():
        table.add_row(name.replace("_", " "), f"{value:g}")
    return table


if __name__ == "__main__":
    typer.run(main)
