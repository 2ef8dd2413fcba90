"""What a worker does with pictures: whose they are, how they are described, what is held back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from domain.accounts.account import ANONYMOUS_ID
from domain.images.source_images import SourceImages, SourceProcessing
from domain.jobs.job import ImageState, Job
from domain.requests.specification import ReplicateImage, Requester
from tests.unit.workers.inference.worker_scene import (
    PROMPT,
    Scene,
    scene_in,
)
from workers.engines.protocol import (
    Batch,
    BatchResult,
    Progress,
)
from workers.inference.image_files import read_provenance
from workers.inference.replicas import EQUAL, NOT_PROMISED, ROUNDED
from workers.inference.task import work_until_idle


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_in(tmp_path)


def test_an_image_that_is_not_one_of_the_batch_is_never_delivered(scene: Scene) -> None:
    scene.ask(2)
    inner = scene.engine.generate

    def swapped(batch: Batch, on_progress: Callable[[Progress], None]) -> BatchResult:
        made = inner(batch, on_progress)
        first, second = made.images
        return replace(made, images=(replace(first, batch_index=second.batch_index), second))

    scene.engine.generate = swapped  # type: ignore[method-assign]

    scene.work()

    assert set(scene.failures()) == {"the engine returned an image that is not one of this batch"}
    assert scene.events(Job.ImageGenerated) == []


@pytest.mark.parametrize(
    ("exact", "device", "size", "words"),
    [
        (True, "cpu test", 8, EQUAL),
        (False, "cpu test", 1, ROUNDED),
        (False, "cuda other", 1, f"{NOT_PROMISED}device"),
    ],
)
def test_an_image_of_a_batch_is_made_again_in_its_old_place(
    scene: Scene, exact: bool, device: str, size: int, words: str
) -> None:
    scene.ask(8)
    scene.work()
    first = scene.events(Job.ImageGenerated)[5]
    scene.engine.device = device

    asked = scene.hoard.ledger.requests.replicate(
        ReplicateImage(Requester(ANONYMOUS_ID), first.image_id, exact=exact)
    )
    scene.hoard.ledger.requests.submit(asked)
    assert scene.work() == 1

    original, batch = scene.engine.batches
    assert (batch.seed, batch.indices, batch.size) == (original.seed, (5,), size)
    again = scene.events(Job.ImageGenerated)[-1]
    assert [word.ref for word in again.metadata] == [words]
    assert first.making is not None
    assert again.making is not None
    assert (again.making.place, again.making.batch_size) == (5, size)
    assert (again.making.pixels_sha256 == first.making.pixels_sha256) is exact
    said = read_provenance(scene.hoard.storage.blobs.get(again.digest))
    assert said is not None
    assert (said.batch_index, said.batch_size) == (5, size)


def test_a_source_image_is_read_from_the_store(scene: Scene) -> None:
    digest, mask = scene.hoard.storage.blobs.put(b"a source"), scene.hoard.storage.blobs.put(
        b"a mask"
    )
    scene.ask(2, source=SourceImages(SourceProcessing.INPAINTING, digest, mask))

    scene.work()

    source = scene.engine.batches[0].source
    assert source is not None
    assert (source.image, source.mask) == (b"a source", b"a mask")
    assert source.processing is SourceProcessing.INPAINTING


def test_a_source_image_that_is_gone_fails_the_job_with_a_reason(scene: Scene) -> None:
    scene.ask(2, source=SourceImages(SourceProcessing.IMG2IMG, "0" * 64))

    scene.work()

    assert scene.engine.batches == []
    assert set(scene.failures()) == {"a source image is no longer there"}


def test_files_say_nothing_of_themselves_where_that_is_switched_off(scene: Scene) -> None:
    scene.ask(1)

    work_until_idle(scene.worker, replace(scene.workplace, provenance=False))

    (event,) = scene.events(Job.ImageGenerated)
    assert read_provenance(scene.hoard.storage.blobs.get(event.digest)) is None


def test_no_file_holds_the_prompt(scene: Scene) -> None:
    scene.ask(2)
    scene.work()
    for event in scene.events(Job.ImageGenerated):
        file = scene.hoard.storage.blobs.get(event.digest)
        assert PROMPT.encode() not in file
        assert PROMPT not in str(read_provenance(file))


@dataclass
class Strict:
    """Holds back what stands at these places of the pattern."""

    found: dict[int, ImageState]
    asked: list[bool] = field(default_factory=list)

    def inspect(self, picture: Image.Image, *, censor_nsfw: bool) -> ImageState:
        self.asked.append(censor_nsfw)
        pixel = picture.getpixel((0, 0))
        assert isinstance(pixel, tuple)
        return self.found.get(int(pixel[2]), ImageState.OK)


def test_a_picture_that_is_held_back_is_replaced_and_leaves_no_trace(scene: Scene) -> None:
    strict = Strict({1: ImageState.CENSORED, 2: ImageState.CSAM})
    scene.ask(3, censor_nsfw=True)

    work_until_idle(scene.worker, replace(scene.workplace, inspector=strict))

    fine, censored, illegal = scene.events(Job.ImageGenerated)
    assert strict.asked == [True] * 3
    assert [fine.state, fine.metadata] == [ImageState.OK, ()]
    assert censored.state is ImageState.CENSORED
    assert [(each.type, each.value) for each in censored.metadata] == [("censorship", "nsfw")]
    assert illegal.state is ImageState.CSAM
    assert [(each.type, each.value) for each in illegal.metadata] == [("censorship", "csam")]
    for event in (censored, illegal):
        assert event.making is None
        with Image.open(BytesIO(scene.hoard.storage.blobs.get(event.digest))) as shown:
            assert shown.size == (64, 64)
            assert len(shown.getcolors() or []) == 1


def test_nothing_is_delivered_that_nobody_could_inspect(scene: Scene) -> None:
    @dataclass
    class Broken:
        def inspect(self, picture: Image.Image, *, censor_nsfw: bool) -> ImageState:
            raise RuntimeError("the model of the checker is gone")

    scene.ask(3)

    work_until_idle(scene.worker, replace(scene.workplace, inspector=Broken()))

    assert scene.events(Job.ImageGenerated) == []
    assert set(scene.failures()) == {"the worker failed with RuntimeError"}
