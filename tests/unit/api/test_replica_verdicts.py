"""The words that clients read about an image that was made again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.images.metadata import MetadataType, MetadataValue
from domain.images.provenance import LoraIdentity, Provenance
from workers.inference.replicas import verdict_on

RECORDED = Provenance(
    engine="pattern 1",
    device="cpu test",
    model_sha256="ab" * 32,
    batch_size=8,
    place=5,
    pixels_sha256="cd" * 32,
)
OTHER_PIXELS = "ef" * 32


@pytest.mark.parametrize(
    ("recorded", "made", "words"),
    [
        (RECORDED, RECORDED, "replica: equal bit for bit to the recorded pixels"),
        (
            RECORDED,
            replace(RECORDED, device="cuda other"),
            "replica: equal bit for bit to the recorded pixels",
        ),
        (
            RECORDED,
            replace(RECORDED, batch_size=1, pixels_sha256=OTHER_PIXELS),
            "replica: the same picture up to rounding, made without the rest of its batch",
        ),
        (
            RECORDED,
            replace(RECORDED, pixels_sha256=OTHER_PIXELS),
            "replica: same engine, device, model and batch, and yet the pixels are not the "
            "recorded ones",
        ),
        (
            RECORDED,
            replace(RECORDED, engine="pattern 2", device="cuda", pixels_sha256=OTHER_PIXELS),
            "replica: equality is not promised, made with another engine, device",
        ),
        (
            RECORDED,
            replace(
                RECORDED,
                model_sha256="12" * 32,
                loras=(LoraIdentity("1", "34" * 32),),
                pixels_sha256=OTHER_PIXELS,
            ),
            "replica: equality is not promised, made with another model, LoRA",
        ),
        (
            None,
            RECORDED,
            "replica: equality is not promised, nothing was recorded of how the image was made",
        ),
    ],
)
def test_the_verdict_says_what_can_be_known(
    recorded: Provenance | None, made: Provenance, words: str
) -> None:
    verdict = verdict_on(recorded, made)
    assert verdict.ref == words
    assert len(words) <= 255
    assert (verdict.type, verdict.value) == (MetadataType.INFORMATION, MetadataValue.SEE_REF)
