"""The routes of workers: pop a job, submit its images one by one."""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request

from api.http.answer import Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody, read_body
from api.http.images import image_from_base64
from api.http.openapi import error_responses, request_body
from api.http.parameters import address_of, uuid_from
from api.v2.work.feature import Pop, PopFeature, Submission, SubmissionFeature
from api.v2.work.pop import command_from_pop, job_body, no_job_body
from api.v2.work.schemas import (
    GenerationMetadataStable,
    GenerationPayloadStable,
    GenerationSubmitted,
    PopInputStable,
    SubmitInputStable,
)
from api.v2.work.uploads import upload_addresses
from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.directory import AccountEntry
from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.images.sampling import SEED_RANGE
from domain.jobs.commands import PoppedJob
from domain.jobs.job import ImageState
from domain.return_codes import Refused
from domain.workers.matching import Capabilities

_logger = logging.getLogger(__name__)

router = APIRouter(tags=["work"], default_response_class=Answer)

UPLOADED = "R2"
"""What a worker submits in the place of an image that it has uploaded; as the v2 API has it."""


@router.post(
    "/generate/pop",
    responses={
        200: {"model": GenerationPayloadStable, "description": "A job, or why there is none."},
        **error_responses(400, 401, 403, 413, 423),
    },
    openapi_extra=request_body(PopInputStable),
)
def pop(feature: Pop, request: Request, raw: RawBody, apikey: ApiKey) -> Answer:
    """Ask for work. A job is a slice of one request, to be made as one batch before its ttl ends.

    The first pop under a name registers the worker under the key's account. The requests of that
    account, and of those in `priority_usernames`, come first.
    """
    feature.timeouts.require_allowed(address_of(request))
    account = feature.authentication.account(apikey)
    if account.account_id == ANONYMOUS_ID:
        raise Refused("AnonForbiddenWorker")
    given = read_body(PopInputStable, raw)
    digest = feature.address_digest(address_of(request))
    command = command_from_pop(given, account, feature, address=digest)
    found = feature.jobs.pop(command)
    _note_presence(feature, found.worker_id, command.capabilities, digest)
    if isinstance(found, PoppedJob):
        uploads = upload_addresses(feature, str(request.base_url), found)
        return Answer(job_body(found, uploads, feature, owner_id=account.account_id))
    return Answer(no_job_body(command, found, feature))


@router.post(
    "/generate/submit",
    responses={
        200: {"model": GenerationSubmitted},
        **error_responses(400, 401, 403, 404, 413, 423),
    },
    openapi_extra=request_body(SubmitInputStable),
)
def submit(feature: Submission, raw: RawBody, apikey: ApiKey) -> Answer:
    """Submit one image of a job, or say that it could not be made (state ``faulted``)."""
    account = feature.authentication.account(apikey)
    if account.account_id == ANONYMOUS_ID:
        raise Refused("AnonForbiddenWorker")
    given = read_body(SubmitInputStable, raw)
    image_id = uuid_from(given.id)
    if image_id is None:
        raise Refused("InvalidJobID", id=given.id)
    try:
        return Answer({"reward": _hand_in(feature, account, image_id, given)})
    except Refused as refusal:
        if refusal.code.name == "InvalidJobID":
            # Workers know this refusal by its words, the id that they sent among them.
            raise Refused("InvalidJobID", id=given.id) from None
        raise


def _note_presence(
    feature: PopFeature, worker_id: UUID, capabilities: Capabilities, address: str
) -> None:
    try:
        feature.presence.seen(worker_id, capabilities, address)
    except Exception:
        # The job is leased: it must reach its worker, whatever becomes of this hint.
        _logger.exception("presence was not noted")


def seed_from(given: float | str) -> int | None:
    """Return the seed that a worker says it used; None when it is no whole number below 2^32.

    Workers send ``-1``, text, or what their backend drew in 64 bits: the image is good all the
    same.
    """
    try:
        number = float(given)
    except ValueError:
        return None
    if not number.is_integer() or not 0 <= number < SEED_RANGE:
        return None
    return int(number)


def _hand_in(
    feature: SubmissionFeature, account: AccountEntry, image_id: UUID, given: SubmitInputStable
) -> float:
    if given.state == "faulted":
        feature.jobs.fault_image(image_id, owner_id=account.account_id)
        return 0.0
    if given.seed is None:
        raise Refused("BadRequest", "seed: say which was used", {"seed": "is missing"})
    if not given.generation:
        raise Refused("BadRequest", "generation: send the image", {"generation": "is missing"})
    return feature.jobs.submit_image(
        image_id,
        owner_id=account.account_id,
        digest=partial(_digest_of, feature, image_id, given.generation),
        seed=seed_from(given.seed),
        state=_state(given),
        metadata=tuple(
            GenerationMetadata(word.type, word.value, word.ref) for word in given.gen_metadata
        ),
    )


def _digest_of(feature: SubmissionFeature, image_id: UUID, generation: str) -> str:
    """Return the digest of the image, which lies in the store afterwards.

    :raises Refused: ``ImageValidationFailed``, or ``BadRequest`` when it was never uploaded.
    """
    if generation != UPLOADED:
        return feature.blobs.put(image_from_base64(generation))
    digest = feature.uploads.digest_of(image_id)
    if digest is None:
        raise Refused(
            "BadRequest",
            "generation: nothing was uploaded, PUT the image to its address in r2_uploads first",
            {"generation": "was not uploaded"},
        )
    return digest


def _state(given: SubmitInputStable) -> ImageState:
    """Return what the worker says of the image, in whichever of three ways it says so."""
    said = {_STATE_BY_WORD.get(_word(word), ImageState.OK) for word in given.gen_metadata}
    said.add(ImageState(given.state))
    if given.censored:
        said.add(ImageState.CENSORED)
    return max(said, key=_GRAVITY.__getitem__)


_GRAVITY = {ImageState.OK: 0, ImageState.CENSORED: 1, ImageState.CSAM: 2}

_STATE_BY_WORD = {
    (MetadataType.CENSORSHIP, MetadataValue.NSFW): ImageState.CENSORED,
    (MetadataType.CENSORSHIP, MetadataValue.CSAM): ImageState.CSAM,
}


def _word(said: GenerationMetadataStable) -> tuple[MetadataType, MetadataValue]:
    return said.type, said.value
