"""Between the check of a request and the ledger: exact LoRAs, and what can be afforded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from api.v2.requests.feature import IntakeFeature
from api.v2.requests.specification import Wish, resolved
from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline, heaviest
from domain.requests.commands import SubmitRequest
from domain.requests.upfront import Demand, downgraded, is_always_free, upfront_needed
from domain.requests.warnings import RequestWarning, WarningCode, advice_on

_NO_WORKER = "No worker that is here now may serve this request; it waits for one until it expires."


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as the ledger gets it."""

    command: SubmitRequest
    judged: ImageSettings
    """Its settings with the LoRAs both as they were given and by their exact versions."""
    was_downgraded: bool = False
    """Whether it was made smaller because its account lacks the kudos."""


def prepared(
    wish: Wish, build: Callable[[ImageSettings], SubmitRequest], feature: IntakeFeature
) -> Prepared:
    """Find out what a request's LoRAs mean and whether its kudos are needed up front.

    A request that allows it is made smaller when its account lacks them.

    :param build: returns the command for the request with these settings instead of its own.
    """
    settings = wish.settings
    exact = resolved(settings.loras, feature.loras) if settings.loras else ()
    # Which LoRAs are LCMs is known of some by their models' ids and of others by versions.
    judged = replace(settings, loras=(*settings.loras, *exact))
    command = build(replace(settings, loras=exact))
    if not feature.kudos_upfront:
        return Prepared(command, judged)
    family, slow_workers = wish.models.heaviest, wish.given.slow_workers
    demand = _demand(judged, family, feature)
    if not upfront_needed(judged, family, slow_workers=slow_workers, demand=demand):
        return Prepared(command, judged)
    if wish.given.allow_downgrade and not feature.ledger.requests.can_afford(command):
        smaller = downgraded(judged, family, demand=demand)
        if not upfront_needed(smaller, family, slow_workers=slow_workers, demand=demand):
            command = build(replace(smaller, loras=exact))
            return Prepared(command, smaller, was_downgraded=True)
    return Prepared(replace(command, upfront=True), judged)


def with_upfront(command: SubmitRequest, feature: IntakeFeature) -> SubmitRequest:
    """Return a command that says whether its kudos are needed up front."""
    settings = command.settings
    if not feature.kudos_upfront:
        return command
    wanted = command.requirements
    family = heaviest(wanted.models, feature.catalogue)
    demand = _demand(settings, family, feature)
    upfront = upfront_needed(settings, family, slow_workers=wanted.slow_workers, demand=demand)
    return replace(command, upfront=upfront)


def advice_for(
    wish: Wish, prepared_request: Prepared, feature: IntakeFeature
) -> list[RequestWarning]:
    """Return what the client of a request is warned of."""
    catalogue = feature.catalogue
    known = [entry for name in wish.given.models if (entry := catalogue.entry(name)) is not None]
    advice = list(advice_on(prepared_request.judged, known))
    return [*advice_on_workers(prepared_request.command, feature), *advice]


def advice_on_workers(command: SubmitRequest, feature: IntakeFeature) -> list[RequestWarning]:
    """Return what the client is warned of when no worker that is here may serve its request."""
    if feature.available_workers.may_serve(command.requirements):
        return []
    return [RequestWarning(WarningCode.NO_AVAILABLE_WORKER, _NO_WORKER)]


def body_of_taken(
    request_id: UUID, kudos: float, advice: Sequence[RequestWarning], message: str | None
) -> dict[str, Any]:
    """Return the answer to a request that is in the queue."""
    body: dict[str, Any] = {"id": request_id, "kudos": kudos}
    if advice:
        body["warnings"] = [{"code": one.code, "message": one.message} for one in advice]
    if message:
        body["message"] = message
    return body


def told_of(wish: Wish, prepared_request: Prepared, advice: Sequence[RequestWarning]) -> str | None:
    """Return the message of the answer to a request, None when there is nothing to tell."""
    told = []
    if prepared_request.was_downgraded:
        settings = prepared_request.command.settings
        told.append(
            f"For want of kudos this was made {settings.width}x{settings.height} with"
            f" {settings.steps} steps."
        )
    if wish.unknown_workers:
        told.append(f"Left out, since there are none: {', '.join(wish.unknown_workers)}.")
    told += told_of_workers(advice)
    return " ".join(told) or None


def told_of_workers(advice: Sequence[RequestWarning]) -> list[str]:
    """Return what of an advice is so grave that it stands in the message of the answer too."""
    return [one.message for one in advice if one.code is WarningCode.NO_AVAILABLE_WORKER]


def _demand(judged: ImageSettings, family: Baseline, feature: IntakeFeature) -> Demand:
    if is_always_free(judged, family):
        # Nothing is counted for what needs no kudos anyway.
        return Demand()
    present = feature.presence.present()
    return Demand(
        threads=sum(worker.capabilities.threads for worker in present),
        waiting=feature.backlog.waiting_images(),
    )
