"""Where the Hoard that horde-sdk talks to listens.

The SDK reads the address of its server from the environment while it is imported, once for a whole
process. So the socket is there before any test imports the SDK: ``conftest.py`` imports this first.
"""

from __future__ import annotations

import atexit
import os
import socket

LISTENING = socket.create_server(("127.0.0.1", 0))
"""The socket; servers that start one after the other each take a duplicate of it."""

atexit.register(LISTENING.close)

URL = f"http://127.0.0.1:{LISTENING.getsockname()[1]}"

for _name in ("AI_HORDE_DEV_URL", "AI_HORDE_DEV_APIKEY", "TESTS_ONGOING"):
    os.environ.pop(_name, None)
os.environ["AI_HORDE_URL"] = f"{URL}/api/"
