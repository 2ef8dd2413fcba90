"""LoRA versions: what a name or an id means, and what is left when CivitAI is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from domain.models.loras import Lora, ResolvedLora
from infrastructure.models.civitai import LARGEST_ANSWER, Civitai
from infrastructure.models.lora_versions import LORA_VERSION, CachedLoraVersions
from infrastructure.storage.database import Database
from tests.integration.models.civitai_server import CivitaiServer, a_version, civitai, sha256_of
from tests.prepared import prepared
from tests.waiting import wait_until
from tests.world import ManualClock
from workers.models.lora_versions import MetadataAway, MetadataUnusable

FRESH = timedelta(hours=1)
LATEST = ResolvedLora(
    model_id="58390",
    version_id="62833",
    name="Detail Tweaker",
    sha256=sha256_of(62833).lower(),
    base_model="SD 1.5",
    trigger_words=("detail", "more detail"),
    nsfw=False,
)


class HandSeconds:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def server() -> Iterator[CivitaiServer]:
    with civitai() as running:
        latest = a_version(62833, "SD 1.5", ("detail", "more detail"))
        running.add(58390, "Detail Tweaker", (latest, a_version(62000, "SD 1.5")))
        running.add(58391, "Detail Tweaker XL", (a_version(135867),), nsfw=True)
        running.add(4384, "DreamShaper", (a_version(128713),), kind="Checkpoint")
        yield running


@pytest.fixture
def client(server: CivitaiServer) -> Iterator[Civitai]:
    with Civitai(server.url, timeout=10) as opened:
        yield opened


@pytest.fixture
def database(ledger_url: str | None, tmp_path: Path) -> Iterator[Database]:
    opened = prepared(ledger_url or f"sqlite:///{tmp_path}/v.db", "views", durable=False)
    yield opened
    opened.close()


class World:
    """A cache before a server, with time in our hands."""

    def __init__(self, database: Database, server: CivitaiServer) -> None:
        self.clock = ManualClock()
        self.seconds = HandSeconds()
        self._database = database
        self._server = server

    @contextmanager
    def versions(self, wait: float = 30.0) -> Iterator[CachedLoraVersions]:
        opened = CachedLoraVersions(
            self._database,
            Civitai(self._server.url, timeout=30),
            self.clock,
            fresh=FRESH,
            wait=wait,
            seconds=self.seconds,
        )
        try:
            yield opened
        finally:
            self._server.hold.set()
            opened.close()


@pytest.fixture
def world(database: Database, server: CivitaiServer) -> World:
    return World(database, server)


@pytest.mark.parametrize("name", ["58390", "Detail Tweaker", "detail tweaker", " Detail Tweaker "])
def test_a_name_or_id_means_the_latest_version(client: Civitai, name: str) -> None:
    assert client.find(Lora(name)) == LATEST


def test_an_exact_version_is_that_version(client: Civitai) -> None:
    found = client.find(Lora("62000", is_version=True))
    assert found is not None
    assert (found.model_id, found.version_id) == ("58390", "62000")
    assert found.sha256 == sha256_of(62000).lower()


def test_what_civitai_marks_as_adult_is_marked(client: Civitai) -> None:
    found = client.find(Lora("Detail Tweaker XL"))
    assert found is not None
    assert found.nsfw
    assert found.base_model == "SDXL 1.0"


@pytest.mark.parametrize(
    "lora",
    [
        Lora("7"),
        Lora("7", is_version=True),
        Lora("Detail"),
        Lora("4384"),
        Lora("128713", is_version=True),
        Lora("DreamShaper"),
    ],
    ids=str,
)
def test_what_is_no_lora_is_not_found(client: Civitai, lora: Lora) -> None:
    assert client.find(lora) is None


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_of_the_server_is_tried_once_more(
    server: CivitaiServer, client: Civitai, status: int
) -> None:
    server.status = status
    with pytest.raises(MetadataUnusable, match=str(status)):
        client.find(Lora("58390"))
    assert len(server.asked) == 2


def test_being_asked_to_slow_down_is_no_reason_to_ask_again(
    server: CivitaiServer, client: Civitai
) -> None:
    server.status = 429
    with pytest.raises(MetadataAway, match="429"):
        client.find(Lora("58390"))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"id": "no number", "name": "x"}', b" " * (LARGEST_ANSWER + 1)],
    ids=["empty", "html", "list", "wrong", "too large"],
)
def test_an_answer_that_cannot_be_used_is_no_answer(
    server: CivitaiServer, client: Civitai, body: bytes
) -> None:
    server.body = body
    with pytest.raises(MetadataUnusable):
        client.find(Lora("58390"))


def test_a_server_that_is_not_there_is_away() -> None:
    with civitai() as gone:
        url = gone.url
    with Civitai(url, timeout=10) as client, pytest.raises(MetadataAway):
        client.find(Lora("58390"))


def test_each_lora_is_asked_for_once_while_it_is_fresh(world: World, server: CivitaiServer) -> None:
    with world.versions() as versions:
        assert [versions.resolve(Lora("58390")) for _ in range(3)] == [LATEST] * 3
        assert versions.resolve(Lora("58390", model=0.5, clip=2.0)) == LATEST
    # Another process finds it in the table.
    with world.versions() as versions:
        assert versions.resolve(Lora("58390")) == LATEST
    assert len(server.asked) == 1


def test_a_new_latest_version_is_found_when_the_old_one_is_no_longer_fresh(
    world: World, server: CivitaiServer
) -> None:
    with world.versions() as versions:
        assert versions.resolve(Lora("58390")) == LATEST
        exact = versions.resolve(Lora("62000", is_version=True))
        server.add(58390, "Detail Tweaker", (a_version(70000), a_version(62833)))
        world.clock.advance(FRESH)

        # Whoever asks first is given the old one at once.
        assert versions.resolve(Lora("58390")) == LATEST

        def latest() -> str | None:
            found = versions.resolve(Lora("58390"))
            return found.version_id if found else None

        wait_until(lambda: latest() == "70000", "the new version")
        asked = len(server.asked)
        assert versions.resolve(Lora("62000", is_version=True)) == exact
    assert len(server.asked) == asked


def test_when_civitai_is_away_what_was_resolved_before_still_works(
    world: World, server: CivitaiServer
) -> None:
    with world.versions() as versions:
        assert versions.resolve(Lora("58390")) == LATEST
    server.status = 503
    world.clock.advance(timedelta(days=30))
    with world.versions() as versions:
        assert versions.resolve(Lora("58390")) == LATEST
        assert versions.resolve(Lora("Detail Tweaker XL")) is None
    with world.versions() as versions:
        assert versions.resolve(Lora("58390")) == LATEST


def test_after_a_failure_civitai_is_left_alone_for_half_a_minute(
    world: World, server: CivitaiServer
) -> None:
    server.status = 503
    with world.versions() as versions:
        assert versions.resolve(Lora("58390")) is None
        asked = len(server.asked)
        server.status = 200
        assert versions.resolve(Lora("58390")) is None
        assert len(server.asked) == asked
        world.seconds.seconds += 30
        assert versions.resolve(Lora("58390")) == LATEST


def test_nobody_waits_for_a_server_that_does_not_answer(
    world: World, server: CivitaiServer
) -> None:
    server.hold.clear()
    with world.versions(wait=0.0) as versions:
        # The server answers only after both are back.
        assert versions.resolve(Lora("58390")) is None
        assert versions.resolve(Lora("58390")) is None
        server.hold.set()
        wait_until(lambda: versions.resolve(Lora("58390")) == LATEST, "the version")
    assert len(server.asked) == 1


def test_waiting_ends_before_the_server_answers(world: World, server: CivitaiServer) -> None:
    server.hold.clear()
    with world.versions(wait=0.05) as versions:
        assert versions.resolve(Lora("58390")) is None
        server.hold.set()
        wait_until(lambda: versions.resolve(Lora("58390")) == LATEST, "the version")


def test_what_does_not_exist_is_asked_for_again_after_an_hour(
    world: World, server: CivitaiServer
) -> None:
    with world.versions() as versions:
        for _ in range(3):
            assert versions.resolve(Lora("yet to come")) is None
        assert len(server.asked) == 1
        server.add(99, "Yet to come", (a_version(990),))
        world.clock.advance(timedelta(hours=1))
        wait_until(lambda: versions.resolve(Lora("yet to come")), "the new LoRA")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "'; DROP TABLE lora_version; --", "ünï ☃"])
def test_any_name_can_be_asked_for(world: World, database: Database, name: str) -> None:
    with world.versions() as versions:
        assert versions.resolve(Lora(name)) is None
    counted = select(func.count()).select_from(LORA_VERSION)
    with database.reading() as connection:
        assert connection.execute(counted).scalar_one() == 1
