"""Working: a worker asks for a job, and delivers its images one by one."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from api.answer import Answer
from api.authentication import ApiKey
from api.bodies import RawBody, read_body
from api.context import Context, Provided
from api.images import image_from_base64
from api.openapi import refuses, takes
from api.v2.asking import joined_prompt, uuid_from
from api.v2.schemas.working import (
    GenerationPayloadStable,
    GenerationSubmitted,
    PopInputStable,
    SubmitInputStable,
)
from domain.account import ANONYMOUS_ID
from domain.commands import NoJob, PopJob, PoppedJob
from domain.job import ImageState
from domain.matching import Candidate, Capabilities
from domain.ports import AccountEntry
from domain.return_codes import Refused

_logger = logging.getLogger(__name__)

router = APIRouter(tags=["work"], default_response_class=Answer)


@router.post(
    "/generate/pop",
    responses={
        200: {"model": GenerationPayloadStable, "description": "A job, or why there is none."},
        **refuses(400, 401, 403, 413, 423),
    },
    openapi_extra=takes(PopInputStable),
)
def pop(hoard: Provided, raw: RawBody, apikey: ApiKey) -> Answer:
    """Ask for work. A job is a slice of one request, to be made as one batch before its ttl ends.

    The first pop under a name registers the worker under the key's account.
    """
    account = hoard.account(apikey)
    given = read_body(PopInputStable, raw)
    capabilities = _capabilities(given)
    slow = hoard.crowd.is_slow(given.name)
    popped = hoard.services.ledger.pop_job(
        PopJob(
            owner_id=account.account_id,
            owner_trusted=account.roles.trusted,
            worker_name=given.name,
            capabilities=capabilities,
            slow=slow,
        )
    )
    _note_presence(hoard, popped.worker_id, capabilities)
    if isinstance(popped, PoppedJob):
        return Answer(_job_body(popped))
    return Answer(_no_job_body(hoard, popped, account, capabilities, slow))


@router.post(
    "/generate/submit",
    responses={200: {"model": GenerationSubmitted}, **refuses(400, 401, 403, 404, 413, 423)},
    openapi_extra=takes(SubmitInputStable),
)
def submit(hoard: Provided, raw: RawBody, apikey: ApiKey) -> Answer:
    """Deliver one image of a job, or say that it could not be made (state ``faulted``)."""
    account = hoard.account(apikey)
    if account.account_id == ANONYMOUS_ID:
        raise Refused("AnonForbiddenWorker")
    given = read_body(SubmitInputStable, raw)
    image_id = uuid_from(given.id)
    if image_id is None:
        raise _no_such_job(given.id)
    try:
        return Answer({"reward": _deliver(hoard, account, image_id, given)})
    except Refused as refusal:
        # Workers know this refusal by its words.
        raise _no_such_job(given.id) if refusal.code.name == "InvalidJobID" else refusal from None


def _note_presence(hoard: Context, worker_id: UUID, capabilities: Capabilities) -> None:
    try:
        hoard.services.presence.seen(worker_id, capabilities)
    except Exception:
        # The job is leased: it must reach its worker, whatever becomes of this hint.
        _logger.exception("presence was not noted")


def _deliver(
    hoard: Context, account: AccountEntry, image_id: UUID, given: SubmitInputStable
) -> float:
    services = hoard.services
    if given.state == "faulted":
        services.ledger.fault_image(image_id, owner_id=account.account_id)
        return 0.0
    if given.seed is None:
        raise Refused("BadRequest", "seed: say which was used", {"seed": "is missing"})
    if not given.generation:
        raise Refused("BadRequest", "generation: send the image", {"generation": "is missing"})
    if given.generation == "R2":
        raise Refused(
            "BadRequest",
            "generation: uploads are not served yet, send the image as base64",
            {"generation": "is not base64"},
        )
    # Stored first: an event may only name an image that is there.
    digest = services.blobs.put(image_from_base64(given.generation))
    return services.ledger.submit_image(
        image_id,
        owner_id=account.account_id,
        digest=digest,
        seed=given.seed,
        state=_state(given),
    )


def _state(given: SubmitInputStable) -> ImageState:
    state = ImageState(given.state)
    return ImageState.CENSORED if given.censored and state is ImageState.OK else state


def _no_such_job(image_id: str) -> Refused:
    return Refused("InvalidJobID", f"Processing Job with ID {image_id} does not exist.")


def _capabilities(given: PopInputStable) -> Capabilities:
    return Capabilities(
        models=tuple(sorted(set(given.models))),
        amount=given.amount,
        max_pixels=given.max_pixels,
        nsfw=given.nsfw,
        threads=given.threads,
        extra_slow=given.extra_slow_worker,
        bridge_agent=given.bridge_agent,
    )


def _job_body(popped: PoppedJob) -> dict[str, Any]:
    settings = popped.settings
    return {
        "payload": {
            "prompt": joined_prompt(popped.prompt, popped.negative_prompt),
            "ddim_steps": settings.steps,
            "n_iter": len(popped.image_ids),
            "batch_size": 1,
            "sampler_name": settings.sampler,
            "cfg_scale": settings.cfg_scale,
            "height": settings.height,
            "width": settings.width,
            "seed": str(popped.seed),
            "karras": settings.karras,
            "clip_skip": settings.clip_skip,
            "tiling": False,
            "hires_fix": False,
            "use_nsfw_censor": False,
            "post_processing": [],
            "loras": [],
            "tis": [],
        },
        "id": popped.image_ids[0],
        "ids": popped.image_ids,
        "model": popped.model,
        "ttl": popped.lease_seconds,
        "skipped": {},
        "messages": [],
        # No source_processing: without it a worker takes the job for what it is, text to image.
        "source_image": None,
        "source_mask": None,
        "extra_source_images": None,
        "r2_upload": None,
        "r2_uploads": None,
    }


def _no_job_body(
    hoard: Context, popped: NoJob, account: AccountEntry, capabilities: Capabilities, slow: bool
) -> dict[str, Any]:
    candidate = Candidate(
        worker_id=popped.worker_id,
        capabilities=capabilities,
        trusted=account.roles.trusted,
        slow=slow,
    )
    return {
        # The public SDK for workers cannot read an answer without a payload.
        "payload": {},
        "id": None,
        "ids": [],
        "skipped": hoard.services.backlog.skipped(candidate),
        "messages": [],
    }
