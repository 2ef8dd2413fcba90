"""``hoard up``: everything that one machine needs, as children of one supervisor."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from infrastructure.keys.master_key import FolderNotPrivate
from infrastructure.logs.configuration import configure_logs
from infrastructure.processes.api_sockets import CannotListen, answers_heartbeat, listen
from infrastructure.processes.child_processes import Child, Folders, Program, end_leftovers
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
    clear_place_of,
    make_place_for,
)
from infrastructure.processes.shutdown import Interruptions
from infrastructure.settings.environment import Settings

_log = structlog.get_logger(__name__)

_LOOK_EVERY_SECONDS = 0.05
_TEND_EVERY_SECONDS = 0.5
_READY_WITHIN_SECONDS = 180.0
_CRASHES_AT_START = 4


class NotStarted(Exception):
    """Hoard could not be started; the message says why and what to do."""


def run_up(
    settings: Settings, workers: int, on_ready: Callable[[], None], *, verbose: bool = False
) -> int:
    """Run everything until SIGTERM, SIGINT or SIGHUP; return the exit status.

    Children that crash are started again, with a growing pause. On the first signal all stop in
    order: the API, the workers and the sender of webhooks (which finish or return what they do),
    the projector, Redis. A second signal kills them. Should this process be killed itself, the
    kernel kills the children.

    For the main thread only.

    :param workers: in-cluster worker processes, 0 or more.
    :param on_ready: called once, when the API answers, Redis answers and the projector runs.
    :param verbose: whether children log to standard error rather than to ``logs/`` in the data
        folder.
    :returns: 0 after a signal, 1 when it could not be started (standard error says why).
    """
    configure_logs(settings.log_level, json=settings.log_json)
    try:
        with locked(settings.data), Interruptions() as interruptions, ExitStack() as stack:
            household = _Household(settings, workers, interruptions, verbose=verbose)
            stack.callback(household.clear_up)
            household.run(on_ready)
    except (NotStarted, FolderBusy, CannotListen, RedisMissing, FolderNotPrivate) as error:
        print(f"hoard up: {error}", file=sys.stderr)
        return 1
    return 0


class _Household:
    """The children of one ``hoard up``."""

    def __init__(
        self, settings: Settings, workers: int, interruptions: Interruptions, *, verbose: bool
    ) -> None:
        self._settings = settings
        self._interruptions = interruptions
        self._run = settings.data / "run"
        self._logs = None if verbose else settings.data / "logs"
        self._workers = workers
        self._listening: list[socket.socket] = []
        self._children: list[Child] = []

    def run(self, on_ready: Callable[[], None]) -> None:
        settings = self._settings
        self._run.mkdir(parents=True, exist_ok=True)
        if found := end_leftovers(self._run):
            _log.warning("leftover processes killed", processes=found)
        self._listening = listen(settings.host, settings.port, settings.api_processes)
        _prepare(settings)
        if settings.has_embedded_redis:
            make_place_for(settings.redis_socket, settings.data)
        folders = Folders(run=self._run, logs=self._logs)
        self._children = [Child(program, folders) for program in self._programs()]
        is_ready = False
        started_at = time.monotonic()
        while not self._interruptions.stops:
            now = time.monotonic()
            for child in self._children:
                child.tend(now)
            if not is_ready:
                is_ready = self._is_ready()
                if is_ready:
                    on_ready()
                else:
                    self._require_progress(now - started_at)
            self._interruptions.wait(_TEND_EVERY_SECONDS if is_ready else _LOOK_EVERY_SECONDS)
        self._stop()

    def clear_up(self) -> None:
        """Leave no process and no socket, whatever happened."""
        for child in self._children:
            child.kill()
        for listening in self._listening:
            listening.close()
        if self._settings.has_embedded_redis:
            clear_place_of(self._settings.redis_socket, self._settings.data)

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
        if not all(child.says_ready for child in self._named(API, PROJECTOR)):
            return False
        if self._settings.has_embedded_redis and not answers_ping(self._settings.redis_socket):
            return False
        return answers_heartbeat(self._listening[0])

    def _require_progress(self, seconds: float) -> None:
        for child in self._named(API, PROJECTOR, REDIS):
            if child.crashes >= _CRASHES_AT_START:
                raise NotStarted(
                    f"{child.program.name} ends again and again{self._evidence(child)}"
                )
        if seconds > _READY_WITHIN_SECONDS:
            slow = [child for child in self._named(API, PROJECTOR) if not child.says_ready]
            names = " and ".join(child.program.name for child in slow) or "the API"
            raise NotStarted(f"{names} did not get ready; see {self._logs or 'above'}")

    def _evidence(self, child: Child) -> str:
        if self._logs is None:
            return "; see above"
        path = self._logs / f"{child.program.name}.log"
        return f"; the end of {path}:\n{_last_lines(path)}"

    def _stop(self) -> None:
        """Stop in order, those first that make work for others."""
        last = [PROJECTOR, REDIS]
        first = [child for child in self._children if child.program.name not in last]
        for group in (first, self._named(PROJECTOR), self._named(REDIS)):
            for child in group:
                child.ask_to_stop(time.monotonic())
            while group:
                group = [child for child in group if not child.has_stopped(time.monotonic())]
                if self._interruptions.stops > 1:
                    return
                self._interruptions.wait(_LOOK_EVERY_SECONDS)

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
        # Opened here, so that workers that start at once do not each open one.
        _ = hoard.operator
    finally:
        hoard.close()


def _last_lines(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(nothing)"


_FILE = "hoard.lock"


class FolderBusy(Exception):
    """Another process works on the folder; the message says which and what to do."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder as long as the block runs; a process that dies lets go of it.

    :raises FolderBusy: when somebody else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise FolderBusy(
                f"another `hoard up` (process {holder}) works on {folder}: "
                "stop it first, or choose another folder with --data"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)
