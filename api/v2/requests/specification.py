"""From what a front-end wrote to the command that the ledger takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from api.http.parameters import uuid_from
from api.v2.requests.schemas import GenerationInputStable, ModelGenerationInputStable
from api.v2.requests.source_images import announced_sources
from domain.accounts.directory import AccountEntry
from domain.images.compatibility import ModelsAsked, check_compatibility, models_asked
from domain.images.controlnet import CONTROLLED_STEPS
from domain.images.sampling import seed_from_text
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages, SourceProcessing
from domain.images.workflows import runs_one_by_one
from domain.models.catalogue import Models, UnknownModels, known_or_offered
from domain.models.loras import Lora, LoraVersions, TextualInversion, TriggerPlace
from domain.requests.commands import SubmitRequest
from domain.requests.requirements import requirements_of
from domain.return_codes import Refused
from domain.webhooks.webhook import WebhookTarget
from domain.workers.directory import WorkerEntry

NEGATIVE_SEPARATOR = "###"

MOST_WORDS = 7_500
MOST_CHARACTERS = 100_000
"""A word may be long; no prompt of 7,500 real ones is longer than this."""

MOST_AGENT_CHARACTERS = 1000

_USUAL_STEPS = 30


class KnownWorkers(Protocol):
    """The part of the directory that knows the workers which a request may name."""

    def worker(self, worker_id: UUID) -> WorkerEntry | None:
        """Return a worker that was not deleted."""

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        """Return the worker of this name."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What reading a request needs to know of the installation."""

    workers: KnownWorkers
    models: Models
    unknown_models: UnknownModels
    offered: Callable[[], Collection[str]]
    """Tells the models of the workers that are here."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that was read and checked, before anything of it is stored."""

    given: GenerationInputStable
    prompt: str
    negative_prompt: str
    """Empty for none."""
    settings: ImageSettings
    models: ModelsAsked
    workers: tuple[UUID, ...]
    """The workers that it names and that there are."""
    unknown_workers: tuple[str, ...]
    """Those that there are not, as it names them."""
    source: SourceImages | None
    """Its images, which nobody has looked at yet: without their digests."""
    texts: tuple[tuple[str, str], ...]
    """Each extra text with what it is referred to by."""


def wish_from(given: GenerationInputStable, *, account: AccountEntry, knowledge: Knowledge) -> Wish:
    """Read and check a request.

    :raises Refused: with the code of whatever is wrong with it, but for its images, its kudos, and
        what only the ledger decides.
    """
    _check_fields(given, account)
    prompt, negative_prompt = split_prompt(given.prompt)
    workers, unknown_workers = _named_workers(given.workers, knowledge.workers)
    if given.workers and not workers and not given.worker_blacklist:
        raise Refused("NoValidWorkers")
    models = models_asked(given.models, knowledge.models)
    _require_served(given.models, knowledge)
    settings = settings_from(given.params)
    source = _announced(given)
    texts = tuple((text.text, text.reference) for text in given.params.extra_texts)
    check_compatibility(
        settings,
        asked=models,
        source=None if source is None or source.image is None else source.processing,
        texts=texts,
    )
    return Wish(
        given=given,
        prompt=prompt,
        negative_prompt=negative_prompt,
        settings=settings,
        models=models,
        workers=workers,
        unknown_workers=unknown_workers,
        source=source,
        texts=texts,
    )


def command_from(
    wish: Wish,
    *,
    account: AccountEntry,
    catalogue: Models,
    source: SourceImages | None,
    client_address: str,
    client_agent: str,
    unsafe_ip: bool = False,
    webhook: WebhookTarget | None = None,
) -> SubmitRequest:
    """Return the command for a request.

    :param source: its images, which lie in the blob store.
    :param webhook: where it wants to be told of, checked.
    :param unsafe_ip: whether it came through a network that the operator calls unsafe.
    :param client_agent: as :func:`checked_agent` returned it.
    """
    given, params = wish.given, wish.given.params
    return SubmitRequest(
        account_id=account.account_id,
        shared_key_id=account.shared_key_id,
        prompt=wish.prompt,
        negative_prompt=wish.negative_prompt,
        settings=wish.settings,
        requirements=requirements_of(
            wish.settings,
            models=given.models,
            catalogue=catalogue,
            source=source,
            nsfw=given.nsfw,
            trusted_workers=given.trusted_workers,
            slow_workers=given.slow_workers,
            extra_slow_workers=given.extra_slow_workers,
            workers=wish.workers,
            worker_blacklist=given.worker_blacklist,
            unsafe_ip=unsafe_ip,
        ),
        images=params.n,
        seed=seed_from_text(params.seed) if params.seed else None,
        seed_variation=params.seed_variation,
        disable_batching=given.disable_batching or runs_one_by_one(params.workflow),
        shared=given.shared,
        r2=given.r2,
        # Who allows adult content gets what was drawn, as the AI Horde reads the two.
        censor_nsfw=given.censor_nsfw and not given.nsfw,
        source=source,
        extra_texts=wish.texts,
        proxied_account=given.proxied_account or "",
        client_address=client_address,
        client_agent=client_agent,
        webhook=webhook,
    )


