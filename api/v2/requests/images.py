"""The images themselves, at signed addresses that count for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from api.http.images import as_base64, media_type_of
from api.http.openapi import error_responses
from api.http.parameters import uuid_from
from api.v2.requests.feature import Progress, ProgressFeature
from domain.images.addresses import image_address, verify_image_address
from domain.return_codes import Refused
from projections.status.fold import Generation
from projections.status.reader import StatusReader

router = APIRouter(tags=["generate"])

_KEPT_FOR_GOOD = {
    "cache-control": "private, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    # Front-ends show images in pages of their own origin.
    "cross-origin-resource-policy": "cross-origin",
}
_NO_IMAGE = "There is no such image in this request."


def image_of(
    feature: ProgressFeature, root: str, request_id: UUID, *, r2: bool
) -> Callable[[Generation], str]:
    """Return what turns an image of a request into its ``img``.

    :param root: what addresses start with, without a slash at its end.
    :param r2: whether it is to be an address that counts for a while rather than the image itself
        in base64, which may block.
    """
    signer, lifetime, blobs = feature.signer, feature.image_address_lifetime, feature.blobs
    if r2:
        return lambda made: image_address(signer, root, request_id, made.image_id, lifetime)

    def encoded(made: Generation) -> str:
        try:
            return as_base64(blobs.get(made.digest))
        except LookupError:
            # The facts about an image outlive it.
            return ""

    return encoded


@router.get(
    "/generate/images/{request_id}/{image_id}.webp",
    response_class=Response,
    responses={
        200: {"content": {"image/webp": {}, "image/png": {}, "image/jpeg": {}}},
        304: {"description": "The client has it."},
        **error_responses(403, 404, 410),
    },
)
def image(
    feature: Progress,
    request_id: str,
    image_id: str,
    expires: Annotated[str, Query(description="When the address ends, seconds since 1970.")] = "",
    signature: Annotated[str, Query(description="Says that Hoard made the address.")] = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Fetch an image in the format in which its worker sent it, WebP as a rule.

    Its address, signature and all, is what a request's status gives as `img`.
    """
    request, wanted = uuid_from(request_id), uuid_from(image_id)
    if request is None or wanted is None:
        raise Refused("RequestNotFound", _NO_IMAGE)
    verify_image_address(feature.signer, request, wanted, expires=expires, signature=signature)
    digest = _digest(feature.status, request, wanted)
    headers = {**_KEPT_FOR_GOOD, "etag": f'"{digest}"'}
    if if_none_match and digest in if_none_match:
        return Response(status_code=304, headers=headers)
    try:
        data = feature.blobs.get(digest)
    except LookupError:
        raise Refused("RequestExpired", "This image is kept no longer.") from None
    return Response(data, media_type=media_type_of(data), headers=headers)


def _digest(statuses: StatusReader, request_id: UUID, image_id: UUID) -> str:
    status = statuses.status(request_id)
    for generation in status.generations if status else ():
        if generation.image_id == image_id:
            return generation.digest
    raise Refused("RequestNotFound", _NO_IMAGE)
