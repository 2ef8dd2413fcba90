"""The images themselves, at signed addresses that count for a while."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from api.http.images import media_type_of
from api.http.openapi import error_responses
from api.http.parameters import root_of, uuid_from
from api.v2.requests.feature import Progress, ProgressFeature
from domain.images import addresses as image_addresses
from domain.return_codes import Refused

router = APIRouter(tags=["generate"])

_KEPT_FOR_GOOD = {
    "cache-control": "private, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    # Front-ends show images in pages of their own origin.
    "cross-origin-resource-policy": "cross-origin",
}
_NO_IMAGE = "There is no such image in this request."


def image_address(feature: ProgressFeature, base_url: str, request_id: UUID, image_id: UUID) -> str:
    """Return the address at which an image can be fetched for a while, by anybody who has it.

    :param base_url: what it starts with, where the installation has no public address.
    """
    root, lifetime = root_of(feature.public_url, base_url), feature.image_address_lifetime
    return image_addresses.image_address(feature.signer, root, request_id, image_id, lifetime)


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
    image_addresses.verify_image_address(
        feature.signer, request, wanted, expires=expires, signature=signature
    )
    digest = _digest(feature, request, wanted)
    headers = {**_KEPT_FOR_GOOD, "etag": f'"{digest}"'}
    if if_none_match and digest in if_none_match:
        return Response(status_code=304, headers=headers)
    try:
        data = feature.blobs.get(digest)
    except LookupError:
        raise Refused("RequestExpired", "This image is kept no longer.") from None
    return Response(data, media_type=media_type_of(data), headers=headers)


def _digest(feature: ProgressFeature, request_id: UUID, image_id: UUID) -> str:
    status = feature.status.status(request_id)
    for generation in status.generations if status else ():
        if generation.image_id == image_id:
            return generation.digest
    raise Refused("RequestNotFound", _NO_IMAGE)
