"""From a body to a request specification: read and checked, before anything of it is stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from pydantic_core import from_json

from api.http.bodies import read_body
from api.http.parameters import uuid_from
from api.v2.requests.schemas import (
    GenerationInputStable,
    ModelGenerationInputStable,
    ReplicationInput,
)
from domain.accounts.directory import AccountEntry
from domain.images.compatibility import check_compatibility, traits_of
from domain.images.controlnet import CONTROLLED_STEPS
from domain.images.sampling import seed_from_text
from domain.images.settings import ImageSettings
from domain.images.source_images import (
    ExtraSourceImage,
    SourceImages,
    SourceProcessing,
    require_source,
)
from domain.images.workflows import needs_single_jobs
from domain.models.catalogue import Models, UnknownModels, known_or_offered
from domain.models.loras import InjectionTarget, Lora, LoraVersions, TextualInversion
from domain.requests.prompts import divided_prompt
from domain.requests.requirements import requirements_of, with_settings
from domain.requests.specification import Requester, RequestSpecification
from domain.return_codes import Refused
from domain.workers.directory import WorkerEntry

MOST_WORDS = 7_500
MOST_CHARACTERS = 100_000
"""A word may be long; no prompt of 7,500 real ones is longer than this."""

MOST_AGENT_CHARACTERS = 1000

_USUAL_STEPS = 30

_ONLY_OF_NEW_IMAGES = (
    GenerationInputStable.model_fields.keys() - ReplicationInput.model_fields.keys()
)

_NO_DIGEST = ""
"""The digest of an image that was not looked at yet."""


class KnownWorkers(Protocol):
    """The part of the directory that knows the workers which a request may name."""

    def worker(self, worker_id: UUID) -> WorkerEntry | None:
        """Return a worker that was not deleted."""

    def worker_by_name(self, name: str) -> WorkerEntry | None:
        """Return the worker of this name."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What a request is checked against."""

    workers: KnownWorkers
    catalogue: Models
    unknown_models: UnknownModels
    offered_models: Callable[[], Collection[str]]
    """Returns the models of the workers that are here."""


def read_request(raw: bytes) -> GenerationInputStable | ReplicationInput:
    """Read a body that asks for new images, or for one that was made before.

    :raises Refused: as :func:`api.http.bodies.read_body` does, or ``BadRequest`` when it asks for
        both.
    """
    # Nearly all bodies can be classified without being parsed twice.
    if b'"replicate"' not in raw:
        return read_body(GenerationInputStable, raw)
    try:
        fields = from_json(raw)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or fields.get("replicate") is None:
        return read_body(GenerationInputStable, raw)
    given = read_body(ReplicationInput, raw)
    foreign = sorted(name for name in _ONLY_OF_NEW_IMAGES if fields.get(name) is not None)
    if foreign:
        raise Refused(
            "BadRequest",
            f"{foreign[0]}: leave it out; an image is made again with all that it was made with.",
            dict.fromkeys(foreign, "does not go with replicate"),
        )
    return given


def requester_from(
    given: GenerationInputStable | ReplicationInput,
    account: AccountEntry,
    *,
    client_address: str,
    client_agent: str,
) -> Requester:
    """Return who submits a request.

    :param client_agent: the header ``Client-Agent``; any text will do, and its beginning is kept.
    """
    proxied = given.proxied_account if isinstance(given, GenerationInputStable) else None
    return Requester(
        account_id=account.account_id,
        shared_key_id=account.shared_key_id,
        client_address=client_address,
        client_agent=client_agent[:MOST_AGENT_CHARACTERS],
        proxied_account=proxied or "",
    )


def checked_request(
    given: GenerationInputStable,
    account: AccountEntry,
    installation: Installation,
    *,
    unsafe_ip: bool = False,
) -> RequestSpecification:
    """Check what a body asks for, but for its images, its kudos and what the ledger decides.

    Source images lack their digests still, and there is no webhook yet.

    :param unsafe_ip: whether it came through a network that the operator calls unsafe.
    :raises Refused: with the code of whatever is wrong with it, but for its images, its kudos, and
        what only the ledger decides.
    """
    _check_rights(given, account)
    params = given.params
    prompt, negative_prompt = split_prompt(given.prompt)
    workers = _named_workers(given.workers, installation.workers)
    models = traits_of(given.models, installation.catalogue)
    _require_served(given.models, installation)
    settings = settings_from(params)
    source = _announced_source(given)
    texts = tuple((text.text, text.reference) for text in params.extra_texts)
    check_compatibility(
        settings,
        models=models,
        source=None if source is None or source.image is None else source.processing,
        texts=texts,
    )
    return RequestSpecification(
        prompt=prompt,
        negative_prompt=negative_prompt,
        settings=settings,
        requirements=requirements_of(
            settings,
            models=given.models,
            catalogue=installation.catalogue,
            source=source,
            nsfw=given.nsfw,
            trusted_workers=given.trusted_workers,
            slow_workers=given.slow_workers,
            extra_slow_workers=given.extra_slow_workers,
            workers=workers,
            worker_blacklist=given.worker_blacklist,
            unsafe_ip=unsafe_ip,
        ),
        images=params.n,
        seed=seed_from_text(params.seed) if params.seed else None,
        seed_variation=params.seed_variation,
        disable_batching=given.disable_batching or needs_single_jobs(params.workflow),
        shared=given.shared,
        r2=given.r2,
        # Who allows adult content gets what was drawn, as the AI Horde reads the two.
        censor_nsfw=given.censor_nsfw and not given.nsfw,
        source=source,
        extra_texts=texts,
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
                ti.name, InjectionTarget(ti.inject_ti) if ti.inject_ti else None, ti.strength
            )
            for ti in params.tis
        ),
        workflow=params.workflow,
    )


