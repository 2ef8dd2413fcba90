"""What the engine needs from whoever keeps the files of models and LoRAs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from workers.models.checkpoint_file import CheckpointFile


class ModelFiles(Protocol):
    """The models on ComfyUI's disk."""

    def names(self) -> Collection[str]:
        """Return the models that are there, as requests know them."""

    def file_of(self, model: str) -> CheckpointFile | None:
        """Return the file of a model; None when it is not there, or is not what it should be."""
