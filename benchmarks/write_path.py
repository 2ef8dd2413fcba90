"""The write path over HTTP: async, pop, submit, check and whole cycles, shallow and deep queues."""

from __future__ import annotations

import base64
import io
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from benchmarks.http_client import Connection
from benchmarks.measure import Measurement, measure

CLIENTS = 16
SHALLOW = 10
DEEP = 10_000
IMAGES = 20
"""Images of each request; workers of amount 1 pop them one by one, so that depth stays put."""

_DISTINCT_IMAGES = 3000

ANONYMOUS = "0000000000"

OFFERED, LACKING = "Bench A", "Bench B"


@dataclass
class Scale:
    """How much is measured."""

    deep: int = DEEP
    pops: int = 1600
    checks: int = 8000
    cycles: int = 480


class WritePath:
    """One run against one server."""

    def __init__(self, url: str, key: str, payers: Sequence[str], scale: Scale) -> None:
        """Measure the server at ``url``.

        :param key: whose account runs the workers.
        :param payers: keys of the accounts that ask, in turn.
        """
        self._url = url
        self._key = key
        self._askers: Iterator[str] = itertools.cycle(payers)
        self._scale = scale
        self._jobs: deque[tuple[str, str]] = deque()
        self._requests: list[str] = []
        self._numbers = itertools.count()
        self._images = itertools.cycle(_distinct_images(_DISTINCT_IMAGES))

    async def run(self) -> list[Measurement]:
        """Measure all operations; the deep queue comes last, since nothing empties it."""
        scale = self._scale
        shallow_miss = await self._misses(f"pop miss, {SHALLOW} waiting", SHALLOW)
        shallow_hit = Measurement(f"pop hit, {SHALLOW} waiting")
        while shallow_hit.calls < scale.pops:
            await self._submit_requests(OFFERED, SHALLOW, Measurement("fill"))
            rounds = SHALLOW * IMAGES // CLIENTS
            await measure(self._url, CLIENTS, rounds, self._pop_hit, shallow_hit)
            await self._pop_the_rest()
        cycles = Measurement("whole cycle")
        await measure(self._url, CLIENTS, scale.cycles // CLIENTS, self._cycle, cycles)
        submit = Measurement("submit")
        rounds = len(self._jobs) // CLIENTS
        await measure(self._url, CLIENTS, rounds, self._submit_image, submit)
        deep_miss = await self._misses(f"pop miss, {scale.deep:,} waiting", scale.deep)
        asked = Measurement("async")
        await self._submit_requests(OFFERED, scale.deep, asked)
        payers, self._askers = self._askers, itertools.repeat(ANONYMOUS)
        asked_anonymously = Measurement("async, anonymous")
        await self._submit_requests(OFFERED, scale.pops, asked_anonymously)
        self._askers = payers
        deep_hit = Measurement(f"pop hit, {scale.deep:,} waiting")
        await measure(self._url, CLIENTS, scale.pops // CLIENTS, self._pop_hit, deep_hit)
        check = Measurement("check")
        await measure(self._url, CLIENTS, scale.checks // CLIENTS, self._check, check)
        return [
            asked,
            asked_anonymously,
            shallow_hit,
            deep_hit,
            shallow_miss,
            deep_miss,
            submit,
            check,
            cycles,
        ]

    async def _misses(self, name: str, waiting: int) -> Measurement:
        await self._submit_requests(LACKING, waiting, Measurement("fill"))
        return await measure(
            self._url, CLIENTS, self._scale.pops // CLIENTS, self._pop_miss, Measurement(name)
        )

    async def _submit_requests(self, model: str, number: int, into: Measurement) -> None:
        async def ask(connection: Connection, _: int) -> None:
            await self._ask(connection, model, IMAGES)

        clients = min(CLIENTS, number)
        await measure(self._url, clients, -(-number // clients), ask, into)

    async def _ask(self, connection: Connection, model: str, images: int) -> str:
        body = {"prompt": "a red circle", "params": {"n": images}, "models": [model]}
        status, answer = await connection.call(
            "POST", "/api/v2/generate/async", body, next(self._askers)
        )
        assert status == 202, answer
        self._requests.append(answer["id"])
        return str(answer["id"])

    async def _pop(self, connection: Connection, client: int, model: str) -> Any:
        body = {
            "name": f"bench worker {client}",
            "models": [model],
            "amount": 1,
            "max_pixels": 1024 * 1024,
            "bridge_agent": "benchmark:1:nobody",
        }
        status, answer = await connection.call("POST", "/api/v2/generate/pop", body, self._key)
        assert status == 200, answer
        return answer

    async def _pop_hit(self, connection: Connection, client: int) -> None:
        answer = await self._pop(connection, client, OFFERED)
        assert answer["id"] is not None, answer
        self._jobs.append((answer["ids"][0], answer["payload"]["seed"]))

    async def _pop_miss(self, connection: Connection, client: int) -> None:
        answer = await self._pop(connection, client, OFFERED)
        assert answer["id"] is None, answer

    async def _pop_the_rest(self) -> None:
        connection = await Connection.open(self._url)
        while (answer := await self._pop(connection, 0, OFFERED))["id"] is not None:
            self._jobs.append((answer["ids"][0], answer["payload"]["seed"]))
        await connection.close()

    async def _submit_image(self, connection: Connection, _: int) -> None:
        image_id, seed = self._jobs.popleft()
        body = {"id": image_id, "generation": next(self._images), "seed": int(seed), "state": "ok"}
        status, answer = await connection.call("POST", "/api/v2/generate/submit", body, self._key)
        assert status == 200, answer

    async def _check(self, connection: Connection, _: int) -> None:
        request_id = self._requests[next(self._numbers) * 7919 % len(self._requests)]
        status, answer = await connection.call("GET", f"/api/v2/generate/check/{request_id}")
        assert status == 200, answer

    async def _cycle(self, connection: Connection, client: int) -> None:
        request_id = await self._ask(connection, OFFERED, 1)
        await self._pop_hit(connection, client)
        await self._submit_image(connection, client)
        for path in ("check", "status"):
            status, answer = await connection.call("GET", f"/api/v2/generate/{path}/{request_id}")
            assert status == 200, answer


def _distinct_images(number: int) -> list[str]:
    """Return pictures of 512x512 that all differ: no two may share a blob."""
    canvas = Image.linear_gradient("L").resize((512, 512)).convert("RGB")
    images = []
    for mark in range(number):
        canvas.paste((mark % 256, mark // 256 % 256, 128), (0, 0, 32, 32))
        buffer = io.BytesIO()
        canvas.save(buffer, "WEBP", method=0)
        images.append(base64.b64encode(buffer.getvalue()).decode())
    return images
