"""The supervisor of ``hoard up``: all processes of one machine as its children."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog
from filelock import FileLock, Timeout

from infrastructure.keys.master_key import FolderNotPrivate
from infrastructure.logs.configuration import configure_logs
from infrastructure.processes.api_sockets import CannotListen, answers_heartbeat, listen
from infrastructure.processes.child_processes import Child, Folders, Program, kill_orphans
from infrastructure.processes.child_programs import (
    API,
    PROJECTOR,
    REDIS,
    api_program,
    projector_program,
    redis_program,
    webhooks_program,
    worker_program,
)
from infrastructure.processes.gpus import visible_gpus
from infrastructure.processes.redis_server import (
    RedisMissing,
    answers_ping,
    prepare_socket,
    remove_socket,
)
from infrastructure.processes.shutdown import StopSignals
from infrastructure.settings.environment import Settings

_log = structlog.get_logger(__name__)

_POLL_AT_START_SECONDS = 0.05
_POLL_EVERY_SECONDS = 0.5
_READY_WITHIN_SECONDS = 180.0
_CRASHES_AT_START = 4
_LOCK_FILE = "hoard.lock"


class NotStarted(Exception):
    """Hoard could not be started; the message says why and what to do."""


def run_up(
    settings: Settings, workers: int, on_ready: Callable[[], None], *, verbose: bool = False
) -> int:
    """Run everything until SIGTERM, SIGINT or SIGHUP; return the exit status.

    Crashed children are restarted with a backoff. On the first signal all stop in order: API,
    workers and webhook sender (which finish or return their work), projector, Redis. A second
    signal kills them. If this process is killed, the kernel kills the children.

    For the main thread only.

    :param workers: in-cluster worker processes, 0 or more.
    :param on_ready: called once, when the API answers, Redis answers and the projector runs.
    :param verbose: whether children log to standard error rather than to ``logs/`` in the data
        folder.
    :returns: 0 after a signal, 1 when it could not be started (standard error says why).
    """
    configure_logs(settings.log_level, json=settings.log_json)
    try:
        with locked(settings.data), StopSignals() as signals, ExitStack() as stack:
            supervisor = _Supervisor(settings, workers, signals, verbose=verbose)
            stack.callback(supervisor.clear_up)
            supervisor.run(on_ready)
    except (NotStarted, FolderBusy, CannotListen, RedisMissing, FolderNotPrivate) as error:
        print(f"hoard up: {error}", file=sys.stderr)
        return 1
    return 0


class FolderBusy(Exception):
    """Another process works on the folder; the message says which and what to do."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a data folder as long as the block runs; the kernel releases it when a process dies.

    :raises FolderBusy: when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK_FILE
    # The file stays: it names the holder to others, and a removed file would lock no process out.
    lock = FileLock(path, preserve_lock_file=True)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = path.read_text(errors="replace").strip() or "unknown"
        raise FolderBusy(
            f"another `hoard up` (process {holder}) works on {folder}: "
            "stop it first, or choose another folder with --data"
        ) from None
    try:
        path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()


class _Supervisor:
    """The children of one ``hoard up``."""

    def __init__(
        self, settings: Settings, workers: int, signals: StopSignals, *, verbose: bool
    ) -> None:
        self._settings = settings
        self._signals = signals
        self._run = settings.data / "run"
        self._logs = None if verbose else settings.data / "logs"
        self._workers = workers
        self._listening: list[socket.socket] = []
        self._children: list[Child] = []

    def run(self, on_ready: Callable[[], None]) -> None:
        settings = self._settings
        self._run.mkdir(parents=True, exist_ok=True)
        if found := kill_orphans(self._run):
            _log.warning("orphaned processes killed", processes=found)
        self._listening = listen(settings.host, settings.port, settings.api_processes)
        _prepare(settings)
        if settings.has_embedded_redis:
            prepare_socket(settings.redis_socket, settings.data)
        folders = Folders(run=self._run, logs=self._logs)
        self._children = [Child(program, folders) for program in self._programs()]
        is_ready = False
        started_at = time.monotonic()
        while not self._signals.stops:
            now = time.monotonic()
            for child in self._children:
                child.ensure_running(now)
            if not is_ready:
                is_ready = self._is_ready()
                if is_ready:
                    on_ready()
                else:
                    self._require_progress(now - started_at)
            self._signals.wait(_POLL_EVERY_SECONDS if is_ready else _POLL_AT_START_SECONDS)
        self._stop()

    def clear_up(self) -> None:
        """Kill all children and close the sockets."""
        for child in self._children:
            child.kill()
        for listening in self._listening:
            listening.close()
        if self._settings.has_embedded_redis:
            remove_socket(self._settings.redis_socket, self._settings.data)

    def _programs(self) -> Sequence[Program]:
        settings, run_folder = self._settings, self._run
        gpus = visible_gpus() if self._workers else ()
        programs = [
            *(
                api_program(settings, run_folder, number, listening.fileno())
                for number, listening in enumerate(self._listening, start=1)
            ),
            projector_program(settings, run_folder),
            webhooks_program(settings, run_folder),
            *(
                worker_program(settings, run_folder, number + 1, self._workers, gpus)
                for number in range(self._workers)
            ),
        ]
        if settings.has_embedded_redis:
            programs.insert(0, redis_program(settings, run_folder))
        return programs

    def _is_ready(self) -> bool:
        if not all(child.reports_ready for child in self._named(API, PROJECTOR)):
            return False
        if self._settings.has_embedded_redis and not answers_ping(self._settings.redis_socket):
            return False
        return answers_heartbeat(self._listening[0])

    def _require_progress(self, seconds: float) -> None:
        for child in self._named(API, PROJECTOR, REDIS):
            if child.crashes >= _CRASHES_AT_START:
                raise NotStarted(f"{child.program.name} keeps ending{self._log_excerpt(child)}")
        if seconds > _READY_WITHIN_SECONDS:
            slow = [child for child in self._named(API, PROJECTOR) if not child.reports_ready]
            names = " and ".join(child.program.name for child in slow) or "the API"
            raise NotStarted(f"{names} did not get ready; see {self._logs or 'above'}")

    def _log_excerpt(self, child: Child) -> str:
        if self._logs is None:
            return "; see above"
        path = self._logs / f"{child.program.name}.log"
        return f"; the end of {path}:\n{_last_lines(path)}"

    def _stop(self) -> None:
        """Stop in order: first those that make work for others."""
        last = [PROJECTOR, REDIS]
        first = [child for child in self._children if child.program.name not in last]
        for group in (first, self._named(PROJECTOR), self._named(REDIS)):
            for child in group:
                child.terminate(time.monotonic())
            while group:
                group = [child for child in group if not child.has_stopped(time.monotonic())]
                if self._signals.stops > 1:
                    return
                self._signals.wait(_POLL_AT_START_SECONDS)

    def _named(self, *names: str) -> list[Child]:
        return [child for child in self._children if child.program.name in names]


def _prepare(settings: Settings) -> None:
    """Bring the databases up to date once, before several processes use them."""
    import sqlalchemy.exc

    from infrastructure.bootstrap import assemble

    try:
        hoard = assemble(settings)
    except sqlalchemy.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise NotStarted(f"the database cannot be used: {reason[0]}") from None
    try:
        # Here, so that workers that start at the same time do not each open one.
        _ = hoard.operator
    finally:
        hoard.close()


def _last_lines(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(nothing)"
