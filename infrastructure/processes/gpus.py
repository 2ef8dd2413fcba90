"""The GPUs of this machine, without loading torch to find out."""

from __future__ import annotations

import os
import subprocess

VARIABLE = "CUDA_VISIBLE_DEVICES"
"""Limits the GPUs that a process may use, for CUDA and for ROCm."""

_SECONDS_TO_ANSWER = 20.0


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as :data:`VARIABLE` names them.

    Those in the variable, else those that NVIDIA's driver lists; elsewhere
    (ROCm, Apple's) none are known, and workers are not assigned one.
    """
    given = os.environ.get(VARIABLE)
    if given is not None:
        return _named(given)
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_ANSWER,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in listed.stdout.splitlines() if line.strip().isdigit())


def gpu_of(number: int, gpus: tuple[str, ...]) -> dict[str, str]:
    """Return the environment in which worker ``number`` (from 1) sees exactly one GPU.

    More workers than GPUs share them in turn; without GPUs there is nothing to set.
    """
    return {VARIABLE: gpus[(number - 1) % len(gpus)]} if gpus else {}


def _named(given: str) -> tuple[str, ...]:
    names: list[str] = []
    for name in (part.strip() for part in given.split(",")):
        # CUDA ignores the first invalid name and all after it.
        if not name or name.startswith("-"):
            break
        names.append(name)
    return tuple(names)
