"""What has to be known of an image for it to be made again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.images.provenance import LoraIdentity, Provenance
from domain.jobs.image_ids import job_id_from
from domain.jobs.job import ImageState, Job
from domain.jobs.replication import Replication, loras_as_made, replication_of
from domain.models.loras import Lora

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
JOB = job_id_from(UUID(int=0xABCDEF0123456789ABCDEF))
MAKING = Provenance("test 1", "cpu", "5" * 64, batch_size=3, place=2, pixels_sha256="6" * 64)


def made(making: Provenance | None, images: int = 3) -> tuple[Job.ImageGenerated, Job]:
    """Deliver the last image of a job."""
    job = Job.batch(
        JOB,
        images=images,
        request_id=UUID(int=1),
        account_id=ANONYMOUS_ID,
        worker_id=UUID(int=2),
        worker_name="worker",
        owner_id=UUID(int=3),
        model="a model",
        seed=77,
        lease_ends_at=NOON + timedelta(seconds=150),
        kudos_per_image=5.0,
        pixelsteps=1,
        timestamp=NOON,
    )
    job.accept_image(
        job.image_ids[-1],
        digest="a" * 64,
        seed=77,
        state=ImageState.OK,
        provenance=making,
        timestamp=NOON,
    )
    return job.generated[images - 1], job


def loaded(*version_ids: str) -> Provenance:
    """Return how an image was made with these LoRA files."""
    files = tuple(LoraIdentity(version_id, "7" * 64) for version_id in version_ids)
    return Provenance("test 1", "cpu", "5" * 64, 1, 0, "6" * 64, loras=files)


def test_what_the_worker_told_counts() -> None:
    image, job = made(MAKING)
    expected = Replication(
        job.image_ids[2], 3, 2, seed=77, model="a model", exact=True, making=MAKING
    )
    assert replication_of(image, job, earlier=None, exact=True) == expected


def test_without_a_word_its_job_tells() -> None:
    image, job = made(None)
    found = replication_of(image, job, earlier=None, exact=False)
    assert (found.batch_size, found.place, found.making) == (3, 2, None)


def test_a_replica_without_a_word_has_the_place_of_the_first_one() -> None:
    image, job = made(None, images=1)
    earlier = Replication(UUID(int=9), 8, 5, seed=77, model="a model", exact=True, making=None)
    found = replication_of(image, job, earlier=earlier, exact=False)
    assert (found.batch_size, found.place, found.image_id) == (8, 5, job.image_ids[0])


def test_a_replica_that_was_made_alone_has_a_place_and_no_batch() -> None:
    image, job = made(Provenance("test 1", "cpu", "5" * 64, 1, 5, "6" * 64), images=1)
    found = replication_of(image, job, earlier=None, exact=True)
    assert (found.batch_size, found.place) == (1, 5)


def test_loras_are_named_by_what_was_loaded_and_keep_their_strengths() -> None:
    asked = (Lora("by name", model=0.5, inject_trigger="any"), Lora("62833", is_version=True))
    assert loras_as_made(asked, loaded("15072", "62833"), ()) == (
        Lora("15072", model=0.5, inject_trigger="any", is_version=True),
        Lora("62833", is_version=True),
    )


def test_a_file_without_a_version_stays_as_it_was_asked_for() -> None:
    asked = (Lora("mine"),)
    assert loras_as_made(asked, loaded("mine.safetensors"), ()) == asked


def test_what_could_not_be_had_is_left_out_wherever_it_stood() -> None:
    asked = (Lora("first"), Lora("gone"), Lora("last"))
    word = GenerationMetadata(MetadataType.LORA, MetadataValue.DOWNLOAD_FAILED, "gone")
    found = loras_as_made(asked, loaded("1", "3"), (word,))
    assert [lora.name for lora in found] == ["1", "3"]


def test_where_the_record_does_not_tell_nothing_is_changed() -> None:
    asked = (Lora("first"), Lora("last"))
    assert loras_as_made(asked, loaded("1"), ()) == asked
    assert loras_as_made(asked, None, ()) == asked
