"""What a pipeline folder can do and which weights it holds, read before any weight is loaded."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

from workers.engines.protocol import EngineFailed
from workers.models.hashes import digest_of

_FOR_TEXT: Final = frozenset({"prompt", "generator", "callback_on_step_end"})
_FOR_IMAGES: Final = _FOR_TEXT | {"image", "strength", "num_inference_steps"}
_FOR_MASKS: Final = _FOR_IMAGES | {"mask_image"}

_WEIGHT_SUFFIXES: Final = frozenset({".safetensors", ".sft"})


class Painting(Enum):
    """How a part of an image is drawn anew."""

    BY_BLENDING = auto()
    """As image to image, with what stays put back at every step."""
    BY_ITS_OWN_PIPELINE = auto()
    """As diffusers does it for the family."""
    NOT_AT_ALL = auto()


@dataclass(frozen=True, slots=True)
class PipelineFolder:
    """A text-to-image pipeline in diffusers' folder format."""

    path: Path
    text_class: type[Any]
    """Makes images from text."""
    image_class: type[Any] | None
    """Makes images from images, with the same parts."""
    paint_class: type[Any] | None
    """Draws a part of an image anew, with the same parts."""
    painting: Painting
    has_safety_checker: bool
    rounds_up: bool
    """Whether it makes all the steps that a strength begins: pipelines with transformers do, those
    with a U-Net make the ones that it fills."""
    has_wide_range: bool
    """Whether its values leave the range of 16-bit floats with 5 bits of exponent."""
    variant: str | None
    """Which of several kinds of weights files is loaded: ``fp16`` where there are such."""

    @property
    def can_img2img(self) -> bool:
        """Whether it starts from images."""
        return self.image_class is not None

    @property
    def can_paint(self) -> bool:
        """Whether it draws parts of images anew."""
        return self.painting is not Painting.NOT_AT_ALL

    @property
    def can_lora(self) -> bool:
        """Whether LoRAs can be loaded into it."""
        return hasattr(self.text_class, "load_lora_weights")

    @property
    def can_skip_layers(self) -> bool:
        """Whether layers of its text encoder can be left out."""
        return "clip_skip" in arguments_of(self.text_class)

    @property
    def is_flux(self) -> bool:
        """Whether the model is of the flux family."""
        return self.text_class.__name__.startswith("Flux")


def read_folder(path: Path) -> PipelineFolder:
    """Look at a folder; needs diffusers, but loads no weights.

    :raises EngineFailed: when it holds no text-to-image pipeline that this engine can run.
    """
    import diffusers

    index = _json(path / "model_index.json")
    if index is None:
        raise EngineFailed("the model folder holds no diffusers pipeline")
    class_name = str(index.get("_class_name"))
    text_class = getattr(diffusers, class_name, None)
    if not isinstance(text_class, type):
        raise EngineFailed("the pipeline is of a kind that diffusers does not know")
    unet = _json(path / "unet" / "config.json")
    vae = _json(path / "vae" / "config.json") or {}
    if not arguments_of(text_class) >= _FOR_TEXT or _wants_a_mask(unet, vae):
        raise EngineFailed("the pipeline makes no images from text, or not in countable steps")
    image_class, paint_class = _relatives(class_name)
    return PipelineFolder(
        path=path,
        text_class=text_class,
        image_class=image_class,
        paint_class=paint_class,
        painting=_painting(image_class, paint_class, has_unet=unet is not None),
        has_safety_checker="safety_checker" in index,
        rounds_up=unet is None,
        has_wide_range=_has_wide_range(index, vae),
        variant="fp16" if any(path.glob("*/*.fp16.safetensors")) else None,
    )


def arguments_of(pipeline_class: type[Any]) -> frozenset[str]:
    """The names of what a pipeline can be called with."""
    return frozenset(inspect.signature(pipeline_class.__call__).parameters)


def _relatives(class_name: str) -> tuple[type[Any] | None, type[Any] | None]:
    """The classes that draw from images and into images with the parts of a text-to-image one."""
    from diffusers.pipelines import auto_pipeline

    family = next(
        (
            name
            for name, known in auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING.items()
            if known.__name__ == class_name
        ),
        "",
    )
    image_class = auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING.get(family)
    paint_class = auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING.get(family)
    return (
        image_class if image_class and arguments_of(image_class) >= _FOR_IMAGES else None,
        paint_class if paint_class and arguments_of(paint_class) >= _FOR_MASKS else None,
    )


def _painting(
    image_class: type[Any] | None, paint_class: type[Any] | None, *, has_unet: bool
) -> Painting:
    if has_unet:
        return Painting.BY_BLENDING if image_class else Painting.NOT_AT_ALL
    return Painting.BY_ITS_OWN_PIPELINE if paint_class else Painting.NOT_AT_ALL


def _has_wide_range(index: dict[str, Any], vae: dict[str, Any]) -> bool:
    """Transformers do, and the VAE of SDXL does unless its settings deny it.

    Those of SD 1 and 2 say the same of themselves only because that is the setting's default.
    """
    is_sdxl = "text_encoder_2" in index
    return "transformer" in index or (is_sdxl and bool(vae.get("force_upcast", True)))


def _wants_a_mask(unet: dict[str, Any] | None, vae: dict[str, Any]) -> bool:
    """Whether the denoiser sees a masked image beside the noise, so that it can only paint."""
    channels = vae.get("latent_channels")
    return unet is not None and channels is not None and unet.get("in_channels") != channels


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def weights_sha256(folder: Path, hash_of: Callable[[Path], str] = digest_of) -> str:
    """SHA-256 over the weights in ``folder``: 64 lower-case hexadecimal digits.

    It is that of one line for each file, sorted by name: the file's own SHA-256, two spaces and its
    path below the folder with slashes, as ``sha256sum`` writes them. So it can be checked by hand,
    and a folder that lies elsewhere or was copied has the same.

    :raises EngineFailed: when there are no weights, or they cannot be read.
    """
    files = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix in _WEIGHT_SUFFIXES and path.is_file()
    }
    if not files:
        raise EngineFailed("the model folder holds no weights")
    try:
        lines = [f"{hash_of(path)}  {name}\n" for name, path in sorted(files.items())]
    except OSError as error:
        raise EngineFailed(f"the weights cannot be read: {type(error).__name__}") from error
    return hashlib.sha256("".join(lines).encode()).hexdigest()
