"""Run many calls from several clients at once and say how fast they were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import quantiles

from benchmarks.http_client import Connection


@dataclass
class Measurement:
    """What one operation cost."""

    operation: str
    calls: int = 0
    seconds: float = 0.0
    """Wall time in which the calls were made."""
    latencies: list[float] = field(default_factory=list)
    """Seconds of each call."""

    @property
    def per_second(self) -> float:
        """Calls per second of wall time, all clients together."""
        return self.calls / self.seconds

    def percentile(self, percent: int) -> float:
        """Seconds within which this share of the calls was answered."""
        return quantiles(self.latencies, n=100)[percent - 1]


Call = Callable[[Connection, int], Awaitable[None]]
"""One call, given a connection and the number of the client that makes it."""


async def measure(
    url: str, clients: int, rounds: int, call: Call, into: Measurement
) -> Measurement:
    """Make ``clients * rounds`` calls, each client one after the other, and add what they cost.

    A client whose calls are answered sooner makes more of them: the kernel spreads few connections
    unevenly over processes, and the last client of the busiest one says nothing of the rate.
    """
    connections = [await Connection.open(url) for _ in range(clients)]

    left = iter(range(clients * rounds))

    async def client(number: int) -> None:
        for _ in left:
            start = time.perf_counter()
            await call(connections[number], number)
            into.latencies.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(clients)))
    into.seconds += time.perf_counter() - start
    into.calls += clients * rounds
    for connection in connections:
        await connection.close()
    return into
