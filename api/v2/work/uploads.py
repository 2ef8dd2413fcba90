"""Uploads: one address for each image of a job, to which its worker brings it, once.

They stand where the AI Horde has the presigned addresses of an object store, and are used the same
way: a client with the address needs no key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.http.bodies import RawBody
from api.http.images import require_image
from api.http.openapi import error_responses
from api.http.parameters import root_of, uuid_from
from api.v2.work.feature import PopFeature, Submission
from domain.jobs.commands import PoppedJob
from domain.return_codes import Refused

router = APIRouter(tags=["work"])

_PURPOSE = "upload"


def upload_addresses(feature: PopFeature, base_url: str, popped: PoppedJob) -> Sequence[str]:
    """Return the addresses that take a job's images until its lease ends, in batch order.

    :param base_url: what the worker used to reach the API; used unless the operator has set one.
    """
    base = root_of(feature.public_url, base_url)
    lifetime = timedelta(seconds=popped.lease_seconds)

    def address(image_id: UUID) -> str:
        query = feature.signer.sign(_PURPOSE, str(image_id), lifetime)
        return f"{base}/api/v2/uploads/{image_id}?{query}"

    return [address(image_id) for image_id in popped.image_ids]


@router.put(
    "/uploads/{image_id}",
    response_class=Response,
    responses={
        200: {"description": "The image was taken.", "content": {}},
        **error_responses(400, 403, 404, 413),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def upload(
    feature: Submission,
    raw: RawBody,
    image_id: str,
    expires: Annotated[str, Query(max_length=20)] = "",
    signature: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Bring one image of a job to the address that the job gave for it, then submit `R2`.

    The body is the image itself, WebP as a rule; its content type is not looked at. Bringing the
    same image again is no error and changes nothing; another one is refused.
    """
    known_id = uuid_from(image_id)
    # As it was signed: other spellings of an id are other subjects.
    feature.signer.verify(_PURPOSE, image_id, expires=expires, signature=signature)
    if known_id is None:
        raise Refused("InvalidJobID", id=image_id)
    feature.jobs.may_upload(known_id)
    known = feature.uploads.digest_of(known_id)
    if known is None:
        require_image(raw)
        # Stored first: nothing may name an image that is not there.
        known = feature.blobs.put(raw)
        if feature.uploads.keep(known_id, known):
            return Response()
    elif known == hashlib.sha256(raw).hexdigest():
        return Response()
    raise Refused("DuplicateGen", "Another image was uploaded here before.")