def with_exact_loras(
    specification: RequestSpecification, versions: LoraVersions, catalogue: Models
) -> RequestSpecification:
    """Return what asks for the same by the exact versions of its LoRAs."""
    settings = specification.settings
    if not settings.loras:
        return specification
    loras = exact_loras(settings.loras, versions)
    return with_settings(specification, replace(settings, loras=loras), catalogue)


def exact_loras(loras: Sequence[Lora], versions: LoraVersions) -> tuple[Lora, ...]:
    """Return LoRAs by their exact versions; one that cannot be resolved stays as it was given."""
    found = [(lora, versions.resolve(lora)) for lora in loras]
    return tuple(
        lora if version is None else replace(lora, name=version.version_id, is_version=True)
        for lora, version in found
    )


def split_prompt(text: str) -> tuple[str, str]:
    """Return what to draw and what not to draw, either of which may be blank.

    :raises Refused: ``MissingPrompt`` or ``InvalidPromptSize``.
    """
    if len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS:
        raise Refused("InvalidPromptSize")
    prompt, negative_prompt = divided_prompt(text)
    if not prompt.strip() and not negative_prompt.strip():
        raise Refused("MissingPrompt")
    return prompt, negative_prompt


def _check_rights(given: GenerationInputStable, account: AccountEntry) -> None:
    """Check who may set a field, and refuse what is not served rather than drop it."""
    if given.style:
        raise Refused("NotServed", "style: styles are left out; send their settings instead.")
    if given.params.special:
        if not account.roles.special:
            raise Refused("BadRequest", "params.special: is for special accounts only.")
        raise Refused("NotServed", "params.special: no model that takes it is served here.")
    if given.proxied_account and not account.roles.service:
        raise Refused("OnlyServiceAccountProxy")


def _announced_source(given: GenerationInputStable) -> SourceImages | None:
    """Return what a request starts from before any image is looked at: with empty digests.

    It is enough to price and to match the request. None without a source image.

    :raises Refused: ``SourceMaskUnnecessary``, ``InpaintingMissingMask`` or ``BadRequest``, where
        what is given does not go together.
    """
    announced = None
    if given.source_processing != "txt2img":
        processing = SourceProcessing(given.source_processing)
        require_source(
            processing,
            has_image=given.source_image is not None,
            has_mask=given.source_mask is not None,
        )
        if given.source_image is not None or given.extra_source_images:
            announced = SourceImages(
                processing,
                image=None if given.source_image is None else _NO_DIGEST,
                mask=None if given.source_mask is None else _NO_DIGEST,
                extra=tuple(
                    ExtraSourceImage(_NO_DIGEST, each.strength)
                    for each in given.extra_source_images
                ),
            )
    if given.extra_source_images and (
        announced is None or announced.processing is not SourceProcessing.REMIX
    ):
        raise Refused("InvalidExtraSourceImages.")
    return announced


def _require_served(names: Sequence[str], installation: Installation) -> None:
    unknown = installation.unknown_models
    offered = () if unknown is UnknownModels.ALLOW or not names else installation.offered_models()
    if not known_or_offered(names, installation.catalogue, offered=offered, unknown=unknown):
        raise Refused("UnsupportedModel", model=names[0])


def _named_workers(named: Sequence[str], known: KnownWorkers) -> tuple[UUID, ...]:
    """Return the workers that a request names by id or name.

    :raises Refused: ``WorkerNotFound`` when one of them does not exist.
    """
    found = set[UUID]()
    for place, name in enumerate(named):
        worker_id = uuid_from(name)
        entry = known.worker_by_name(name) if worker_id is None else known.worker(worker_id)
        if entry is None:
            raise Refused("WorkerNotFound", errors={f"workers.{place}": "does not exist"})
        found.add(entry.worker_id)
    return tuple(sorted(found))
