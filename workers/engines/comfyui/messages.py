"""The messages by which ComfyUI tells a client how its executions go."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from workers.engines.protocol import EngineAway


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the WebSocket."""

    type: str
    data: Mapping[str, Any]

    @property
    def prompt_id(self) -> str | None:
        """Which execution it is about."""
        found = self.data.get("prompt_id")
        return found if isinstance(found, str) else None


class Socket:
    """The connection on which ComfyUI tells one client how its executions go."""

    def __init__(self, connection: ClientConnection) -> None:
        """Listen on an open connection."""
        self._connection = connection

    def next(self, seconds: float) -> Message | None:
        """Return the next message; None when none came in that time. Previews do not count.

        :raises EngineAway: when the connection is gone.
        """
        ends_at = time.monotonic() + seconds
        while True:
            try:
                received = self._connection.recv(timeout=max(0.0, ends_at - time.monotonic()))
            except TimeoutError:
                return None
            except (ConnectionClosed, OSError) as error:
                raise EngineAway("ComfyUI closed the connection") from error
            message = None if isinstance(received, bytes) else _message(received)
            if message is not None:
                return message


def _message(text: str) -> Message | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    kind, data = message.get("type"), message.get("data")
    return Message(str(kind), data if isinstance(data, dict) else {})
