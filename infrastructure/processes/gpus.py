"""The GPUs of this machine, without loading torch to find out."""

from __future__ import annotations

import os
import subprocess

VARIABLE = "CUDA_VISIBLE_DEVICES"
"""What tells CUDA, and ROCm as well, which of the machine's GPUs a process may see."""

_SECONDS_TO_ANSWER = 20.0


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as :data:`VARIABLE` names them.

    Those that the variable names already, else those that NVIDIA's driver tells of; elsewhere
    (ROCm, Apple's) none are known, and nobody is told which to take.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return _named(given)
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_ANSWER,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in told.stdout.splitlines() if line.strip().isdigit())


def gpu_of(number: int, gpus: tuple[str, ...]) -> dict[str, str]:
    """Return the variables with which worker ``number`` (from 1) sees one GPU alone.

    More workers than GPUs share them in turn; without GPUs there is nothing to set.
    """
    return {VARIABLE: gpus[(number - 1) % len(gpus)]} if gpus else {}


def _named(given: str) -> tuple[str, ...]:
    names: list[str] = []
    for name in (part.strip() for part in given.split(",")):
        # CUDA sees nothing from the first name on that is none.
        if not name or name.startswith("-"):
            break
        names.append(name)
    return tuple(names)
