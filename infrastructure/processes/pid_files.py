"""PID files: which processes belong to a data folder, also after their supervisor was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_KILL_TIMEOUT_SECONDS = 10.0


def process_identity(pid: int) -> str | None:
    """Return what distinguishes a process from later ones with the same id; None when it is gone.

    It is the boot id with the start time. A zombie counts as gone.
    """
    if Path("/proc/self/stat").exists():
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            # The name comes second, in parentheses, and may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in {"Z", "X"} else f"{boot} {fields[19]}"
    listed = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = listed.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def write_process_file(path: Path, pid: int) -> None:
    """Write the PID file of a process, the leader of its group."""
    identity = process_identity(pid)
    if identity is not None:
        path.write_text(f"{pid}\n{identity}\n")


def kill_orphan(path: Path) -> bool:
    """Kill the process group that a PID file names, if it is still the same process.

    :returns: whether it was alive.
    :raises TimeoutError: when it did not die.
    """
    try:
        number, _, identity = path.read_text().strip().partition("\n")
        pid = int(number)
    except (FileNotFoundError, ValueError):
        path.unlink(missing_ok=True)
        return False
    found = process_identity(pid) == identity
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        deadline = time.monotonic() + _KILL_TIMEOUT_SECONDS
        while process_identity(pid) == identity:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} does not end")
            time.sleep(0.01)
    path.unlink(missing_ok=True)
    return found
