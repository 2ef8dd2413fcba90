"""A receiver of webhooks: notes when each image was told to it, and never answers on ``/hang``.

``python -m benchmarks.webhooks.receiver PORT`` prints a line for each request: ``ready``,
``held``, or an image's id with the seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress

_HANGING = b"POST /hang"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def main() -> None:
    """Serve until this process is ended."""
    server = await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]))
    _tell("ready")
    async with server:
        await server.serve_forever()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Whoever gives up on an answer hangs up.
    with suppress(OSError, asyncio.IncompleteReadError):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length_in(head))
        arrived_at = time.monotonic()
        if head.startswith(_HANGING):
            _tell("held")
            await reader.read()
        else:
            told = json.loads(body)
            if "img" in told:
                _tell(f"{told['id']} {arrived_at}")
            writer.write(_ANSWER)
            await writer.drain()
    writer.close()


def _length_in(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
