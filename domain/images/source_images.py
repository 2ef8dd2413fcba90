"""Source images: what a request starts from instead of noise alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from domain.return_codes import Refused

MOST_PIXELS = 3072 * 3072
"""Of a source image; no request makes a larger one (v2 limits)."""

MOST_BYTES = 10 * 1024 * 1024
"""Of its file: a photograph of so many pixels fits (v2 takes 5 MB from an address)."""


class SourceProcessing(StrEnum):
    """What is done with the source image; the names are the v2 API's."""

    IMG2IMG = "img2img"
    INPAINTING = "inpainting"
    OUTPAINTING = "outpainting"
    REMIX = "remix"


@dataclass(frozen=True, slots=True)
class ExtraSourceImage:
    """A further image that a model looks at."""

    digest: str
    """SHA-256 of the image in the blob store, hexadecimal."""
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class SourceImages:
    """The images of a request, by their digests in the blob store."""

    processing: SourceProcessing
    image: str | None = None
    """SHA-256 of the source image, hexadecimal."""
    mask: str | None = None
    """SHA-256 of the mask: white is drawn anew, black stays; None means the image's alpha."""
    extra: tuple[ExtraSourceImage, ...] = ()

    @property
    def digests(self) -> tuple[str, ...]:
        """The digests of all of them."""
        single = tuple(digest for digest in (self.image, self.mask) if digest is not None)
        return single + tuple(each.digest for each in self.extra)

    @property
    def is_painting(self) -> bool:
        """Whether only a part of the image is drawn anew."""
        return self.processing in (SourceProcessing.INPAINTING, SourceProcessing.OUTPAINTING)


def require_source(processing: SourceProcessing, *, has_image: bool, has_mask: bool) -> None:
    """Check that a request has what its way of using a source image needs.

    :raises Refused: ``SourceMaskUnnecessary``, ``InpaintingMissingMask`` or ``BadRequest``.
    """
    if has_image:
        return
    if has_mask:
        raise Refused("SourceMaskUnnecessary")
    if processing is SourceProcessing.INPAINTING:
        raise Refused("InpaintingMissingMask")
    if processing is not SourceProcessing.IMG2IMG:
        raise Refused(
            "BadRequest",
            f"source_image: {processing} needs one",
            {"source_image": "is missing"},
        )


def require_mask(processing: SourceProcessing, *, has_mask: bool, is_transparent: bool) -> None:
    """Check that inpainting has an area to paint: a mask, or transparent pixels.

    :raises Refused: ``InpaintingMissingMask``.
    """
    if processing is SourceProcessing.INPAINTING and not (has_mask or is_transparent):
        raise Refused("InpaintingMissingMask")
