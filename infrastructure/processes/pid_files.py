"""Which processes belong to a data folder: a file for each, which outlives whoever wrote it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_PATIENCE_SECONDS = 10.0


def birth_of(pid: int) -> str | None:
    """Return what tells a process from any other that ever has its id; None when it is gone.

    A process that is dead but not buried by its parent counts as gone.
    """
    if Path("/proc/self/stat").exists():
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            # The name comes second, in parentheses, and may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in {"Z", "X"} else f"{boot} {fields[19]}"
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def write_process_file(path: Path, pid: int) -> None:
    """Note that a process, the leader of its group, belongs to us."""
    birth = birth_of(pid)
    if birth is not None:
        path.write_text(f"{pid}\n{birth}\n")


def end_leftover(path: Path) -> bool:
    """Kill the group of the process that a file names, if it lives and is the very same.

    :returns: whether there was anything to kill.
    :raises TimeoutError: when it did not die.
    """
    try:
        number, _, birth = path.read_text().strip().partition("\n")
        pid = int(number)
    except (FileNotFoundError, ValueError):
        path.unlink(missing_ok=True)
        return False
    found = birth_of(pid) == birth
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while birth_of(pid) == birth:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {pid} does not end")
            time.sleep(0.01)
    path.unlink(missing_ok=True)
    return found
