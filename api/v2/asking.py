"""From what a front-end wrote to the command that the ledger takes."""

from __future__ import annotations

from uuid import UUID

from api.v2.schemas.asking import GenerationInputStable
from domain.commands import SubmitRequest
from domain.image_settings import ImageSettings
from domain.matching import Requirements
from domain.ports import AccountEntry, Directory
from domain.return_codes import Refused
from domain.sampling import seed_from_text

NEGATIVE_SEPARATOR = "###"

MOST_WORDS = 7_500
MOST_CHARACTERS = 100_000
"""A word may be long; no prompt of 7,500 real ones is longer than this."""

_MOST_AGENT_CHARACTERS = 1000


def command_from(
    given: GenerationInputStable,
    *,
    account: AccountEntry,
    directory: Directory,
    client_address: str,
    client_agent: str,
) -> SubmitRequest:
    """Return the command for a request.

    :param directory: knows the workers that the request may name.
    :raises Refused: ``MissingPrompt``, ``InvalidPromptSize``, or ``BadRequest`` when it names a
        worker that does not exist.
    """
    prompt, negative_prompt = split_prompt(given.prompt)
    params = given.params
    settings = ImageSettings(
        width=params.width,
        height=params.height,
        steps=params.steps,
        sampler=params.sampler_name,
        cfg_scale=params.cfg_scale,
        karras=params.karras,
        clip_skip=params.clip_skip,
    )
    workers = _worker_ids(given.workers, directory)
    requirements = Requirements(
        models=tuple(sorted(set(given.models))),
        pixels=settings.pixels,
        nsfw=given.nsfw,
        trusted_workers=given.trusted_workers,
        slow_workers=given.slow_workers,
        extra_slow_workers=given.extra_slow_workers,
        workers=workers,
        worker_blacklist=given.worker_blacklist and bool(workers),
    )
    return SubmitRequest(
        account_id=account.account_id,
        prompt=prompt,
        negative_prompt=negative_prompt,
        settings=settings,
        requirements=requirements,
        images=params.n,
        seed=seed_from_text(params.seed) if params.seed else None,
        seed_variation=params.seed_variation,
        disable_batching=given.disable_batching,
        shared=given.shared,
        r2=given.r2,
        client_address=client_address,
        client_agent=client_agent[:_MOST_AGENT_CHARACTERS],
    )


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


def _worker_ids(named: list[str], directory: Directory) -> tuple[UUID, ...]:
    return tuple(sorted({_worker_id(name, directory) for name in named}))


def _worker_id(name: str, directory: Directory) -> UUID:
    """Return the id that a client wrote, or that of the worker whose name it wrote."""
    worker_id = uuid_from(name)
    if worker_id is not None:
        return worker_id
    entry = directory.worker_by_name(name)
    if entry is None:
        raise Refused(
            "BadRequest", "workers names one that is not known.", {"workers": f"unknown: {name}"}
        )
    return entry.worker_id


def uuid_from(text: str) -> UUID | None:
    """Return the id that a client wrote, or None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