def settings_from(params: ModelGenerationInputStable) -> ImageSettings:
    """Return the settings of a request's images."""
    usual_steps = _USUAL_STEPS if params.control_type is None else CONTROLLED_STEPS
    return ImageSettings(
        width=params.width,
        height=params.height,
        steps=usual_steps if params.steps is None else params.steps,
        sampler=params.sampler_name,
        cfg_scale=params.cfg_scale,
        karras=params.karras,
        clip_skip=params.clip_skip,
        denoising_strength=params.denoising_strength,
        hires_fix=params.hires_fix,
        hires_fix_denoising_strength=params.hires_fix_denoising_strength,
        tiling=params.tiling,
        transparent=params.transparent,
        post_processing=tuple(params.post_processing),
        facefixer_strength=params.facefixer_strength,
        control_type=params.control_type,
        image_is_control=params.image_is_control,
        return_control_map=params.return_control_map,
        loras=tuple(
            Lora(lora.name, lora.model, lora.clip, lora.inject_trigger, lora.is_version)
            for lora in params.loras
        ),
        tis=tuple(
            TextualInversion(
                ti.name, TriggerPlace(ti.inject_ti) if ti.inject_ti else None, ti.strength
            )
            for ti in params.tis
        ),
        workflow=params.workflow,
    )


def resolved(loras: Sequence[Lora], versions: LoraVersions) -> tuple[Lora, ...]:
    """Return LoRAs by their exact versions; what nobody can tell stays as it was given."""
    return tuple(_exact(lora, versions) for lora in loras)


def _exact(lora: Lora, versions: LoraVersions) -> Lora:
    found = versions.resolve(lora)
    return lora if found is None else replace(lora, name=found.version_id, is_version=True)


def split_prompt(text: str) -> tuple[str, str]:
    """Return what to draw and what not to draw.

    :raises Refused: ``MissingPrompt`` or ``InvalidPromptSize``.
    """
    if len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS:
        raise Refused("InvalidPromptSize")
    prompt, _, negative_prompt = text.partition(NEGATIVE_SEPARATOR)
    if not prompt.strip():
        raise Refused("MissingPrompt")
    return prompt.strip(), negative_prompt.strip()


def joined_prompt(prompt: str, negative_prompt: str) -> str:
    """Return both prompts as one text, as workers expect them."""
    if not negative_prompt:
        return prompt
    return f"{prompt} {NEGATIVE_SEPARATOR} {negative_prompt}"


def checked_agent(client_agent: str) -> str:
    """Return the header ``Client-Agent`` when it reads ``name:version:contact``.

    A contact may be missing: the name and the version are what tells clients apart.

    :raises Refused: ``BadClientAgent``.
    """
    name, _, version = client_agent.partition(":")
    if len(client_agent) > MOST_AGENT_CHARACTERS or not name.strip() or not version.strip(": "):
        raise Refused("BadClientAgent")
    return client_agent


def _check_fields(given: GenerationInputStable, account: AccountEntry) -> None:
    """Check who may set a field, and refuse what is not served rather than drop it."""
    if given.style:
        raise Refused("NotServed", "style: styles are left out; send their settings instead.")
    if given.params.special:
        if not account.roles.special:
            raise Refused("BadRequest", "params.special: is for special accounts only.")
        raise Refused("NotServed", "params.special: no model that takes it is served here.")
    if given.proxied_account and not account.roles.service:
        raise Refused("BadRequest", "proxied_account: is for service accounts only.")


def _announced(given: GenerationInputStable) -> SourceImages | None:
    announced = announced_sources(given)
    if given.extra_source_images and (
        announced is None or announced.processing is not SourceProcessing.REMIX
    ):
        raise Refused("BadRequest", "extra_source_images: only a remix looks at them.")
    return announced


def _require_served(names: Sequence[str], knowledge: Knowledge) -> None:
    unknown = knowledge.unknown_models
    offered = () if unknown is UnknownModels.ALLOW or not names else knowledge.offered()
    if not known_or_offered(names, knowledge.models, offered=offered, unknown=unknown):
        raise Refused("UnsupportedModel", model=names[0])


def _named_workers(
    named: Sequence[str], known: KnownWorkers
) -> tuple[tuple[UUID, ...], tuple[str, ...]]:
    """Return the workers that a request names, and the names of which there is none."""
    found, unknown = set[UUID](), list[str]()
    for name in named:
        worker_id = uuid_from(name)
        entry = known.worker_by_name(name) if worker_id is None else known.worker(worker_id)
        if entry is None:
            unknown.append(name)
        else:
            found.add(entry.worker_id)
    return tuple(sorted(found)), tuple(unknown)
