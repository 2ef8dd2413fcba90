"""Checks, cleans and identifies the bytes of images."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

from PIL import Image, ImageCms, ImageOps

from api.http.base64_text import bytes_from
from api.http.png_chunks import PNG, without_heavy_chunks
from domain.return_codes import Refused

_FORMATS = ("WEBP", "PNG", "JPEG")
_SOURCE_FORMATS = (*_FORMATS, "GIF")
_MOST_PIXELS = 8192 * 8192
_LARGE_PIXELS = 4_000_000
_LONGEST_SIDE = 16_383
"""Of a WebP."""

_QUALITY = 95
"""A quality whose loss is not visible; lossless files are many times as large."""

_SRGB = ImageCms.createProfile("sRGB")
_MODE_OF_SPACE = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}

# A few bytes can say that they are 67 million pixels. One such image takes a quarter of a gigabyte
# while it is decoded; as many of them as there are threads would take the machine down.
_one_large_image = threading.Lock()


class Blobs(Protocol):
    """The port to the store of images."""

    def put(self, data: bytes) -> str:
        """Store the bytes, durably, and return their SHA-256 in hexadecimal."""

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        :raises LookupError: when there is no such blob, or no longer.
        """


class ImageUnreadable(Exception):
    """These bytes are no image that is taken; the message says why."""


class TooManyPixels(ImageUnreadable):
    """The image is larger than what is taken."""


@dataclass(frozen=True, slots=True)
class CleanImage:
    """An image and nothing else: no location, no camera, no name in it."""

    data: bytes
    """A WebP."""
    is_transparent: bool
    """Whether any of its pixels is."""


def image_from_base64(text: str, *, most_pixels: int = _MOST_PIXELS) -> bytes:
    """Return the bytes of an image that a worker sent, decoded once to see that they are whole.

    WebP, PNG or JPEG, one frame. The bytes are returned as they came.

    :param most_pixels: how large it may be, up to 8192x8192.
    :raises Refused: ``ImageValidationFailed``.
    """
    try:
        data = bytes_from(text)
    except ValueError:
        raise Refused("ImageValidationFailed", "The generation is not valid base64.") from None
    require_image(data, most_pixels=most_pixels)
    return data


def require_image(data: bytes, *, most_pixels: int = _MOST_PIXELS) -> None:
    """Check that bytes which a worker sent are an image, as :func:`image_from_base64` does.

    :raises Refused: ``ImageValidationFailed``.
    """
    try:
        with _decoded(data, most_pixels, _FORMATS) as image:
            if getattr(image, "n_frames", 1) != 1:
                raise ImageUnreadable("has more than one frame")
    except ImageUnreadable as unreadable:
        reason = f"The generation {unreadable}." if str(unreadable) else None
        raise Refused("ImageValidationFailed", reason) from None


def cleaned(data: bytes, *, most_pixels: int, lossless: bool = False) -> CleanImage:
    """Return an image as a WebP without anything that is not to be seen in it.

    WebP, PNG, JPEG or GIF. Of several frames or pictures the first counts: of a phone's JPEG with
    a gain map or a second lens that is the picture itself. It is turned as its metadata says and
    its colours become sRGB before both go; 16 bits a channel become 8. The colours of transparent
    pixels stay.

    :raises TooManyPixels: when it is above ``most_pixels``, or a side above 16,383 pixels.
    :raises ImageUnreadable: when it is no such image.
    """
    with _decoded(data, most_pixels, _SOURCE_FORMATS) as decoded:
        if max(decoded.size) > _LONGEST_SIDE:
            raise TooManyPixels("has a side that is too long")
        image = _in_srgb(ImageOps.exif_transpose(decoded))
        transparent = image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255)
        if not transparent:
            image = image.convert("RGB")
        file = BytesIO()
        # Only what is named here is written: no EXIF, no XMP, no colour profile.
        bare = Image.frombytes(image.mode, image.size, image.tobytes())
        bare.save(file, "WEBP", quality=_QUALITY, lossless=lossless, exact=True, method=2)
    return CleanImage(file.getvalue(), transparent)


def as_base64(data: bytes) -> str:
    """Return an image as bodies carry it."""
    return base64.b64encode(data).decode("ascii")


def media_type_of(data: bytes) -> str:
    """Return the media type of an image by its first bytes."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(PNG):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "application/octet-stream"


@contextmanager
def _decoded(data: bytes, most_pixels: int, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Lend an image, its first frame decoded to the end; of large ones, one at a time.

    :raises ImageUnreadable: saying why, or saying nothing, also of what is done with it.
    """
    try:
        with Image.open(BytesIO(without_heavy_chunks(data)), formats=formats) as image:
            pixels = image.width * image.height
            if pixels > most_pixels:
                raise TooManyPixels("has too many pixels")
            with _one_large_image if pixels > _LARGE_PIXELS else nullcontext():
                image.load()
                yield image
    except ImageUnreadable:
        raise
    except Exception:
        # Hostile bytes make the decoders raise nearly anything: OSError, SyntaxError, struct.error,
        # zlib.error, bomb warnings and errors. Whatever it is, this is no image.
        raise ImageUnreadable from None


def _in_srgb(image: Image.Image) -> Image.Image:
    """Return it as RGB or RGBA, its colours converted from its profile; one that does not fit the
    image, or cannot be read, is ignored."""
    plain = _in_eight_bits(image)
    profile = image.info.get("icc_profile")
    if not profile:
        return plain
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = _MODE_OF_SPACE[source.profile.xcolor_space.strip()]
        if (mode == "CMYK") is not (image.mode == "CMYK"):
            return plain
        colours = image if mode == "CMYK" else plain.convert(mode)
        converted = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError):
        return plain
    if converted is None:
        return plain
    if plain.mode == "RGBA":
        converted.putalpha(plain.getchannel("A"))
    return converted


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Return it as RGB, or as RGBA where it may be transparent."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
