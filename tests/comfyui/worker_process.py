"""``hoard worker run --engine comfyui`` beside a running server, as an operator types it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infrastructure.processes.pid_files import process_identity
from tests.comfyui.server import ComfyUIServer
from tests.e2e.program import Program, alive, children_of
from tests.paths import ROOT
from tests.waiting import DEADLINE_SECONDS, wait_until

_HOARD = (sys.executable, "-m", "infrastructure.cli")


@contextmanager
def comfyui_worker(hoard: Program, comfyui: ComfyUIServer, *, amount: int) -> Iterator[Path]:
    """Run the worker for as long as the block runs; gives the file that it logs to."""
    log_file = hoard.data / "comfyui-worker.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [
                *(*_HOARD, "worker", "run", "--engine", "comfyui"),
                *("--url", comfyui.url, "--comfyui-folder", str(comfyui.base)),
                *("--amount", str(amount)),
            ],
            cwd=ROOT,
            env=hoard.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield log_file
    finally:
        pids = [process.pid, *children_of(process.pid)]
        family = {(pid, birth) for pid in pids if (birth := process_identity(pid)) is not None}
        process.kill()
        process.wait(DEADLINE_SECONDS)
        wait_until(lambda: not alive(family), "the worker's processes to be gone")


def events_of(hoard: Program, request_id: str, kind: str) -> list[dict[str, Any]]:
    """Return what the events of one kind carry in the history of a request, in their order."""
    done = subprocess.run(
        [*_HOARD, "events", "--request", request_id, "--json"],
        cwd=ROOT,
        env=hoard.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [event["data"] for event in events if event["type"] == kind]
