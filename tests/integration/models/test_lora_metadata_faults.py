"""Metadata of one LoRA that is broken: that one is left alone, and all others are looked up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.models.loras import Lora
from infrastructure.models.civitai import Civitai
from infrastructure.models.lora_versions import CachedLoraVersions
from infrastructure.storage.database import Database
from tests.integration.models.civitai_server import CivitaiServer, a_version, civitai
from tests.prepared import prepared
from tests.world import ManualClock
from workers.models.lookup_pauses import PAUSE_SECONDS, LookupPauses
from workers.models.lora_versions import MetadataAway, MetadataUnavailable, MetadataUnusable

BAD, GOOD = Lora("7"), Lora("58390")
FAULTS = {
    "status 400": (400, b"{}"),
    "status 401": (401, b"{}"),
    "status 403": (403, b"<html>Forbidden</html>"),
    "status 410": (410, b""),
    "status 451": (451, b"{}"),
    "status 500": (500, b"{}"),
    "status 502": (502, b"<html>"),
    "no JSON": (200, b"<html>"),
    "cut off": (200, b'{"id": 7, "name": "a'),
    "not UTF-8": (200, b'{"id": 7, "name": "\xff"}'),
    "null": (200, b"null"),
    "a number": (200, b"7"),
    "a list": (200, b"[]"),
    "nested too deeply": (200, b"[" * 100_000),
    "id null": (200, b'{"id": null, "type": "LORA", "modelVersions": [{"id": 1}]}'),
    "versions no list": (200, b'{"id": 7, "type": "LORA", "modelVersions": 3}'),
    "version's id text": (200, b'{"id": 7, "type": "LORA", "modelVersions": [{"id": "x"}]}'),
    "a size that is none": (
        200,
        b'{"id": 7, "type": "LORA", "modelVersions": [{"id": 1, "files": [{"sizeKB": NaN}]}]}',
    ),
}


@pytest.fixture
def server() -> Iterator[CivitaiServer]:
    with civitai() as running:
        running.add(58390, "Detail Tweaker", (a_version(62833, "SD 1.5", ("detail",)),))
        yield running


class Time:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def versions(tmp_path: Path, server: CivitaiServer, time: Time) -> Iterator[CachedLoraVersions]:
    database: Database = prepared(f"sqlite:///{tmp_path}/v.db", "views", durable=False)
    opened = CachedLoraVersions(
        database,
        Civitai(server.url, timeout=30),
        ManualClock(),
        fresh=timedelta(hours=1),
        wait=30.0,
        seconds=time,
    )
    yield opened
    opened.close()
    database.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lora_with_broken_metadata_is_left_alone_and_others_are_not(
    versions: CachedLoraVersions, server: CivitaiServer, time: Time, fault: str
) -> None:
    server.faults["/models/7"] = FAULTS[fault]
    assert versions.resolve(BAD) is None
    found = versions.resolve(GOOD)
    assert found is not None
    assert found.version_id == "62833"

    asked = len(server.asked)
    assert versions.resolve(BAD) is None
    assert len(server.asked) == asked

    time.seconds += PAUSE_SECONDS
    del server.faults["/models/7"]
    server.add(7, "Mended", (a_version(71),))
    mended = versions.resolve(BAD)
    assert mended is not None
    assert mended.version_id == "71"


def test_a_server_that_asks_to_slow_down_is_left_alone_by_all(
    versions: CachedLoraVersions, server: CivitaiServer, time: Time
) -> None:
    server.faults["/models/7"] = (429, b"")
    assert versions.resolve(BAD) is None
    assert versions.resolve(GOOD) is None
    time.seconds += PAUSE_SECONDS
    assert versions.resolve(GOOD) is not None


def test_a_server_that_fails_for_many_is_left_alone_by_all(
    versions: CachedLoraVersions, server: CivitaiServer, time: Time
) -> None:
    for number in range(1, 9):
        server.faults[f"/models/{number}"] = (500, b"")
        assert versions.resolve(Lora(str(number))) is None
    assert versions.resolve(GOOD) is None
    time.seconds += PAUSE_SECONDS
    assert versions.resolve(GOOD) is not None


PATHS: list[tuple[str | int, ...]] = [
    ("name",),
    ("type",),
    ("nsfw",),
    ("tags",),
    ("modelVersions", 0, "baseModel"),
    ("modelVersions", 0, "trainedWords"),
    ("modelVersions", 0, "trainedWords", 0),
    ("modelVersions", 0, "files"),
    ("modelVersions", 0, "files", 0),
    ("modelVersions", 0, "files", 1, "name"),
    ("modelVersions", 0, "files", 1, "primary"),
    ("modelVersions", 0, "files", 1, "type"),
    ("modelVersions", 0, "files", 1, "sizeKB"),
    ("modelVersions", 0, "files", 1, "hashes"),
    ("modelVersions", 0, "files", 1, "hashes", "SHA256"),
    ("modelVersions", 0, "files", 1, "downloadUrl"),
    ("modelVersions", 1),
]
OF_VERSION = [path[2:] for path in PATHS if path[:2] == ("modelVersions", 0)] + [
    ("model", "name"),
    ("model", "nsfw"),
]


def with_null(answer: Any, path: tuple[str | int, ...]) -> bytes:
    """Return an answer with null in one place."""
    changed = deepcopy(answer)
    part = changed
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = None
    return json.dumps(changed).encode()


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_null_in_a_model_reads_as_absent(
    server: CivitaiServer, path: tuple[str | int, ...]
) -> None:
    server.add(7, "Seven", (a_version(71, words=("a", "b")), a_version(70)))
    server.faults["/models/7"] = (200, with_null(server.models[7], path))
    with Civitai(server.url, timeout=10) as client:
        found, published = client.find(BAD), client.published(BAD)
    if path == ("type",):
        assert found is None  # What is of no type is no LoRA.
        return
    assert found is not None
    assert found.version_id == "71"
    assert None not in found.trigger_words
    assert published is None or published.version_id == "71"


@pytest.mark.parametrize("path", OF_VERSION, ids=str)
def test_null_in_a_version_reads_as_absent(
    server: CivitaiServer, path: tuple[str | int, ...]
) -> None:
    server.add(7, "Seven", (a_version(71, words=("a", "b")),))
    exact = server.models[7]["modelVersions"][0] | {
        "modelId": 7,
        "model": {"name": "Seven", "type": "LORA", "nsfw": False},
    }
    server.faults["/model-versions/71"] = (200, with_null(exact, path))
    with Civitai(server.url, timeout=10) as client:
        found = client.find(Lora("71", is_version=True))
    assert found is not None
    assert found.version_id == "71"


def test_a_model_that_cannot_be_read_hides_no_other_from_a_search(server: CivitaiServer) -> None:
    good = server.models[58390]
    items = [None, 7, {"name": None}, {"name": 3}, {"id": "x", "name": "Other"}, good]
    server.faults["/models"] = (200, json.dumps({"items": items}).encode())
    with Civitai(server.url, timeout=10) as client:
        found = client.find(Lora("detail tweaker"))
        assert found is not None
        assert found.version_id == "62833"
        with pytest.raises(MetadataUnusable):
            client.find(Lora("other"))


def fails(pauses: LookupPauses, subject: str, error: type[MetadataUnavailable]) -> None:
    with pytest.raises(error), pauses.noting(subject):
        raise error("it fails")


def test_failures_with_answers_in_between_pause_nobody_else(time: Time) -> None:
    pauses = LookupPauses(time)
    for number in range(50):
        fails(pauses, str(number), MetadataUnusable)
        with pauses.noting("one that answers"):
            pass
    assert pauses.is_paused("49")
    assert not pauses.is_paused("another")


def test_one_that_fails_again_and_again_counts_once(time: Time) -> None:
    pauses = LookupPauses(time)
    for _ in range(50):
        fails(pauses, "the same", MetadataUnusable)
        time.seconds += PAUSE_SECONDS
    assert not pauses.is_paused("another")


def test_a_source_that_is_away_pauses_all_for_a_while(time: Time) -> None:
    pauses = LookupPauses(time)
    fails(pauses, "one", MetadataAway)
    assert pauses.is_paused("another")
    time.seconds += PAUSE_SECONDS
    assert not pauses.is_paused("another")
    assert not pauses.is_paused("one")
