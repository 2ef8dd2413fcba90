"""Pops: from what a worker declares to the ledger's command, and from the job to the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from api.v2.work.feature import PopFeature
from api.v2.work.schemas import PopInputStable
from api.v2.work.source_images import source_fields
from domain.accounts.directory import AccountEntry
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.models.catalogue import Models, UnknownModels, offerable
from domain.names import worker_name_from
from domain.requests.prompts import joined_prompt
from domain.return_codes import Refused
from domain.workers.bridges import Feature
from domain.workers.matching import Candidate, Capabilities, SkipReason

_NEVER_REMOTE = frozenset({Feature.REPLICATION.value})
"""What the payload of a job cannot express."""


def command_from_pop(
    given: PopInputStable, account: AccountEntry, feature: PopFeature, *, address: str
) -> PopJob:
    """Return the command for a worker that pops.

    :param address: the digest of where it asks from.
    :raises Refused: ``TooLongWorkerName``, ``ProfaneWorkerName``, ``ProfaneBridgeAgent``,
        ``UnsupportedModel``, ``InvalidPriorityUsername``, ``TooManySameIPs``, ``BadRequest``,
        or ``WorkerFlaggedMaintenance`` of all workers of an account that is suspected.
    """
    if account.roles.flagged:
        raise Refused("WorkerFlaggedMaintenance")
    name = worker_name_from(given.name, feature.content_filter)
    if feature.content_filter.is_blocked(given.bridge_agent):
        raise Refused("ProfaneBridgeAgent")
    capabilities = capabilities_from(
        given,
        feature.catalogue,
        unknown=feature.unknown_models,
        customizer=account.roles.customizer,
    )
    prioritised = _prioritised(given.priority_usernames, feature)
    most = 0 if account.roles.trusted else feature.workers_per_address
    if feature.available_workers.is_full_at(address, most, name):
        raise Refused("TooManySameIPs")
    return PopJob(
        owner_id=account.account_id,
        owner_trusted=account.roles.trusted,
        owner_invited=account.worker_invited,
        invite_only=feature.modes.now().invite_only,
        worker_name=name,
        capabilities=capabilities,
        prioritised=prioritised,
        slow=feature.available_workers.is_slow(name),
    )


def capabilities_from(
    given: PopInputStable, catalogue: Models, *, unknown: UnknownModels, customizer: bool
) -> Capabilities:
    """Return what a worker declares, with those of its models that it may offer.

    :raises Refused: ``UnsupportedModel`` when it may offer none of them.
    """
    models = offerable(sorted(set(given.models)), catalogue, unknown=unknown, customizer=customizer)
    if not models:
        raise Refused("UnsupportedModel")
    return Capabilities(
        models=models,
        amount=given.amount,
        max_pixels=given.max_pixels,
        nsfw=given.nsfw,
        threads=given.threads,
        extra_slow=given.extra_slow_worker,
        bridge_agent=given.bridge_agent,
        img2img=given.allow_img2img,
        painting=given.allow_painting,
        post_processing=given.allow_post_processing,
        controlnet=given.allow_controlnet,
        sdxl_controlnet=given.allow_sdxl_controlnet,
        lora=given.allow_lora,
        unsafe_ip=given.allow_unsafe_ipaddr,
        limit_max_steps=given.limit_max_steps,
        require_upfront_kudos=given.require_upfront_kudos,
        blacklist=tuple(sorted({word.lower() for word in given.blacklist if word.strip()})),
        features=tuple(sorted(set(given.features) - _NEVER_REMOTE)),
    )


def job_body(
    popped: PoppedJob, uploads: Sequence[str], feature: PopFeature, *, owner_id: UUID
) -> dict[str, Any]:
    """Return a job as its worker gets it.

    :param uploads: the addresses that take its images, in batch order.
    :param owner_id: the account of the worker.
    :raises Refused: ``Locked``, as :func:`api.v2.work.source_images.source_fields` does.
    """
    return {
        "payload": _payload(popped),
        "id": popped.image_ids[0],
        "ids": popped.image_ids,
        "model": popped.model,
        "ttl": popped.lease_seconds,
        "skipped": {},
        "messages": messages_for(popped.worker_id, feature),
        "r2_upload": uploads[0],
        "r2_uploads": uploads,
        **source_fields(popped, feature, owner_id=owner_id),
    }


def no_job_body(command: PopJob, found: NoJob, feature: PopFeature) -> dict[str, Any]:
    """Return why there is no job."""
    candidate = Candidate(
        worker_id=found.worker_id,
        capabilities=command.capabilities,
        trusted=command.owner_trusted,
        slow=command.slow,
    )
    skipped: Mapping[str, int] = feature.backlog.skipped(candidate)
    if found.skipped:
        skipped = {**skipped, SkipReason.BLACKLIST.value: found.skipped}
    return {
        # The public SDK for workers cannot read an answer without a payload.
        "payload": {},
        "id": None,
        "ids": [],
        "skipped": skipped,
        "messages": messages_for(found.worker_id, feature),
    }


def messages_for(worker_id: UUID, feature: PopFeature) -> list[dict[str, Any]]:
    """Return the messages that a worker is to read now."""
    return [
        {
            "id": message.message_id,
            "message": message.text,
            "origin": message.origin,
            "expiry": message.ends_at,
        }
        for message in feature.messages.for_worker(worker_id)
    ]


def _prioritised(handles: Sequence[str], feature: PopFeature) -> tuple[UUID, ...]:
    accounts = dict.fromkeys(feature.available_workers.account_of(handle) for handle in handles)
    if None in accounts:
        raise Refused("InvalidPriorityUsername")
    return tuple(account for account in accounts if account is not None)


def _payload(popped: PoppedJob) -> dict[str, Any]:
    settings = popped.settings
    payload = {
        "prompt": joined_prompt(popped.prompt, popped.negative_prompt),
        "ddim_steps": settings.steps,
        "n_iter": len(popped.image_ids),
        "sampler_name": settings.sampler,
        "cfg_scale": settings.cfg_scale,
        "height": settings.height,
        "width": settings.width,
        "seed": str(popped.seed),
        "karras": settings.karras,
        "clip_skip": settings.clip_skip,
        "tiling": settings.tiling,
        "hires_fix": settings.hires_fix,
        "transparent": settings.transparent,
        "use_nsfw_censor": popped.censor_nsfw,
        "post_processing": settings.post_processing,
        "loras": [_given(asdict(lora)) for lora in settings.loras],
        "tis": [_given(asdict(ti)) for ti in settings.tis],
        "denoising_strength": settings.denoising_strength,
        "hires_fix_denoising_strength": settings.hires_fix_denoising_strength,
        "facefixer_strength": settings.facefixer_strength,
        "workflow": settings.workflow,
    }
    if settings.control_type is not None:
        payload |= {
            "control_type": settings.control_type,
            "image_is_control": settings.image_is_control,
            "return_control_map": settings.return_control_map,
        }
    if popped.extra_texts:
        payload["extra_texts"] = [
            {"text": text, "reference": reference} for text, reference in popped.extra_texts
        ]
    return _given(payload)


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the request did not say: workers have defaults of their own."""
    return {name: value for name, value in fields.items() if value is not None}
