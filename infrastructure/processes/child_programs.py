"""The programs that ``hoard up`` runs, each with its settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import infrastructure
from infrastructure.processes.child_processes import Program
from infrastructure.processes.gpus import gpu_of
from infrastructure.processes.redis_server import redis_command
from infrastructure.settings.environment import Settings

API = "api"
PROJECTOR = "projector"
REDIS = "redis"
WEBHOOKS = "webhooks"

RUN_FOLDER_VARIABLE = "HOARD_RUN_FOLDER"
"""The folder of the ready files; unset in a process without a supervisor."""

CHILD_VARIABLE = "HOARD_CHILD"
"""The name of the child."""

LISTEN_VARIABLE = "HOARD_LISTEN_FD"
"""The descriptor of the socket that the API serves; unset when it opens its own."""

_KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(64 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 1024 * 1024),
}
"""Makes glibc keep freed memory: checking an image needs megabytes for milliseconds, and getting
them from the kernel each time took half of the time of a submit."""

_WORKER_DRAIN_SECONDS = 10.0
_WORKER_STOP_SECONDS = 30.0
"""In addition to the drain time: to return the batch, and for Celery to end."""

_LONGEST_WORKER_NAME = 100


def redis_program(settings: Settings, run_folder: Path) -> Program:
    """Return the embedded Redis.

    :raises RedisMissing: when there is no server to start.
    """
    return Program(REDIS, redis_command(settings.redis_socket, run_folder))


def api_program(settings: Settings, run_folder: Path, number: int, listening: int) -> Program:
    """Return API process ``number`` (from 1), which serves the socket ``listening``."""
    name = API if number == 1 else f"{API}-{number}"
    return Program(
        name,
        _process("api"),
        environment=_environment(settings, run_folder, name)
        | {LISTEN_VARIABLE: str(listening)}
        | _KEEP_MEMORY,
        sockets=(listening,),
    )


def projector_program(settings: Settings, run_folder: Path) -> Program:
    """Return the projector: followers, reactions and chores."""
    return Program(
        PROJECTOR,
        _process("projector"),
        environment=_environment(settings, run_folder, PROJECTOR),
    )


def webhooks_program(settings: Settings, run_folder: Path) -> Program:
    """Return the webhook sender."""
    return Program(
        WEBHOOKS,
        _process("webhooks"),
        environment=_environment(settings, run_folder, WEBHOOKS),
    )


def worker_program(
    settings: Settings, run_folder: Path, number: int, workers: int, gpus: tuple[str, ...] = ()
) -> Program:
    """Return in-cluster worker ``number`` (from 1) of ``workers``.

    :param gpus: those of this machine; each worker gets one.
    """
    name = f"worker-{number}"
    given = settings.worker_drain_seconds
    drain = _WORKER_DRAIN_SECONDS if given is None else given
    own = {"worker_name": _worker_name(settings, number), "worker_drain_seconds": drain}
    environment = _environment(settings.model_copy(update=own), run_folder, name)
    environment |= gpu_of(number, gpus)
    if workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        # Otherwise each uses every core, and together they are slower than one.
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
    return Program(
        name,
        _process("worker"),
        environment=environment,
        stop_timeout_seconds=drain + _WORKER_STOP_SECONDS,
    )


def lone_worker_program(settings: Settings) -> Program:
    """Return a worker without a supervisor, with unchanged settings."""
    return Program(
        "worker",
        _process("worker"),
        environment=settings.as_environment() | {"PYTHONPATH": _import_path()},
    )


def _worker_name(settings: Settings, number: int) -> str:
    if number == 1:
        return settings.worker_name
    suffix = f" {number}"
    return settings.worker_name[: _LONGEST_WORKER_NAME - len(suffix)] + suffix


def _process(name: str) -> tuple[str, ...]:
    # -P: a folder in the working directory must not shadow one of our packages.
    return (sys.executable, "-P", "-m", "infrastructure.processes", name)


def _environment(settings: Settings, run_folder: Path, name: str) -> dict[str, str]:
    return settings.as_environment() | {
        "PYTHONPATH": _import_path(),
        RUN_FOLDER_VARIABLE: str(run_folder),
        CHILD_VARIABLE: name,
    }


def _import_path() -> str:
    home = str(Path(infrastructure.__file__).parent.parent)
    return os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
