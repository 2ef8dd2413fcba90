"""Submitting a request: check, find exact LoRAs, price, take in source images, submit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header
from starlette.requests import Request

from api.http.answer import Answer
from api.http.authentication import ApiKey
from api.http.bodies import RawBody
from api.http.idempotency import IdempotencyKeyHeader, idempotency_key_from
from api.http.images import Blobs
from api.http.openapi import error_responses, request_body
from api.http.parameters import address_of, uuid_from
from api.v2.requests.feature import Intake, IntakeFeature
from api.v2.requests.figures import whole_kudos
from api.v2.requests.schemas import (
    GenerationInputStable,
    ReplicationInput,
    RequestAsync,
    RequestDryRun,
)
from api.v2.requests.source_images import take_in_sources
from api.v2.requests.specification import (
    Installation,
    checked_request,
    read_request,
    requester_from,
    with_exact_loras,
)
from domain.accounts.directory import AccountEntry
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages
from domain.ledger.idempotency import IdempotencyKey
from domain.ledger.requests import Requests
from domain.models.catalogue import Models, heaviest
from domain.requests.requirements import with_settings
from domain.requests.specification import ReplicateImage, Requester, SubmitRequest
from domain.requests.upfront import Load, downgraded, is_always_free, needs_upfront
from domain.requests.warnings import (
    NO_AVAILABLE_WORKER,
    NO_INSPECTOR,
    RequestWarning,
    warnings_for,
)
from domain.return_codes import Refused
from domain.webhooks.webhook import WebhookTarget
from projections.backlog.reader import BacklogReader
from projections.workers.presence import Presence

router = APIRouter(tags=["generate"], default_response_class=Answer)

ClientAgent = Annotated[str, Header(description="`name:version:contact` of the client.")]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as one call of the API knows it."""

    account: AccountEntry
    requester: Requester
    unsafe_ip: bool
    """Whether it calls through a network that the operator calls unsafe."""
    idempotency_key: IdempotencyKey | None
    """None for a call that is never sent again."""


@router.post(
    "/generate/async",
    status_code=202,
    responses={
        202: {"model": RequestAsync, "description": "The request is in the queue."},
        200: {"model": RequestDryRun, "description": "With `dry_run`: what it would cost."},
        **error_responses(400, 401, 403, 404, 410, 413, 429, 501),
    },
    openapi_extra=request_body(GenerationInputStable, ReplicationInput),
)
def ask_for_images(
    feature: Intake,
    request: Request,
    raw: RawBody,
    apikey: ApiKey,
    client_agent: ClientAgent = "unknown:0:unknown",
    idempotency_key: IdempotencyKeyHeader = None,
) -> Answer:
    """Ask for images. The id in the answer is all that is needed to watch, fetch and cancel.

    A body with `replicate` asks for an image that was made before.
    """
    address = address_of(request)
    feature.timeouts.require_allowed(address)
    account = feature.authentication.by_key(apikey)
    if feature.modes.now().maintenance:
        raise Refused("MaintenanceMode")
    given = read_request(raw)
    key = idempotency_key_from(
        feature.keyed_digest,
        idempotency_key,
        raw,
        what="async",
        account=account,
        client_address=address,
    )
    if key is not None and not given.dry_run:
        # Whatever has changed since, what was taken once is not refused now.
        earlier = feature.ledger.earlier(key)
        if earlier is not None:
            return Answer(
                {"id": earlier.subject, "kudos": whole_kudos(earlier.kudos)}, status_code=202
            )
    caller = Caller(
        account,
        requester_from(given, account, client_address=address, client_agent=client_agent),
        unsafe_ip=address in feature.unsafe_networks,
        idempotency_key=key,
    )
    if isinstance(given, ReplicationInput):
        return _submit_replica(given, caller, feature)
    return _submit_images(given, caller, feature)


def _submit_images(given: GenerationInputStable, caller: Caller, feature: IntakeFeature) -> Answer:
    """Submit a request for new images, or with ``dry_run`` only price it.

    :raises Refused: as :func:`checked_request`, :func:`take_in_sources` and the ledger do, or
        ``WebhookInvalid``.
    """
    ledger, catalogue = feature.ledger, feature.catalogue

    checked = checked_request(
        given, caller.account, _installation(feature), unsafe_ip=caller.unsafe_ip
    )
    webhook = _webhook(given, caller, feature)
    asked = replace(checked, webhook=webhook)
    if given.dry_run:
        command = SubmitRequest(caller.requester, asked)
        ledger.check_rights(command)
        return Answer({"kudos": whole_kudos(ledger.price(command).total)})

    exact = with_exact_loras(asked, feature.loras, catalogue)
    command = SubmitRequest(caller.requester, exact)
    if feature.kudos_upfront:
        command = _with_upfront(
            command,
            _under_both_names(exact.settings, asked.settings),
            ledger=ledger,
            catalogue=catalogue,
            load=partial(_load, feature.presence, feature.backlog),
            may_downgrade=given.allow_downgrade,
        )
    taken = command.specification
    ledger.check_rights(command)
    if taken.source is not None:
        source = take_in_sources(given, taken.source.processing, feature.fetcher, feature.blobs)
        command = replace(command, specification=replace(taken, source=source))
    request_id, kudos = ledger.submit(command, caller.idempotency_key)

    known = [entry for name in given.models if (entry := catalogue.entry(name)) is not None]
    warnings = [
        *_warnings_of_workers(command, feature),
        *warnings_for(_under_both_names(taken.settings, asked.settings), known),
    ]
    notes = []
    if taken.settings != exact.settings:
        notes.append(_downgrade_note(taken.settings))
    return _accepted(request_id, kudos, warnings, notes)


