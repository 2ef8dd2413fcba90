"""Source images: taken from front-ends by value or by address."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from api.http.base64_text import bytes_from
from api.http.images import Blobs, CleanImage, ImageUnreadable, TooManyPixels, cleaned
from api.v2.requests.schemas import GenerationInputStable
from domain.images.source_images import (
    MOST_BYTES,
    MOST_PIXELS,
    ExtraSourceImage,
    SourceImages,
    SourceProcessing,
    require_mask,
)
from domain.return_codes import Refused
from domain.service.fetching import Fetcher, FetchFailed, FetchLimits, FetchProblem

FETCHING_SECONDS = 6.0
"""For all images of a request that are given by address."""

# Many file servers do not know what an image is; what comes is looked at anyway.
_MEDIA_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")


def take_in_sources(
    given: GenerationInputStable, processing: SourceProcessing, fetcher: Fetcher, blobs: Blobs
) -> SourceImages:
    """Fetch, check, clean and store what a request starts from.

    Nothing is stored unless every image is sound. Call it when nothing else can be wrong with the
    request: it is the dearest check of all.

    :raises Refused: ``SourceImageUnreadable``, ``SourceImageUrlInvalid``,
        ``SourceImageResolutionExceeded``, ``SourceImageSizeExceeded``, ``InpaintingMissingMask`` or
        ``Locked``.
    """
    intake = _Intake(fetcher)
    image = mask = None
    if given.source_image is not None:
        image = intake.cleaned("source_image", given.source_image)
        require_mask(
            processing,
            has_mask=given.source_mask is not None,
            is_transparent=image.is_transparent,
        )
    if given.source_mask is not None:
        # Without loss: its edges are its meaning.
        mask = intake.cleaned("source_mask", given.source_mask, lossless=True)
    extra = [
        intake.cleaned(f"extra_source_images.{index}.image", each.image)
        for index, each in enumerate(given.extra_source_images)
    ]
    return SourceImages(
        processing,
        image=None if image is None else blobs.put(image.data),
        mask=None if mask is None else blobs.put(mask.data),
        extra=tuple(
            ExtraSourceImage(blobs.put(clean.data), each.strength)
            for clean, each in zip(extra, given.extra_source_images, strict=True)
        ),
    )


@dataclass(slots=True)
class _Intake:
    """The images of one request, on the way in."""

    fetcher: Fetcher
    deadline: float = field(default_factory=lambda: time.monotonic() + FETCHING_SECONDS)

    def cleaned(self, name: str, given: str, *, lossless: bool = False) -> CleanImage:
        """Return the image that a field gives.

        :param name: the field's name, for what it is refused with.
        """
        data = self._fetched(name, given) if _is_address(given) else _decoded(name, given)
        if len(data) > MOST_BYTES:
            raise _refused("SourceImageSizeExceeded", name, "is too large", most=f"{MOST_BYTES:,}")
        try:
            return cleaned(data, most_pixels=MOST_PIXELS, lossless=lossless)
        except TooManyPixels as large:
            raise _refused(
                "SourceImageResolutionExceeded", name, str(large), most="3072 × 3072"
            ) from None
        except ImageUnreadable as unreadable:
            raise _refused(
                "ImageValidationFailed",
                name,
                str(unreadable) or "is no WebP, PNG, JPEG or GIF",
            ) from None

    def _fetched(self, name: str, url: str) -> bytes:
        limits = FetchLimits(
            max_bytes=MOST_BYTES,
            seconds=self.deadline - time.monotonic(),
            media_types=_MEDIA_TYPES,
        )
        try:
            return self.fetcher.get(url, limits).data
        except FetchFailed as failed:
            match failed.problem:
                case FetchProblem.TOO_LARGE:
                    code = "SourceImageSizeExceeded"
                case FetchProblem.BUSY:
                    code = "Locked"
                case _:
                    code = "ImageValidationFailed"
            raise _refused(
                code, name, f"nothing was fetched: {failed.problem}", most=f"{MOST_BYTES:,}"
            ) from None


def _is_address(given: str) -> bool:
    return "://" in given[:16]


def _decoded(name: str, given: str) -> bytes:
    try:
        return bytes_from(given)
    except ValueError:
        raise _refused("ImageValidationFailed", name, "is no base64") from None


def _refused(code: str, name: str, reason: str, **details: object) -> Refused:
    return Refused(code, None, {name: reason}, **details)
