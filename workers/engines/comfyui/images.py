"""Images on their way to ComfyUI and back: sources made to fit a batch, and the saved files read.

The source is stretched to the batch's size, as AI Horde's workers do. Where a part of it is drawn
anew, that is what the mask shows white or, without a mask, what is transparent. An image that shall
be painted beyond its edges and has neither is laid into the middle, and all around it is drawn.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError

from domain.images.source_images import MOST_PIXELS, SourceProcessing
from workers.engines.protocol import Batch, EngineFailed, EngineImage, Source
from workers.engines.transparency import over_grey

_PAINTING = (SourceProcessing.INPAINTING, SourceProcessing.OUTPAINTING)


@dataclass(frozen=True, slots=True)
class PreparedSource:
    """A source image as PNG files of the batch's size."""

    image: bytes
    mask: bytes | None
    """White is drawn anew, black stays; None when all of it is."""


def prepare(source: Source, *, width: int, height: int) -> PreparedSource | None:
    """Make the source fit; None when there is no image.

    :param width: pixels of the batch's images.
    :param height: pixels of the batch's images.
    :raises EngineFailed: when a file cannot be read, or is too large.
    """
    if source.image is None:
        return None
    size = width, height
    picture = _open(source.image, "the source image")
    if source.processing not in _PAINTING:
        return PreparedSource(_png(over_grey(_fit(picture, size))), None)
    if source.mask is not None:
        mask = _fit(_open(source.mask, "the mask").convert("L"), size)
        return PreparedSource(_png(over_grey(_fit(picture, size))), _png(mask))
    if _is_opaque(picture) and source.processing is SourceProcessing.OUTPAINTING:
        picture = _in_the_middle(picture, size)
    picture = _fit(picture, size)
    mask = ImageChops.invert(picture.getchannel("A"))
    return PreparedSource(_png(over_grey(picture)), _png(mask))


def _open(file: bytes, what: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(file)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise EngineFailed(f"{what} has too many pixels")
            return ImageOps.exif_transpose(opened).convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise EngineFailed(f"{what} cannot be read") from error


def _fit(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS)


def _is_opaque(picture: Image.Image) -> bool:
    return picture.getchannel("A").getextrema() == (255, 255)


def _in_the_middle(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Lay it onto a transparent ground of this size; a larger picture is shrunk to fit in."""
    inner = ImageOps.contain(picture, size) if _exceeds(picture.size, size) else picture
    ground = Image.new("RGBA", size, (0, 0, 0, 0))
    ground.paste(inner, ((size[0] - inner.width) // 2, (size[1] - inner.height) // 2))
    return ground


def _exceeds(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    return inner[0] > outer[0] or inner[1] > outer[1]


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


def images_of(batch: Batch, files: tuple[bytes, ...]) -> tuple[EngineImage, ...]:
    """Return the wanted images, in the order of the batch.

    :param files: one for each batch index that went through the model.
    :raises EngineFailed: when one cannot be read.
    """
    pictures = dict(zip(batch.indices_run, files, strict=True))
    return tuple(
        EngineImage(image_id=image_id, batch_index=index, picture=_read(pictures[index]))
        for image_id, index in zip(batch.image_ids, batch.indices, strict=True)
    )


def _read(file: bytes) -> Image.Image:
    """Read an image; the prompt that ComfyUI wrote into its file stays behind."""
    try:
        with Image.open(io.BytesIO(file)) as opened:
            opened.load()
            picture = opened.copy()
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise EngineFailed("ComfyUI saved an image that cannot be read") from error
    picture.info.clear()
    return picture
