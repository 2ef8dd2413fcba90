"""The images themselves, at addresses that only those know who know the request."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header
from starlette.responses import Response

from api.context import Provided
from api.images import media_type_of
from api.openapi import refuses
from api.v2.asking import uuid_from
from domain.return_codes import Refused

router = APIRouter(tags=["generate"])

_KEPT_FOR_GOOD = {
    "cache-control": "private, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    # Front-ends show images in pages of their own origin.
    "cross-origin-resource-policy": "cross-origin",
}
_NO_IMAGE = "There is no such image in this request."


def image_path(request_id: UUID, image_id: UUID) -> str:
    """Return the path of an image's address."""
    return f"/api/v2/generate/images/{request_id}/{image_id}.webp"


@router.get(
    "/generate/images/{request_id}/{image_id}.webp",
    response_class=Response,
    responses={
        200: {"content": {"image/webp": {}, "image/png": {}, "image/jpeg": {}}},
        304: {"description": "The client has it."},
        **refuses(404),
    },
)
def image(
    hoard: Provided,
    request_id: str,
    image_id: str,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Fetch an image in the format in which its worker sent it, WebP as a rule."""
    digest = _digest(hoard, request_id, image_id)
    headers = {**_KEPT_FOR_GOOD, "etag": f'"{digest}"'}
    if if_none_match and digest in if_none_match:
        return Response(status_code=304, headers=headers)
    try:
        data = hoard.services.blobs.get(digest)
    except LookupError:
        raise Refused("RequestNotFound", "This image is kept no longer.") from None
    return Response(data, media_type=media_type_of(data), headers=headers)


def _digest(hoard: Provided, request_text: str, image_text: str) -> str:
    request_id, image_id = uuid_from(request_text), uuid_from(image_text)
    status = hoard.services.status.status(request_id) if request_id and image_id else None
    for generation in status.generations if status else ():
        if generation.image_id == image_id:
            return generation.digest
    raise Refused("RequestNotFound", _NO_IMAGE)
