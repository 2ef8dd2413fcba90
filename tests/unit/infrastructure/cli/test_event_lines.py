from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from uuid import UUID

import orjson
import pytest
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent

from domain.accounts.account import ANONYMOUS_ID
from domain.events import EVENT_CLASSES
from domain.images.settings import ImageSettings
from domain.jobs.image_ids import image_ids_of, job_id_from
from domain.jobs.job import ImageState, Job
from domain.requests.request import Request
from domain.requests.specification import Requester, RequestSpecification, Terms
from domain.sealing import Sealed
from domain.workers.matching import Capabilities, Requirements
from domain.workers.worker import Worker, WorkerKind
from infrastructure.cli.history.event_lines import SEALED, EventLine
from infrastructure.storage.event_mapper import EventMapper
from projections.view import RecordedEvent
from tests.paths import ROOT

NOON = datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC)
REQUEST = UUID("8f14e45f-ceea-467f-9c6b-1d2a3b4c5d6e")
JOB = job_id_from(UUID("11111111-2222-4333-8444-555555555555"))
WORKER = UUID("99999999-8888-4777-a666-555555555555")


SAMPLES = ROOT / "tests" / "samples" / "events"


def sample_text(name: str) -> str:
    version = getattr(EVENT_CLASSES[name], "class_version", 1)
    return (SAMPLES / f"{name}.v{version}.json").read_text()


def sample_of(name: str) -> Aggregate.Event:
    sample = json.loads(sample_text(name))
    return EventMapper().to_domain_event(
        StoredEvent(
            originator_id=UUID(sample["originator_id"]),
            originator_version=sample["originator_version"],
            topic=sample["topic"],
            state=json.dumps(sample["state"]).encode(),
        )
    )


def request(agent: str = "test:1:none", at: datetime = NOON) -> Request:
    return Request.submit(
        REQUEST,
        RequestSpecification(
            prompt="c2VjcmV0",
            negative_prompt="",
            settings=ImageSettings(512, 512, 4, "lcm", 1.0, True, 1),
            requirements=Requirements((), 512 * 512, False, False, True, False),
            images=2,
        ),
        Requester(ANONYMOUS_ID, client_address="YWRkcmVzcw", client_agent=agent),
        Terms(kudos=12.5, kudos_per_image=1.0, expires_at=at + timedelta(minutes=20)),
        seal=partial(Sealed, REQUEST),
        funded=True,
        timestamp=at,
    )


def job() -> Job:
    return Job.batch(
        JOB,
        images=2,
        request_id=REQUEST,
        account_id=ANONYMOUS_ID,
        worker_id=WORKER,
        worker_name="worker",
        owner_id=ANONYMOUS_ID,
        model="scenes",
        seed=7,
        lease_ends_at=NOON + timedelta(seconds=150),
        kudos_per_image=5.0,
        pixelsteps=7_864_320,
        timestamp=NOON,
    )


def lines_of(*streams: Request | Job | Worker) -> Sequence[EventLine]:
    lines: list[EventLine] = []
    for stream in streams:
        for event in stream.collect_events():
            assert isinstance(event, Aggregate.Event)
            lines.append(EventLine.of(RecordedEvent(len(lines) + 1, event)))
    return lines


def test_a_line_names_its_stream_its_place_and_its_type() -> None:
    asked = request()
    asked.cancel(delivered_by_open_jobs=0, timestamp=NOON)
    first, second = lines_of(asked)
    assert (first.position, first.kind, first.stream, first.version) == (1, "Request", REQUEST, 1)
    assert (first.type, second.type) == ("Request.Submitted", "Request.Cancelled")
    assert (second.version, second.data) == (
        2,
        {"abandoned": 2, "burnt": 0.0, "refunded": 0.0, "payer": None},
    )


def test_what_is_personal_stays_sealed_everywhere() -> None:
    (line,) = lines_of(request())
    assert line.data["prompt"] == line.data["client_address"] == SEALED
    assert line.data["negative_prompt"] is None
    for shown in (line.as_text(), line.as_coloured(500).plain, str(line.as_json())):
        assert "c2VjcmV0" not in shown
        assert "YWRkcmVzcw" not in shown


