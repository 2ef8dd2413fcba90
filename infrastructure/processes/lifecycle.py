"""The life of a process of Hoard: settings and logs, readiness, the stop signal."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path
from types import FrameType

from infrastructure.logs.configuration import configure_logs
from infrastructure.processes.child_processes import mark_ready
from infrastructure.processes.child_programs import CHILD_VARIABLE, RUN_FOLDER_VARIABLE
from infrastructure.settings.environment import Settings, load_settings


def read_command_line(module: str, description: str | None) -> None:
    """Answer ``--help``, and refuse every other argument: a process has settings alone.

    :param module: the name of the module that is run.
    :param description: its docstring.
    """
    first = (description or "").partition("\n")[0]
    argparse.ArgumentParser(
        prog=f"python -m infrastructure.processes.{module}",
        description=f"{first} It runs until SIGTERM; its settings are HOARD_ variables.",
    ).parse_args()


def start_process() -> Settings:
    """Read the settings from the environment and set the logs up.

    :raises SettingsInvalid: when a variable has no usable value.
    """
    settings = load_settings()
    configure_logs(settings.log_level, json=settings.log_json, for_good=True)
    return settings


def report_ready() -> None:
    """Report to the supervisor, if there is one, that this process is ready."""
    run_folder, name = os.environ.get(RUN_FOLDER_VARIABLE), os.environ.get(CHILD_VARIABLE)
    if run_folder and name:
        mark_ready(Path(run_folder), name)


def stop_on_signal() -> threading.Event:
    """Return an event that is set by SIGTERM or SIGINT; for the main thread only."""
    stop = threading.Event()

    def note(_number: int, _frame: FrameType | None) -> None:
        # The main thread may be inside of the event's own lock at this very moment.
        threading.Thread(target=stop.set, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return stop
