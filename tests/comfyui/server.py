"""A real ComfyUI on the CPU, in a process that tests may kill and start again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from safetensors.torch import save_file
from torch import Tensor

from tests.comfyui.installation import Installation
from tests.paths import ROOT
from tests.waiting import DEADLINE_SECONDS, wait_until

_NODE_PACK = "counting_nodes"
# Operators are told to copy this one.
_HOARDS_NODE = ROOT / "workers" / "engines" / "comfyui" / "custom_nodes" / "hoard_noise.py"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ComfyUIServer:
    """ComfyUI on a base folder of its own and a free port, which it keeps when started again."""

    def __init__(self, installation: Installation, base: Path) -> None:
        self.base = base
        self.port = _free_port()
        self._installation = installation
        self._process: subprocess.Popen[bytes] | None = None
        self._passes = base / "passes"
        self._limit = base / "passes.limit"
        self._log = base / "log"
        (base / "front-end").mkdir(parents=True)
        for folder in ("checkpoints", "loras"):
            self.models(folder).mkdir(parents=True)
        nodes = base / "custom_nodes"
        shutil.copytree(Path(__file__).with_name(_NODE_PACK), nodes / _NODE_PACK)
        shutil.copy(_HOARDS_NODE, nodes)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    def models(self, folder: str) -> Path:
        """Where it looks for models of a kind."""
        return self.base / "models" / folder

    def add_checkpoint(self, file: Path, name: str) -> None:
        """Offer a checkpoint under a name."""
        place = self.models("checkpoints") / f"{name}.safetensors"
        try:
            os.link(file, place)
        except OSError:
            shutil.copyfile(file, place)

    def add_model(self, folder: str, name: str, tensors: dict[str, Tensor]) -> None:
        """Put another model into a folder of its kind."""
        self.models(folder).mkdir(parents=True, exist_ok=True)
        save_file(tensors, self.models(folder) / f"{name}.safetensors")

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._installation.python, "main.py", "--cpu"),
                    *("--listen", "127.0.0.1", "--port", str(self.port)),
                    *("--base-directory", self.base),
                    *("--front-end-root", self.base / "front-end"),
                    "--disable-api-nodes",
                ],
                cwd=self._installation.source,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        wait_until(self._answers, "ComfyUI to answer")

    def kill(self) -> None:
        """End it with SIGKILL, as the kernel does when memory is short."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(DEADLINE_SECONDS)

    def log(self) -> str:
        """What it printed since it was made."""
        return self._log.read_text(errors="replace")

    def has_passed(self) -> bool:
        """Whether anything went through a model since :meth:`passes` was last asked."""
        return self._passes.exists()

    def passes(self) -> list[int]:
        """How many rows went through a model together, for each pass since this was last asked."""
        if not self._passes.exists():
            return []
        rows = [int(line) for line in self._passes.read_text().splitlines()]
        self._passes.unlink()
        return rows

    @contextlib.contextmanager
    def memory_for(self, rows: int) -> Iterator[None]:
        """Let a pass with more rows fail as it does on a GPU whose memory is full."""
        self._limit.write_text(str(rows))
        try:
            yield
        finally:
            self._limit.unlink()

    @contextlib.contextmanager
    def no_more_memory_than(self, mib: int) -> Iterator[None]:
        """Let the kernel give it this much more memory than it has now, and no more."""
        assert self._process is not None
        pid = self._process.pid
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        before = resource.prlimit(pid, resource.RLIMIT_AS)
        limit = pages * resource.getpagesize() + mib * 1024**2
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, before[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_AS, before)

    def queue(self) -> dict[str, Any]:
        """What it runs and what waits: ``queue_running`` and ``queue_pending``."""
        found: dict[str, Any] = httpx.get(f"{self.url}/queue", timeout=30).json()
        return found

    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not any(self.queue().values())

    def queue_plain_images(self, images: int) -> str:
        """Have it save plain images for somebody else; return the id of that execution."""
        plain = {"width": 64, "height": 64, "batch_size": images, "color": 0x336699}
        graph = {
            "1": {"class_type": "EmptyImage", "inputs": plain},
            "2": {
                "class_type": "SaveImage",
                "inputs": {"images": ["1", 0], "filename_prefix": f"other-{uuid4().hex}"},
            },
        }
        answer = httpx.post(f"{self.url}/prompt", json={"prompt": graph}, timeout=30)
        return str(answer.raise_for_status().json()["prompt_id"])

    def saved_by(self, prompt_id: str) -> list[Path]:
        """The files that an execution saved."""
        history = httpx.get(f"{self.url}/history/{prompt_id}", timeout=30).json()
        images = history[prompt_id]["outputs"]["2"]["images"]
        return [self.base / "output" / each["subfolder"] / each["filename"] for each in images]

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(self.log())
        try:
            return httpx.get(f"{self.url}/system_stats", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _environment(self) -> dict[str, str]:
        # With a thread for each core and threads that spin while they wait, ComfyUI and a test
        # beside it hold each other up.
        return os.environ | {
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "HOARD_PASSES_FILE": str(self._passes),
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
