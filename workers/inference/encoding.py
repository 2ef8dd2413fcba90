"""From a picture to a file, and the digest of a picture that no file format can change."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

from workers.inference.provenance import FileProvenance, to_exif

if TYPE_CHECKING:
    from PIL.Image import Image

_WEBP_QUALITY = 90


def encode_webp(picture: Image, provenance: FileProvenance | None = None) -> bytes:
    """Return the picture as a WebP file; what is transparent stays so.

    :param provenance: what the file says of itself, if anything.
    """
    buffer = io.BytesIO()
    shown = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    exif = b"" if provenance is None else to_exif(provenance)
    shown.save(buffer, "WEBP", quality=_WEBP_QUALITY, exif=exif)
    return buffer.getvalue()


def pixels_sha256(picture: Image) -> str:
    """Return the SHA-256 of mode, size and pixels: 64 lower-case hexadecimal digits.

    Equal for two pictures only if they are equal bit for bit, whatever files are made of them.
    """
    heading = f"{picture.mode} {picture.width}x{picture.height}\n".encode()
    return hashlib.sha256(heading + picture.tobytes()).hexdigest()
