"""Models as clients are told about them, and what was made with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.api_client import Answered, Api, serving

ALBEDO = "AlbedoBase XL (SDXL)"
ONE = 30 * 512 * 512
"""Pixelsteps of one image."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path, follow=True) as served:
        yield served


def busy(api: Api) -> None:
    """Let one model be offered and measured, one be offered, and one be waited for."""
    api.pop(models=[ALBEDO, "Odd"], threads=2)
    api.asked(n=2, models=[ALBEDO])
    job = api.popped(models=[ALBEDO, "Odd"], threads=2)
    api.clock.advance(timedelta(seconds=30))
    api.deliver(job["ids"])
    api.asked(n=3, models=[ALBEDO])
    api.asked(n=4, models=["SDXL 1.0"])
    api.asked(n=1)


@contextmanager
def afterwards(api: Api) -> Iterator[Api]:
    """Serve the same installation from another process: one that remembers nothing."""
    with serving(api.hoard.settings.data) as other:
        other.clock.time = api.clock.time
        yield other


def listed(api: Api, **query: Any) -> dict[str, Any]:
    with afterwards(api) as other:
        answered = other.call("GET", "/status/models", params=query)
    assert answered.status == 200, answered
    return {model["name"]: model for model in answered.body}


def test_each_model_says_who_offers_it_and_what_waits_for_it(api: Api) -> None:
    busy(api)
    speed = pytest.approx(2 * ONE / 30, rel=0.001)
    assert listed(api) == {
        ALBEDO: {
            "name": ALBEDO,
            "count": 2,
            "performance": speed,
            "queued": 3.0 * ONE,
            "jobs": 3.0,
            "eta": int(3 * ONE / (2 * 2 * ONE / 30)),
            "type": "image",
        },
        "Odd": {
            "name": "Odd",
            "count": 2,
            "performance": 0.0,
            "queued": 0.0,
            "jobs": 0.0,
            "eta": 0,
            "type": "image",
        },
        "SDXL 1.0": {
            "name": "SDXL 1.0",
            "count": 0,
            "performance": 0.0,
            "queued": 4.0 * ONE,
            "jobs": 4.0,
            "eta": 10_000,
            "type": "image",
        },
    }


CHOSEN: list[tuple[dict[str, Any], set[str]]] = [
    ({"model_state": "all"}, {ALBEDO, "Odd", "SDXL 1.0"}),
    ({"model_state": "known"}, {ALBEDO, "SDXL 1.0"}),
    ({"model_state": "custom"}, {"Odd"}),
    ({"min_count": 1}, {ALBEDO, "Odd"}),
    ({"max_count": 0}, {"SDXL 1.0"}),
    ({"min_count": 1, "max_count": 1}, set()),
    ({"type": "image", "min_count": 2}, {ALBEDO, "Odd"}),
    ({"type": "text"}, set()),
]


def test_models_are_chosen_by_parameters(api: Api) -> None:
    busy(api)
    with afterwards(api) as other:
        for query, names in CHOSEN:
            told = other.call("GET", "/status/models", params=query).body
            assert {model["name"] for model in told} == names, query


@pytest.mark.parametrize(
    "query",
    [
        {"type": "audio"},
        {"model_state": "unknown"},
        {"min_count": "-1"},
        {"min_count": "many"},
        {"max_count": "1.5"},
        {"max_count": "9" * 10},
        {"max_count": "٣"},
    ],
    ids=str,
)
def test_parameters_that_mean_nothing_are_refused(api: Api, query: dict[str, str]) -> None:
    answered = api.call("GET", "/status/models", params=query)
    assert (answered.status, answered.rc) == (400, "BadRequest")
    assert list(answered.body["errors"]) == list(query)


def one(api: Api, name: str) -> Answered:
    with afterwards(api) as other:
        return other.call("GET", f"/status/models/{name}")


def test_one_model_is_a_list_of_one(api: Api) -> None:
    busy(api)
    (told,) = one(api, ALBEDO).body
    assert (told["name"], told["count"], told["jobs"]) == (ALBEDO, 2, 3.0)
    (idle,) = one(api, "Deliberate").body
    assert (idle["name"], idle["count"], idle["jobs"], idle["eta"]) == ("Deliberate", 0, 0.0, 0)
    assert [model["name"] for model in one(api, "Odd").body] == ["Odd"]


@pytest.mark.parametrize("name", ["unheard of", "a/b", "%00", "%20", "x" * 3000])
def test_a_model_that_nobody_knows_is_an_empty_list(api: Api, name: str) -> None:
    answered = one(api, name)
    assert (answered.status, answered.body) == (200, [])


def test_workers_out_of_service_offer_nothing(api: Api) -> None:
    api.pop(models=["Odd"])
    worker = api.hoard.inline.directory.worker_by_name("a worker")
    assert worker is not None
    stream: Any = api.hoard.ledger.repository.get(worker.worker_id)
    stream.set_paused(True, timestamp=api.clock.now())
    api.hoard.ledger.save(stream)
    api.catch_up()
    assert listed(api) == {}


def test_totals_count_images_and_their_work(api: Api) -> None:
    busy(api)
    answered = api.call("GET", "/stats/img/totals")
    assert answered.status == 200
    assert answered.body.keys() == {"minute", "hour", "day", "month", "total"}
    for made in answered.body.values():
        assert made == {"images": 2, "ps": 2 * ONE}


def test_images_are_counted_by_model(api: Api) -> None:
    busy(api)
    api.asked(n=1, models=["Odd"])
    api.deliver(api.popped(models=["Odd"])["ids"])
    for state, counted in [
        (None, {ALBEDO: 2}),
        ("known", {ALBEDO: 2}),
        ("custom", {"Odd": 1}),
        ("all", {ALBEDO: 2, "Odd": 1}),
    ]:
        query = {} if state is None else {"model_state": state}
        answered = api.call("GET", "/stats/img/models", params=query)
        assert answered.body == dict.fromkeys(("day", "month", "total"), counted)
    refused = api.call("GET", "/stats/img/models", params={"model_state": "some"})
    assert (refused.status, refused.rc) == (400, "BadRequest")


def test_nothing_was_made_at_first(api: Api) -> None:
    assert listed(api) == {}
    for made in api.call("GET", "/stats/img/totals").body.values():
        assert made == {"images": 0, "ps": 0}
    assert api.call("GET", "/stats/img/models").body == {"day": {}, "month": {}, "total": {}}
