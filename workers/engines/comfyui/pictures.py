"""The wanted images of a batch, out of the files that ComfyUI saved."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from workers.engines.protocol import Batch, EngineFailed, EngineImage


def images_of(batch: Batch, files: tuple[bytes, ...]) -> tuple[EngineImage, ...]:
    """Return the wanted images, in the order of the batch.

    :param files: one for each place that went through the model.
    :raises EngineFailed: when one cannot be read.
    """
    pictures = dict(zip(batch.places_run, files, strict=True))
    return tuple(
        EngineImage(image_id=image_id, place=place, picture=_open(pictures[place]))
        for image_id, place in zip(batch.image_ids, batch.places, strict=True)
    )


def _open(file: bytes) -> Image.Image:
    """Read an image; the prompt that ComfyUI wrote into its file stays behind."""
    try:
        with Image.open(io.BytesIO(file)) as opened:
            opened.load()
            picture = opened.copy()
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise EngineFailed("ComfyUI saved an image that cannot be read") from error
    picture.info.clear()
    return picture
