"""A model's main file, as engines are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from domain.models.catalogue import Baseline


class CheckpointKind(StrEnum):
    """What a model's file holds; it decides how ComfyUI loads it."""

    CHECKPOINT = "checkpoint"
    """Everything: denoiser, text encoders and VAE."""
    DIFFUSION_MODEL = "diffusion_model"
    """The denoiser alone."""


@dataclass(frozen=True, slots=True)
class CheckpointPart:
    """A further file of a model whose main file holds the denoiser alone."""

    type: str
    """What it holds, in the catalogue's words: ``text_encoder``, ``vae``, …"""
    name: str
    """Its path below its kind's folder, as ComfyUI lists it."""
    path: Path


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """The main file of a model, verified."""

    name: str
    """Its path below its kind's folder, as ComfyUI lists it, such as ``sdxl/base.safetensors``."""
    kind: CheckpointKind
    path: Path
    sha256: str
    """64 lower-case hexadecimal digits."""
    baseline: Baseline
    parts: tuple[CheckpointPart, ...] = ()
    """The other files of it that the catalogue names, in the catalogue's order."""
