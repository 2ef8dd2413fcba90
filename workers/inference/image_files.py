"""Image files: the encoding, and what a file says of how it was made.

That stands in Exif's ``UserComment`` as JSON, beside ``Software``: the one field that both WebP and
PNG have and that viewers show. No prompt is in there, no account and no address.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_SOFTWARE = 0x0131

# Exif 2.32, section 4.6.5: eight bytes that name the character code come first.
_ASCII = b"ASCII\0\0\0"

_MARK = "Hoard"

_WEBP_QUALITY = 90


@dataclass(frozen=True, slots=True)
class FileProvenance:
    """How one image came about."""

    request: str
    """Id of the request."""
    job: str
    """Id of the job, that is of the batch and its lease."""
    image: str
    """Id of the image."""
    seed: int
    """The batch's seed, 0 to 2**32 - 1."""
    batch_index: int
    """Its index in the batch, from 0, which with the seed gives its starting noise."""
    batch_size: int
    """How many images went through the model together."""
    model: str
    """The model as requests know it."""
    model_sha256: str
    """SHA-256 of the model's weights, hexadecimal."""
    engine: str
    """Name and version of the engine."""


def to_exif(provenance: FileProvenance) -> bytes:
    """Return the Exif block of a file, for Pillow's ``exif=`` when saving WebP or PNG."""
    from PIL import Image

    exif = Image.Exif()
    exif[_SOFTWARE] = _MARK
    # ASCII whatever a model is called: JSON spells the rest out.
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _ASCII + json.dumps(asdict(provenance)).encode()
    return exif.tobytes()


def read_provenance(file: bytes) -> FileProvenance | None:
    """Return what an image file says of itself; None when it says nothing, or nothing of ours.

    A holder of the file may have written anything there: the proof is the file's digest in the
    history, not this.

    :raises OSError: when it is no image file.
    """
    from PIL import Image

    with Image.open(io.BytesIO(file)) as picture:
        exif = picture.getexif()
        comment = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    if exif.get(_SOFTWARE) != _MARK or not isinstance(comment, bytes):
        return None
    try:
        return FileProvenance(**json.loads(comment.removeprefix(_ASCII)))
    except (ValueError, TypeError):
        return None


if TYPE_CHECKING:
    from PIL.Image import Image


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