def test_the_json_object_is_whole_and_plain() -> None:
    made = job()
    made.accept_image(
        image_ids_of(JOB, 2)[0], digest="ab" * 32, seed=7, state=ImageState.OK, timestamp=NOON
    )
    batched, generated = lines_of(made)
    assert orjson.loads(orjson.dumps(generated.as_json())) == {
        "position": 2,
        "stream": {"kind": "Job", "id": str(JOB)},
        "version": 2,
        "type": "Job.ImageGenerated",
        "time": "2026-11-24T12:00:00.500Z",
        "data": {
            "image_id": str(image_ids_of(JOB, 2)[0]),
            "batch_index": 0,
            "digest": "ab" * 32,
            "seed": 7,
            "state": "ok",
            "kudos": 5.0,
            "metadata": [],
            "owner_id": str(ANONYMOUS_ID),
            "making": None,
        },
    }
    assert batched.data["image_ids"] == [str(image_id) for image_id in image_ids_of(JOB, 2)]
    assert batched.data["lease_ends_at"] == "2026-11-24T12:02:30.500Z"


def test_nested_values_are_objects() -> None:
    worker = Worker.register(
        WORKER,
        name="worker",
        owner_id=ANONYMOUS_ID,
        kind=WorkerKind.REMOTE,
        capabilities=Capabilities(("scenes",), 20, 2048**2, True, 1, False, "agent:1:none"),
        timestamp=NOON,
    )
    (line,) = lines_of(worker)
    assert line.data["capabilities"]["amount"] == 20
    assert line.data["capabilities"]["models"] == ["scenes"]


def test_times_are_told_in_utc() -> None:
    (line,) = lines_of(request(at=NOON.astimezone(timezone(timedelta(hours=2)))))
    assert line.as_json()["time"] == "2026-11-24T12:00:00.500Z"


def test_the_text_is_one_line_with_everything() -> None:
    (line,) = lines_of(request())
    text = line.as_text()
    assert "\n" not in text
    for part in ("Request", str(REQUEST), "v1", "Request.Submitted", "T12:00:00.500Z"):
        assert part in text
    assert orjson.loads(text[text.index("{") :]) == line.data


def test_a_terminal_gets_one_line_that_fits() -> None:
    (line,) = lines_of(request())
    narrow = line.as_coloured(80)
    assert narrow.cell_len <= 80
    assert narrow.plain.endswith("…")
    assert str(REQUEST)[:8] in narrow.plain
    assert str(REQUEST) in line.as_coloured(200).plain


def test_a_terminal_is_told_the_figures_first_and_ids_in_short() -> None:
    asked = request()
    asked.slice(
        JOB,
        worker_id=WORKER,
        amount=20,
        max_pixels=2048**2,
        weight=1.0,
        expires_at=NOON,
        timestamp=NOON,
    )
    submitted, sliced = (line.as_coloured(500).plain for line in lines_of(asked))
    assert sliced.endswith(
        "job_number=0 images=2 remaining=0 amount=20 max_pixels=4194304 weight=1.0 "
        "job_id=11111111…00 worker_id=99999999…55 expires_at=12:00:00"
    )
    assert "images=2 width=512 height=512 steps=4 sampler=lcm" in submitted
    assert f"prompt={SEALED}" in submitted
    assert "disable_batching" not in submitted


@pytest.mark.parametrize("name", EVENT_CLASSES)
def test_every_event_has_a_line_whose_columns_stand_below_each_other(name: str) -> None:
    line = EventLine.of(RecordedEvent(1, sample_of(name)))
    (other,) = lines_of(request())
    text, coloured = line.as_text(), line.as_coloured(2000).plain
    assert text.index("{") == other.as_text().index("{")
    assert orjson.loads(text[text.index("{") :]) == line.data
    version = f"  v{line.version} "
    assert coloured.index(version) == other.as_coloured(2000).plain.index("  v1 ")
    assert name.partition(".")[2] in coloured
    boxes = re.findall(r'"box": "([^"]+)"', sample_text(name))
    assert not any(box in shown for box in boxes for shown in (text, coloured))


def test_what_clients_wrote_does_not_steer_the_terminal() -> None:
    (line,) = lines_of(request(agent="evil \x1b[31m\x9b2J\n:1:none"))
    for shown in (line.as_text(), line.as_coloured(2000).plain):
        assert all(letter.isprintable() for letter in shown)
