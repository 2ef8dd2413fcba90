"""From a job to a batch: whole, or one image of an earlier batch."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.images.settings import ImageSettings
from domain.images.source_images import ExtraSourceImage, SourceImages, SourceProcessing
from domain.jobs.commands import PoppedJob
from domain.jobs.replication import Replication
from workers.inference.task import SourceMissing, batch_of

FILES = {"a": b"image", "b": b"mask", "c": b"extra"}
SETTINGS = ImageSettings(512, 512, 4, "k_euler", 5.0, True, 1)


def job(
    images: int, *, replication: Replication | None = None, source: SourceImages | None = None
) -> PoppedJob:
    return PoppedJob(
        job_id=UUID(int=1),
        request_id=UUID(int=2),
        image_ids=tuple(UUID(int=10 + place) for place in range(images)),
        worker_id=UUID(int=3),
        model="Pattern",
        prompt="a garden",
        negative_prompt="",
        settings=SETTINGS,
        seed=7,
        lease_ends_at=datetime(2026, 1, 1, tzinfo=UTC),
        lease_seconds=150,
        r2=True,
        censor_nsfw=False,
        source=source,
        extra_texts=(("a text", "a reference"),),
        replication=replication,
    )


def replication(*, exact: bool) -> Replication:
    return Replication(
        image_id=UUID(int=4),
        batch_size=8,
        place=5,
        seed=7,
        model="Pattern",
        exact=exact,
        making=None,
    )


def test_a_job_is_run_as_one_batch() -> None:
    batch = batch_of(job(20), FILES.__getitem__)
    assert batch.indices == batch.indices_run == tuple(range(20))
    assert batch.size == 20
    assert (batch.settings, batch.seed, batch.texts) == (
        SETTINGS,
        7,
        (("a text", "a reference"),),
    )
    assert batch.source is None


def test_an_image_that_is_made_again_is_run_alone_in_its_old_place() -> None:
    batch = batch_of(job(1, replication=replication(exact=False)), FILES.__getitem__)
    assert (batch.indices, batch.size, batch.indices_run) == ((5,), 1, (5,))


def test_to_be_exact_its_whole_batch_is_run_around_it() -> None:
    batch = batch_of(job(1, replication=replication(exact=True)), FILES.__getitem__)
    assert (batch.indices, batch.size, batch.indices_run) == ((5,), 8, tuple(range(8)))


def test_source_images_are_read() -> None:
    source = SourceImages(SourceProcessing.INPAINTING, "a", "b", (ExtraSourceImage("c"),))
    read = batch_of(job(2, source=source), FILES.__getitem__).source
    assert read is not None
    assert (read.image, read.mask, read.extra) == (b"image", b"mask", (b"extra",))


def test_a_source_image_that_is_gone_is_said() -> None:
    source = SourceImages(SourceProcessing.IMG2IMG, "gone")
    with pytest.raises(SourceMissing, match="no longer there"):
        batch_of(job(2, source=source), FILES.__getitem__)
