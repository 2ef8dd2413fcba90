from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from domain.images.source_images import SourceProcessing
from tests.diffusers_batches import (
    ENGINE_MARKS,
    MODEL,
    SCENES,
    batch_of,
    count_forwards,
    distance,
    made_pictures,
    make,
    on_one_thread,
    pictures_of,
)
from workers.engines.diffusers.drawing import generators_of, noise_seed
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.diffusers.samplers import SAMPLERS
from workers.engines.protocol import Batch, Source

pytestmark = ENGINE_MARKS

TOLERANCE = 0.05
"""Of 255, the mean over all pixels: what kernels of another batch size may change.

Measured over every sampler, from text, from an image and painted, on a CPU: 0.0001 at most, and no
single value by more than 1."""

CLEARLY_ANOTHER = 1.0
"""Of 255: less than any two images of one batch differ by. Measured in the same way: 1.25 and more
where half of the picture stays, 2.1 and more where all of it is drawn."""

WANTED = UUID(int=105)


@pytest.fixture(scope="module")
def engine() -> Iterator[DiffusersEngine]:
    with on_one_thread():
        yield DiffusersEngine({MODEL: SCENES}, device="cpu")


def source(processing: SourceProcessing) -> Source:
    picture = Image.new("RGBA", (128, 128), (40, 80, 200, 255))
    picture.paste((220, 40, 30, 255), (40, 40, 90, 90))
    picture.paste((0, 0, 0, 0), (64, 0, 128, 128))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Source(processing, buffer.getvalue())


KINDS: dict[str, dict[str, Any]] = {
    "text": {},
    "image": {"source": source(SourceProcessing.IMG2IMG), "denoising_strength": 0.7},
    "painting": {"source": source(SourceProcessing.INPAINTING)},
}


def one_of(batch: Batch, *, exact: bool) -> Batch:
    """The batch that makes place 5 of another one again."""
    settings = batch.settings
    changes = {name: getattr(settings, name) for name in type(settings).__dataclass_fields__}
    return batch_of(
        1,
        **changes,
        source=batch.source,
        image_ids=(WANTED,),
        indices=(5,),
        size=batch.size if exact else 1,
    )


def test_noise_depends_on_the_seed_and_the_place_alone() -> None:
    seeds = {noise_seed(seed, place) for seed in (0, 1, 2**32 - 1) for place in range(20)}
    assert len(seeds) == 60
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert noise_seed(1, 23) != noise_seed(12, 3)
    alone, together = generators_of(7, (5,)), generators_of(7, range(8))
    assert alone[0].initial_seed() == together[5].initial_seed()


def test_the_same_batch_gives_the_same_pixels(engine: DiffusersEngine) -> None:
    assert made_pictures(engine, batch_of()) == made_pictures(engine, batch_of())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampler", ["k_euler_a", "k_dpmpp_sde", "lcm"])
def test_one_image_of_a_batch_is_made_again(
    engine: DiffusersEngine, sampler: str, kind: str
) -> None:
    batch = batch_of(8, sampler=sampler, steps=4, **KINDS[kind])
    whole = make(engine, batch)

    (alone,) = make(engine, one_of(batch, exact=False)).images
    assert (alone.image_id, alone.batch_index) == (WANTED, 5)
    assert distance(alone.picture, whole.images[5].picture) < TOLERANCE
    assert distance(alone.picture, whole.images[4].picture) > CLEARLY_ANOTHER

    (exact,) = make(engine, one_of(batch, exact=True)).images
    assert (exact.image_id, exact.batch_index) == (WANTED, 5)
    assert exact.picture.tobytes() == whole.images[5].picture.tobytes()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_with_every_sampler_an_image_depends_on_its_place_alone(
    engine: DiffusersEngine, sampler: str
) -> None:
    batch = batch_of(4, sampler=sampler, width=64, height=64)
    whole = make(engine, batch)
    (alone,) = make(engine, batch_of(1, indices=(2,), sampler=sampler, width=64, height=64)).images
    assert distance(alone.picture, whole.images[2].picture) < TOLERANCE
    assert len(set(pictures_of(whole))) == 4


def test_only_what_is_needed_goes_through_the_model(engine: DiffusersEngine) -> None:
    batch = batch_of(8, cfg_scale=1.0)
    for exact, rows in ((False, 1), (True, 8)):
        again = one_of(batch, exact=exact)
        assert count_forwards(engine, partial(make, engine, again)) == [rows] * 2


def test_some_places_of_a_batch_can_be_made(engine: DiffusersEngine) -> None:
    whole = pictures_of(make(engine, batch_of(4)))
    some = make(engine, batch_of(2, indices=(1, 3), size=4))
    assert [image.batch_index for image in some.images] == [1, 3]
    assert pictures_of(some) == [whole[1], whole[3]]
