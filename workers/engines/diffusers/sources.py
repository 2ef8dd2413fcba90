"""The images that a batch starts from, brought to its size."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain.images.source_images import SourceProcessing
from workers.engines.protocol import EngineFailed, Source
from workers.engines.transparency import over_grey

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS: Final = ("PNG", "WEBP", "JPEG")
_FILLING_RADII: Final = (2, 8, 32, 128)


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is drawn on, in the size of the images to come."""

    image: Image
    """RGB."""
    mask: Image | None
    """Greyscale: white is drawn anew, black stays; None draws the whole image anew."""


def read_canvas(source: Source, width: int, height: int) -> Canvas | None:
    """Read a batch's source; None when it has no image.

    An image of other proportions is cut around its centre. One to be painted beyond its edges that
    neither has a mask nor anything transparent stands in the middle of the canvas in its own size,
    or as large as fits.

    :raises EngineFailed: when it cannot be read, or is to be used as this engine cannot.
    """
    if source.image is None:
        return None
    if source.processing is SourceProcessing.REMIX:
        raise EngineFailed("this engine does not remix images")
    image = _open(source.image, "source image").convert("RGBA")
    if source.processing is SourceProcessing.IMG2IMG:
        return Canvas(_fitted(over_grey(image), width, height), None)
    mask = _mask_of(image, source)
    if mask is None and source.processing is SourceProcessing.OUTPAINTING:
        image = _centred(image, width, height)
        mask = _mask_of(image, source)
    if mask is None:
        return Canvas(_fitted(over_grey(image), width, height), None)
    mask = _fitted(mask, width, height)
    return Canvas(_filled(_fitted(image, width, height), mask), mask)


def _open(file: bytes, what: str) -> Image:
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(file), formats=_FORMATS) as opened:
            opened.load()
            upright: Image.Image = ImageOps.exif_transpose(opened)
            return upright
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise EngineFailed(f"the {what} cannot be read") from None


def _mask_of(image: Image, source: Source) -> Image | None:
    """The given mask, else what is transparent; None when that is nothing."""
    from PIL import ImageChops

    if source.mask is not None:
        given = _open(source.mask, "source mask")
        return given.convert("L").resize(image.size)
    transparent = ImageChops.invert(image.getchannel("A"))
    return transparent if transparent.getbbox() else None


def _fitted(image: Image, width: int, height: int) -> Image:
    from PIL import Image, ImageOps

    if image.size == (width, height):
        return image
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def _centred(image: Image, width: int, height: int) -> Image:
    from PIL import Image, ImageOps

    if image.width > width or image.height > height:
        image = ImageOps.contain(image, (width, height), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
    return canvas


def _filled(image: Image, mask: Image) -> Image:
    """The image with what is to be drawn anew and shows nothing in the colours around it.

    Transparent pixels are black beneath as a rule, and a denoiser that starts from black draws
    darkness there.
    """
    from PIL import Image, ImageFilter

    visible = image.getchannel("A")
    if visible.getextrema()[0] == 255:
        return image.convert("RGB")
    seen = Image.composite(image, Image.new("RGBA", image.size, (0, 0, 0, 0)), visible)
    seen.putalpha(visible)
    ground = Image.new("RGBA", image.size, (127, 127, 127, 255))
    for radius in reversed(_FILLING_RADII):
        spread = seen.convert("RGBa").filter(ImageFilter.BoxBlur(radius)).convert("RGBA")
        reached = spread.getchannel("A").point(lambda alpha: 255 if alpha > 8 else 0)
        spread.putalpha(reached)
        ground = Image.alpha_composite(ground, spread)
    return Image.alpha_composite(ground, seen).convert("RGB")
