"""Child processes: restarted after a crash, stopped by SIGTERM and then SIGKILL, with log files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import structlog

from domain.backoff import Backoff
from infrastructure.processes import launcher
from infrastructure.processes.pid_files import kill_orphan, write_process_file

_log = structlog.get_logger(__name__)

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 10.0
_HEALTHY_AFTER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run."""

    name: str
    """Unique in its data folder; names its log and its files."""
    command: tuple[str, ...]
    """The program's path and its arguments."""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Variables beside those of this process."""
    sockets: tuple[int, ...] = ()
    """Descriptors that it inherits."""
    stop_timeout_seconds: float = 10.0
    """How long it may take to end after SIGTERM before it is killed."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the files of children lie."""

    run: Path
    """``name.pid`` of each child that runs, ``name.ready`` of each that reported ready."""
    logs: Path | None
    """``name.log`` for each child; None sends their output to standard error."""


class Child:
    """A supervised program, the leader of its own process group."""

    def __init__(self, program: Program, folders: Folders) -> None:
        """Start nothing yet."""
        self.program = program
        self.crashes = 0
        """How often in a row it ended within 30 seconds."""
        self._folders = folders
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._backoff = Backoff(_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS)
        self._kill_at: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether it ran when it was last polled."""
        return self._process is not None

    @property
    def reports_ready(self) -> bool:
        """Whether the present process has reported that it is ready."""
        if self._process is None:
            return False
        try:
            return self._ready_file.read_text().strip() == str(self._process.pid)
        except FileNotFoundError:
            return False

    def ensure_running(self, now: float) -> None:
        """Start it if it does not run and its backoff is over."""
        self._poll(now)
        if self._process is None and now >= self._start_at:
            try:
                self._start(now)
            except OSError as error:
                _log.error("child not started", child=self.program.name, error=str(error))
                self._plan_next_start(now)

    def terminate(self, now: float) -> None:
        """Send SIGTERM; after its timeout :meth:`has_stopped` kills it."""
        self._kill_at = now + self.program.stop_timeout_seconds
        self._poll(now)
        if self._process is not None:
            self._process.terminate()

    def has_stopped(self, now: float) -> bool:
        """Whether it has ended; it is killed after its timeout."""
        self._poll(now)
        if self._process is not None and self._kill_at is not None and now >= self._kill_at:
            _log.warning("child killed", child=self.program.name, why="it did not stop in time")
            self.kill()
        return self._process is None

    def kill(self) -> None:
        """Kill its process group at once."""
        if self._process is not None:
            _kill_group(self._process.pid)
            self._process.wait()
            self._clear_files()

    def _start(self, now: float) -> None:
        folders = self._folders
        folders.run.mkdir(parents=True, exist_ok=True)
        kill_orphan(self._process_file)
        self._ready_file.unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            output = None
            if folders.logs is not None:
                output = stack.enter_context(open_log(folders.logs, self.program.name))
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())),
                    *self.program.command,
                ],
                env=os.environ | dict(self.program.environment),
                pass_fds=self.program.sockets,
                stdin=subprocess.DEVNULL,
                stdout=output if output is not None else sys.stderr.fileno(),
                stderr=subprocess.STDOUT,
                # A Ctrl-C at the terminal is for the supervisor, which stops all in order.
                start_new_session=True,
            )
        self._started_at = now
        write_process_file(self._process_file, self._process.pid)

    def _poll(self, now: float) -> None:
        """Notice that it ended, kill the rest of its group, and plan the next start."""
        process = self._process
        if process is None or not _has_ended(process.pid):
            return
        # Before it is reaped: until then no other group can get the same id.
        _kill_group(process.pid)
        status = process.wait()
        self._clear_files()
        lived = now - self._started_at
        if lived >= _HEALTHY_AFTER_SECONDS:
            self.crashes = 0
            self._backoff.reset()
        backoff = self._plan_next_start(now)
        if self._kill_at is None:
            _log.warning(
                "child ended",
                child=self.program.name,
                status=_status_text(status),
                lived_seconds=round(lived, 1),
                restart_in_seconds=backoff,
            )

    def _plan_next_start(self, now: float) -> float:
        self.crashes += 1
        backoff = self._backoff.next_pause()
        self._start_at = now + backoff
        return backoff

    def _clear_files(self) -> None:
        self._process = None
        self._process_file.unlink(missing_ok=True)
        self._ready_file.unlink(missing_ok=True)

    @property
    def _process_file(self) -> Path:
        return self._folders.run / f"{self.program.name}.pid"

    @property
    def _ready_file(self) -> Path:
        return ready_file(self._folders.run, self.program.name)


def ready_file(run_folder: Path, name: str) -> Path:
    """Return the file in which a ready child writes its process id."""
    return run_folder / f"{name}.ready"


def mark_ready(run_folder: Path, name: str) -> None:
    """Write the ready file of this child, if there is a run folder."""
    if run_folder.is_dir():
        ready_file(run_folder, name).write_text(f"{os.getpid()}\n")


def kill_orphans(run_folder: Path) -> int:
    """Kill the children of a supervisor that was killed; return how many there were.

    :raises TimeoutError: when one of them did not die.
    """
    found = sum(kill_orphan(path) for path in sorted(run_folder.glob("*.pid")))
    for path in run_folder.glob("*.ready"):
        path.unlink(missing_ok=True)
    return found


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(leader: int) -> None:
    # Some systems refuse when the group holds zombies only.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _status_text(status: int) -> str:
    return f"exit {status}" if status >= 0 else signal.Signals(-status).name


_LARGEST_LOG_BYTES = 10 * 1024 * 1024
_OLD_LOGS_KEPT = 3


def open_log(folder: Path, name: str, largest: int = _LARGEST_LOG_BYTES) -> BinaryIO:
    """Open ``folder/name.log`` for appending.

    A file of ``largest`` bytes or more becomes ``name.log.1`` first, an older one of that name
    ``name.log.2``, and so on; three are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    if path.exists() and path.stat().st_size >= largest:
        for number in range(_OLD_LOGS_KEPT - 1, 0, -1):
            older = path.with_name(f"{name}.log.{number}")
            if older.exists():
                older.replace(path.with_name(f"{name}.log.{number + 1}"))
        path.replace(path.with_name(f"{name}.log.1"))
    return path.open("ab", buffering=0)
