"""Between the check of a request and the ledger: exact LoRAs, and what can be afforded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from api.context import Context
from api.v2.asking import Wish, resolved
from domain.advice import Advice, Warned, advice_on
from domain.commands import SubmitRequest
from domain.image_settings import ImageSettings
from domain.upfront import Demand, downgraded, is_always_free, upfront_needed

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
    wish: Wish, build: Callable[[ImageSettings], SubmitRequest], hoard: Context
) -> Prepared:
    """Find out what a request's LoRAs mean and whether its kudos are needed up front.

    A request that allows it is made smaller when its account lacks them.

    :param build: returns the command for the request with these settings instead of its own.
    """
    services, settings = hoard.services, wish.settings
    exact = resolved(settings.loras, services.loras) if settings.loras else ()
    # Which LoRAs are LCMs is known of some by their models' ids and of others by versions.
    judged = replace(settings, loras=(*settings.loras, *exact))
    command = build(replace(settings, loras=exact))
    if not services.kudos_upfront:
        return Prepared(command, judged)
    family, slow_workers = wish.models.heaviest, wish.given.slow_workers
    demand = Demand() if is_always_free(judged, family) else _demand(hoard)
    if not upfront_needed(judged, family, slow_workers=slow_workers, demand=demand):
        return Prepared(command, judged)
    if wish.given.allow_downgrade and not services.ledger.can_afford(command):
        smaller = downgraded(judged, family, demand=demand)
        if not upfront_needed(smaller, family, slow_workers=slow_workers, demand=demand):
            command = build(replace(smaller, loras=exact))
            return Prepared(command, smaller, was_downgraded=True)
    return Prepared(replace(command, upfront=True), judged)


def advice_for(wish: Wish, prepared_request: Prepared, hoard: Context) -> list[Advice]:
    """Return what the client of a request is warned of."""
    catalogue = hoard.services.catalogue
    known = [entry for name in wish.given.models if (entry := catalogue.entry(name)) is not None]
    advice = list(advice_on(prepared_request.judged, known))
    if not hoard.crowd.may_serve(prepared_request.command.requirements):
        advice.insert(0, Advice(Warned.NO_AVAILABLE_WORKER, _NO_WORKER))
    return advice


def told_of(wish: Wish, prepared_request: Prepared, advice: list[Advice]) -> str | None:
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
    told += [one.message for one in advice if one.code is Warned.NO_AVAILABLE_WORKER]
    return " ".join(told) or None


def _demand(hoard: Context) -> Demand:
    services = hoard.services
    present = services.presence.present()
    return Demand(
        threads=sum(worker.capabilities.threads for worker in present),
        waiting=services.backlog.waiting_images(),
    )
