"""Source images: taken from front-ends by value or by address."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field

from api.http.images import CleanImage, ImageUnreadable, TooManyPixels, cleaned
from api.v2.requests.feature import IntakeFeature
from api.v2.requests.schemas import GenerationInputStable
from domain.images.source_images import (
    MOST_BYTES,
    MOST_PIXELS,
    ExtraSourceImage,
    SourceImages,
    SourceProcessing,
    require_mask,
    require_source,
)
from domain.return_codes import Refused
from domain.service.fetching import FetchFailed, FetchLimits, FetchProblem

FETCHING_SECONDS = 6.0
"""For all images of a request that are given by address."""

# Many file servers do not know what an image is; what comes is looked at anyway.
_MEDIA_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")

_UNSEEN = ""
"""The digest of an image that was not looked at yet."""


def announced_sources(given: GenerationInputStable) -> SourceImages | None:
    """Return what a request starts from before any image is looked at: with empty digests.

    It is enough to price and to match the request. None without a source image.

    :raises Refused: ``SourceMaskUnnecessary``, ``InpaintingMissingMask`` or ``BadRequest``, where
        what is given does not go together.
    """
    if given.source_processing == "txt2img":
        return None
    processing = SourceProcessing(given.source_processing)
    require_source(
        processing,
        has_image=given.source_image is not None,
        has_mask=given.source_mask is not None,
    )
    if given.source_image is None and not given.extra_source_images:
        return None
    return SourceImages(
        processing,
        image=None if given.source_image is None else _UNSEEN,
        mask=None if given.source_mask is None else _UNSEEN,
        extra=tuple(ExtraSourceImage(_UNSEEN, each.strength) for each in given.extra_source_images),
    )


def take_in_sources(given: GenerationInputStable, feature: IntakeFeature) -> SourceImages | None:
    """Fetch, check, clean and store what a request starts from; None without a source image.

    Nothing is stored unless every image is sound. Call it when nothing else can be wrong with the
    request: it is the dearest check of all.

    :raises Refused: ``SourceImageUnreadable``, ``SourceImageUrlInvalid``,
        ``SourceImageResolutionExceeded``, ``SourceImageSizeExceeded``, ``Locked``, or as
        :func:`announced_sources` does.
    """
    announced = announced_sources(given)
    if announced is None:
        return None
    taking = _Taking(feature)
    image = mask = None
    if given.source_image is not None:
        image = taking.cleaned("source_image", given.source_image)
        require_mask(
            announced.processing,
            has_mask=given.source_mask is not None,
            is_transparent=image.is_transparent,
        )
    if given.source_mask is not None:
        # Without loss: its edges are its meaning.
        mask = taking.cleaned("source_mask", given.source_mask, lossless=True)
    extra = [
        taking.cleaned(f"extra_source_images.{place}.image", each.image)
        for place, each in enumerate(given.extra_source_images)
    ]
    put = feature.blobs.put
    return SourceImages(
        announced.processing,
        image=None if image is None else put(image.data),
        mask=None if mask is None else put(mask.data),
        extra=tuple(
            ExtraSourceImage(put(clean.data), each.strength)
            for clean, each in zip(extra, given.extra_source_images, strict=True)
        ),
    )


@dataclass(slots=True)
class _Taking:
    """The images of one request, on the way in."""

    feature: IntakeFeature
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
                "SourceImageUnreadable", name, str(unreadable) or "is no WebP, PNG or JPEG"
            ) from None

    def _fetched(self, name: str, url: str) -> bytes:
        limits = FetchLimits(
            max_bytes=MOST_BYTES,
            seconds=self.deadline - time.monotonic(),
            media_types=_MEDIA_TYPES,
        )
        try:
            return self.feature.fetcher.get(url, limits).data
        except FetchFailed as failed:
            match failed.trouble:
                case FetchProblem.TOO_LARGE:
                    code = "SourceImageSizeExceeded"
                case FetchProblem.BUSY:
                    code = "Locked"
                case _:
                    code = "SourceImageUrlInvalid"
            raise _refused(
                code, name, f"nothing was fetched: {failed.trouble}", most=f"{MOST_BYTES:,}"
            ) from None


def _is_address(given: str) -> bool:
    return "://" in given[:16]


def _decoded(name: str, given: str) -> bytes:
    text = given
    if given.startswith("data:"):
        # Browsers write images so, and many a front-end sends what its browser wrote.
        text = given.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise _refused("SourceImageUnreadable", name, "is no base64") from None


def _refused(code: str, name: str, reason: str, **details: object) -> Refused:
    return Refused(code, None, {name: reason}, **details)
