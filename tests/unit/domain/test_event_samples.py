"""Old history always loads: every published event class, in every version it ever had."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import MapperDeserialisationError, StoredEvent

from domain.events import EVENT_CLASSES
from infrastructure.storage.event_mapper import EventMapper, UnknownEvent
from tests.paths import ROOT

SAMPLES = ROOT / "tests" / "samples" / "events"


def _stored(sample: dict[str, Any]) -> StoredEvent:
    return StoredEvent(
        originator_id=UUID(sample["originator_id"]),
        originator_version=sample["originator_version"],
        topic=sample["topic"],
        state=json.dumps(sample["state"]).encode(),
    )


def _sample(name: str, version: int = 1) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((SAMPLES / f"{name}.v{version}.json").read_text())
    return loaded


@pytest.mark.parametrize("name", EVENT_CLASSES)
def test_every_version_of_every_event_class_has_a_sample_that_loads(name: str) -> None:
    kind = EVENT_CLASSES[name]
    for version in range(1, getattr(kind, "class_version", 1) + 1):
        event = EventMapper().to_domain_event(_stored(_sample(name, version)))
        assert type(event) is kind


@pytest.mark.parametrize("name", EVENT_CLASSES)
def test_the_latest_sample_is_what_is_written_today(name: str) -> None:
    version = getattr(EVENT_CLASSES[name], "class_version", 1)
    sample = _sample(name, version)
    mapper = EventMapper()
    written = mapper.to_stored_event(mapper.to_domain_event(_stored(sample)))
    assert json.loads(written.state) == sample["state"]
    assert written.topic == name


def test_every_sample_is_of_a_published_event() -> None:
    names = {path.name.rsplit(".v", 1)[0] for path in SAMPLES.glob("*.json")}
    assert names == set(EVENT_CLASSES)


def test_an_unknown_name_says_so() -> None:
    sample = _sample("Request.Completed") | {"topic": "Request.Vanished"}
    with pytest.raises(UnknownEvent, match=r"Request\.Vanished"):
        EventMapper().to_domain_event(_stored(sample))


def test_a_version_from_the_future_says_so() -> None:
    sample = _sample("Request.Completed")
    sample["state"]["event_version"] = 99
    with pytest.raises(UnknownEvent, match="newer program"):
        EventMapper().to_domain_event(_stored(sample))


def test_a_field_of_another_type_is_named_and_its_value_is_not_shown() -> None:
    sample = _sample("Request.Sliced")
    sample["state"]["images"] = "a secret"
    with pytest.raises(MapperDeserialisationError, match="images") as caught:
        EventMapper().to_domain_event(_stored(sample))
    assert "a secret" not in str(caught.value)


def test_an_old_version_is_brought_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    kind: type[Aggregate.Event] = EVENT_CLASSES["Worker.PauseChanged"]

    def upcast(state: dict[str, Any]) -> None:
        state["paused"] = state.pop("halted")

    monkeypatch.setattr(kind, "class_version", 2, raising=False)
    monkeypatch.setattr(kind, "upcast_v1_v2", staticmethod(upcast), raising=False)
    sample = _sample("Worker.PauseChanged")
    sample["state"]["halted"] = sample["state"].pop("paused")
    event = EventMapper().to_domain_event(_stored(sample))
    assert vars(event)["paused"] is True
