"""Images that in-cluster workers make and make again, on a real ledger behind its API."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from domain.images.provenance import LoraIdentity, Provenance
from domain.jobs.commands import PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.workers.bridges import IN_CLUSTER_AGENT
from domain.workers.matching import Capabilities
from domain.workers.worker import WorkerKind
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from tests.integration.api_client import MODEL, Answered, Api

ABLE = Capabilities(
    models=("another model", MODEL),
    amount=20,
    max_pixels=2048 * 2048,
    nsfw=True,
    threads=1,
    extra_slow=False,
    bridge_agent=f"{IN_CLUSTER_AGENT}:1:operator",
    img2img=True,
    painting=True,
    lora=True,
    features=("lora_versions", "replication"),
)
UNABLE = replace(ABLE, features=("lora_versions",))

MAKING = Provenance(
    engine="test 1",
    device="cpu",
    model_sha256="5" * 64,
    batch_size=4,
    place=0,
    pixels_sha256="6" * 64,
)


def owner_of(api: Api) -> UUID:
    """Return the account that runs the workers."""
    api.key("owner")
    entry = api.hoard.inline.directory.account_by_name("owner")
    assert entry is not None
    return entry.account_id


def pop(api: Api, capabilities: Capabilities = ABLE) -> PoppedJob | None:
    """Ask for work as a process of the installation does."""
    command = PopJob(owner_of(api), False, "in-cluster", capabilities, WorkerKind.IN_CLUSTER)
    popped = api.hoard.ledger.jobs.pop(command)
    return popped if isinstance(popped, PoppedJob) else None


def make(
    api: Api, *, loras: tuple[LoraIdentity, ...] = (), state: ImageState = ImageState.OK
) -> PoppedJob:
    """Make the next batch, and tell how each of its images was made."""
    job = pop(api)
    assert job is not None
    size = len(job.image_ids)
    for place, image_id in enumerate(job.image_ids):
        api.hoard.ledger.jobs.submit_image(
            image_id,
            owner_id=owner_of(api),
            digest=f"{place:064x}",
            seed=job.seed,
            state=state,
            provenance=replace(MAKING, batch_size=size, place=place, loras=loras),
        )
    return job


def again(api: Api, image_id: UUID | str, key: str = ANONYMOUS_KEY, **fields: object) -> Answered:
    """Ask for an image that was made before."""
    body = {"replicate": str(image_id), **fields}
    return api.call("POST", "/generate/async", key=key, json=body)