def _submit_replica(given: ReplicationInput, caller: Caller, feature: IntakeFeature) -> Answer:
    """Submit a request for an image that was made before, or with ``dry_run`` only price it.

    :raises Refused: ``ImageNotFound``, ``ImageNotGenerated``, ``ImageForgotten``,
        ``WebhookInvalid``, or with whatever a request is refused for its kudos.
    """
    ledger = feature.ledger
    image_id = uuid_from(given.replicate)
    if image_id is None:
        raise Refused("ImageNotFound")
    command = ledger.replicate(
        ReplicateImage(
            requester=caller.requester,
            image_id=image_id,
            exact=given.exact,
            shared=given.shared,
            r2=given.r2,
            slow_workers=given.slow_workers,
            trusted_workers=given.trusted_workers,
            unsafe_ip=caller.unsafe_ip,
            webhook=_webhook(given, caller, feature),
        )
    )
    specification = command.specification
    if specification.source is not None:
        _require_kept(specification.source, feature.blobs)
    if given.dry_run:
        return Answer({"kudos": whole_kudos(ledger.price(command).total)})
    if feature.kudos_upfront:
        command = _with_upfront(
            command,
            specification.settings,
            ledger=ledger,
            catalogue=feature.catalogue,
            load=partial(_load, feature.presence, feature.backlog),
        )
    request_id, kudos = ledger.submit(command, caller.idempotency_key)
    return _accepted(request_id, kudos, _warnings_of_workers(command, feature), [])


def _webhook(
    given: GenerationInputStable | ReplicationInput, caller: Caller, feature: IntakeFeature
) -> WebhookTarget | None:
    return feature.webhook_targets.of_request(
        given.webhook, given.webhook_events, account_id=caller.account.account_id
    )


def _installation(feature: IntakeFeature) -> Installation:

    def offered() -> set[str]:
        present = feature.presence.present()
        return {model for worker in present for model in worker.capabilities.models}

    return Installation(feature.directory, feature.catalogue, feature.unknown_models, offered)


def _under_both_names(exact: ImageSettings, given: ImageSettings) -> ImageSettings:
    """Return settings with the LoRAs as they were given and by their exact versions.

    Which LoRAs are LCMs is known of some by their models' ids and of others by versions.
    """
    return replace(exact, loras=(*given.loras, *exact.loras))


def _with_upfront(
    command: SubmitRequest,
    settings: ImageSettings,
    *,
    ledger: Requests,
    catalogue: Models,
    load: Callable[[], Load],
    may_downgrade: bool = False,
) -> SubmitRequest:
    """Return a command that says whether its kudos are needed up front.

    :param settings: the request's, with its LoRAs under all names that are known.
    :param load: counts how busy the installation is; not called for what is free in any case.
    :param may_downgrade: whether the request may be made smaller when its account lacks the kudos.
    """
    specification = command.specification
    slow_workers = specification.requirements.slow_workers
    family = heaviest(specification.requirements.models, catalogue)
    now = Load() if is_always_free(settings, family) else load()
    if not needs_upfront(settings, family, slow_workers=slow_workers, load=now):
        return command
    if may_downgrade and not ledger.can_afford(command):
        smaller = downgraded(settings, family, load=now)
        if not needs_upfront(smaller, family, slow_workers=slow_workers, load=now):
            smaller = replace(smaller, loras=specification.settings.loras)
            return replace(command, specification=with_settings(specification, smaller, catalogue))
    return replace(command, upfront=True)


def _downgrade_note(settings: ImageSettings) -> str:
    size = f"{settings.width}x{settings.height}"
    return f"For want of kudos this was made {size} with {settings.steps} steps."


def _load(presence: Presence, backlog: BacklogReader) -> Load:
    return Load(
        threads=sum(worker.capabilities.threads for worker in presence.present()),
        waiting=backlog.waiting_images(),
    )


def _require_kept(source: SourceImages, blobs: Blobs) -> None:
    """Require that the images which a request started from are there; they count as used now.

    :raises Refused: ``ImageForgotten``.
    """
    try:
        for digest in source.digests:
            blobs.get(digest)
    except LookupError:
        raise Refused("ImageForgotten") from None


def _warnings_of_workers(command: SubmitRequest, feature: IntakeFeature) -> list[RequestWarning]:
    found = []
    if not feature.available_workers.may_serve(command.specification.requirements):
        found.append(NO_AVAILABLE_WORKER)
    if command.specification.censor_nsfw and not feature.inspects_images:
        found.append(NO_INSPECTOR)
    return found


def _accepted(
    request_id: UUID, kudos: float, warnings: Sequence[RequestWarning], notes: Sequence[str]
) -> Answer:
    """Return the answer to a request that is in the queue.

    :param notes: what its message says, beside the gravest warning.
    """
    body: dict[str, object] = {"id": request_id, "kudos": whole_kudos(kudos)}
    if warnings:
        body["warnings"] = [{"code": one.code, "message": one.message} for one in warnings]
    if NO_AVAILABLE_WORKER in warnings:
        notes = [*notes, NO_AVAILABLE_WORKER.message]
    if notes:
        body["message"] = " ".join(notes)
    return Answer(body, status_code=202)
