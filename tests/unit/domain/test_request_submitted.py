"""The first event of a request: what is asked for, written down byte for byte as ever."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from eventsourcing.domain import Aggregate

from domain.images.settings import ImageSettings
from domain.images.source_images import ExtraSourceImage, SourceImages, SourceProcessing
from domain.jobs.replication import Replication
from domain.models.loras import Lora
from domain.requests.request import Request
from domain.requests.specification import Requester, RequestSpecification, Terms
from domain.sealing import Sealed
from domain.webhooks.webhook import WebhookTarget
from domain.workers.matching import Requirements
from infrastructure.storage.event_mapper import EventMapper
from projections.tracking.notifications import DEFAULT_KINDS
from tests.paths import ROOT

SAMPLES = ROOT / "tests" / "samples" / "submitted"
"""Written by a program that knew neither specifications nor requesters."""

REQUEST, ACCOUNT, KEY, WORKER, DESTINATION, IMAGE = (UUID(int=number) for number in range(1, 7))
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW + timedelta(minutes=20)

EVERYTHING = (
    RequestSpecification(
        prompt="a fox",
        negative_prompt="blurry",
        settings=ImageSettings(
            512, 640, 20, "k_heun", 5.5, True, 2, loras=(Lora("77", 0.5, is_version=True),)
        ),
        requirements=Requirements(
            ("m",), 512 * 640, True, False, True, False, workers=(WORKER,), img2img=True
        ),
        images=3,
        seed=5,
        seed_variation=2,
        disable_batching=True,
        shared=True,
        r2=False,
        censor_nsfw=True,
        source=SourceImages(
            SourceProcessing.IMG2IMG, image="aa", mask="bb", extra=(ExtraSourceImage("cc", 0.5),)
        ),
        extra_texts=(("hello", "qr_code"),),
        replicates=Replication(IMAGE, 4, 2, 5, "m", True, None),
        webhook=WebhookTarget("https://example.org/hook", DESTINATION, DEFAULT_KINDS),
    ),
    Requester(ACCOUNT, KEY, "192.0.2.1", "test:1:unit", "user 7"),
    Terms(kudos=31.25, kudos_per_image=10.0625, expires_at=LATER, priority=7.5, held=12.5),
)
LEAST = (
    RequestSpecification(
        prompt="a fox",
        negative_prompt="",
        settings=ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1),
        requirements=Requirements((), 512 * 512, False, False, True, False),
    ),
    Requester(ACCOUNT),
    Terms(kudos=11.0, kudos_per_image=10.0, expires_at=LATER),
)


def seal(text: str) -> Sealed:
    return Sealed(ACCOUNT, f"sealed {text}")


@pytest.mark.parametrize(
    ("sample", "values", "funded"),
    [("everything", EVERYTHING, False), ("least", LEAST, True)],
)
def test_it_is_written_as_it_always_was(
    sample: str, values: tuple[RequestSpecification, Requester, Terms], funded: bool
) -> None:
    request = Request.submit(REQUEST, *values, seal=seal, funded=funded, timestamp=NOW)
    (event,) = request.collect_events()
    written = EventMapper().to_stored_event(event).state.decode()
    assert written == (SAMPLES / f"{sample}.json").read_text().rstrip("\n")


def test_each_field_of_the_values_is_a_field_of_the_event_and_no_other_is() -> None:
    of_values = [
        field.name for kind in (RequestSpecification, Requester, Terms) for field in fields(kind)
    ]
    of_events = {field.name for field in fields(Aggregate.Created)}
    of_event = {field.name for field in fields(Request.Submitted)} - of_events
    assert sorted(of_values) == sorted(of_event)
