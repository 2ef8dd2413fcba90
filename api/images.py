"""Images that come in and go out: is this one, can it be read, and what kind is it."""

from __future__ import annotations

import base64
import threading
from io import BytesIO

from PIL import Image

from domain.return_codes import Refused

_FORMATS = ("WEBP", "PNG", "JPEG")
_MOST_PIXELS = 8192 * 8192
_LARGE_PIXELS = 4_000_000

# A few bytes can say that they are 67 million pixels. One such image takes a quarter of a gigabyte
# while it is decoded; as many of them as there are threads would take the machine down.
_one_large_image = threading.Lock()


def image_from_base64(text: str) -> bytes:
    """Return the bytes of an image that a worker sent, decoded once to see that they are whole.

    WebP, PNG or JPEG, one frame, at most 8192x8192 pixels. The bytes are returned as they came.

    :raises Refused: ``ImageValidationFailed``.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("ImageValidationFailed", "The generation is not valid base64.") from None
    _require_readable(data)
    return data


def media_type_of(data: bytes) -> str:
    """Return the media type of an image by its first bytes."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "application/octet-stream"


def _require_readable(data: bytes) -> None:
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            pixels = image.width * image.height
            if pixels > _MOST_PIXELS:
                raise Refused("ImageValidationFailed", "The generation has too many pixels.")
            if getattr(image, "n_frames", 1) != 1:
                raise Refused("ImageValidationFailed", "The generation has more than one frame.")
            if pixels > _LARGE_PIXELS:
                with _one_large_image:
                    image.load()
            else:
                image.load()
    except Refused:
        raise
    except Exception:
        # Hostile bytes make the decoders raise nearly anything: OSError, SyntaxError, struct.error,
        # zlib.error, bomb warnings and errors. Whatever it is, this is no image.
        raise Refused("ImageValidationFailed") from None
