"""The server of a demo: a new folder, and ``hoard up`` on it as a child process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import infrastructure
from infrastructure.cli.terminal.errors import CliError
from infrastructure.processes import launcher

_LOG_LINES_SHOWN = 15


def free_port() -> int:
    """Return a TCP port of the loopback address that no process listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """``hoard up`` on a folder; a context manager that leaves nothing running."""

    def __init__(self, data: Path, port: int, *, log: Path) -> None:
        """Prepare; nothing runs yet.

        :param log: file that gets what the server says on standard error.
        """
        self._command = [
            # Should this process be killed, the kernel ends the child with it.
            *(sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())),
            *(sys.executable, "-P", "-m", "infrastructure.cli", "up", "--json"),
            *("--data", str(data), "--port", str(port), "--host", "127.0.0.1"),
        ]
        self._log = log
        self._ready = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as log:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(_import_paths())},
                # Ctrl-C is for this process, which then stops the child in its own time.
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, args=(self._child,), daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it, whatever happened."""
        self.stop()

    def wait_until_ready(self, seconds: float) -> None:
        """Return as soon as the server says that it is ready.

        :raises CliError: when it ends before, or takes longer than so many seconds.
        """
        said = self._ready.wait(seconds)
        assert self._child is not None
        if said and self._child.poll() is None:
            return
        why = "ended while it started" if said else f"was not ready within {seconds:g} seconds"
        raise CliError(
            f"The server {why}. The end of {self._log}:\n{self._end_of_log()}",
            advice="It was stopped; correct the error and try again.",
        )

    def stop(self, seconds: float = 60) -> int | None:
        """Send SIGTERM and wait; kill it after the timeout. Return its exit status."""
        child = self._child
        if child is None:
            return None
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        if self._listener is not None:
            self._listener.join()
        return child.returncode

    def _listen(self, child: subprocess.Popen[str]) -> None:
        assert child.stdout is not None
        with child.stdout as lines:
            for line in lines:
                if _is_ready(line):
                    self._ready.set()
        # Its end wakes the waiting thread, too, which then checks whether it still runs.
        child.wait()
        self._ready.set()

    def _end_of_log(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])


def _import_paths() -> list[str]:
    home = str(Path(infrastructure.__file__).parent.parent)
    return [home, *filter(None, [os.environ.get("PYTHONPATH")])]


def _is_ready(line: str) -> bool:
    try:
        said = json.loads(line)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("type") == "ready"


def fresh_folder(folder: Path) -> Path:
    """Return ``folder``, or if a demo was there before, the first of ``folder/2``, ``folder/3``…

    Its ``data`` is made, and is empty. Nothing is deleted: an earlier demo may still run, or hold
    images that are wanted.

    :raises CliError: when there is a file of that name.
    """
    for number in count(1):
        candidate = folder if number == 1 else folder / str(number)
        try:
            (candidate / "data").mkdir(parents=True)
        except FileExistsError:
            if any(part.exists() and not part.is_dir() for part in (folder, candidate)):
                raise CliError(
                    f"{candidate} is not a folder.", advice="Choose another with --out DIR."
                ) from None
            continue
        except NotADirectoryError:
            raise CliError(
                f"{folder} is not a folder.", advice="Choose another with --out DIR."
            ) from None
        return candidate
    raise AssertionError("there is always another number")
