"""A worker that serves another Hoard over its v2 API: a real server, and a real engine."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from domain.workers.worker import Worker, WorkerKind
from tests.diffusers_batches import MODEL, SCENES, on_one_thread
from tests.integration.work.remote_worker import (
    SEED,
    WORKER,
    Elsewhere,
    Remote,
    ShiftedClock,
    Watched,
    WithoutUploads,
    batch_index_of,
    opened,
    remote,
)
from tests.waiting import wait_until
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.protocol import EngineFailed
from workers.inference.image_files import read_provenance
from workers.remote.server import NotAdmitted, NotNow, ServerAway
from workers.remote.serving import ServerBackoff, serve

# The schedulers of diffusers turn tensors into arrays in ways that numpy will stop to support.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

OWNER = "owner of a GPU"


@pytest.fixture(scope="module")
def diffusers() -> Iterator[DiffusersEngine]:
    with on_one_thread():
        yield DiffusersEngine({MODEL: SCENES}, device="cpu")


@pytest.fixture
def engine(diffusers: DiffusersEngine) -> Watched:
    return Watched(diffusers)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    server = Elsewhere(tmp_path / "elsewhere")
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def worker(elsewhere: Elsewhere, engine: Watched, tmp_path: Path) -> Iterator[Remote]:
    with remote(elsewhere.url, elsewhere.hoard.key(OWNER), engine, tmp_path) as made:
        yield made


@pytest.mark.parametrize("has_store", [True, False], ids=["uploads", "base64"])
@pytest.mark.parametrize("r2", [True, False], ids=["r2", "no r2"])
def test_four_images_are_made_as_one_batch_and_reach_whoever_asked(
    elsewhere: Elsewhere, engine: Watched, tmp_path: Path, r2: bool, has_store: bool
) -> None:
    key = elsewhere.hoard.key(OWNER)
    request_id = elsewhere.ask(4, r2=r2)

    transport = None if has_store else WithoutUploads()
    with remote(elsewhere.url, key, engine, tmp_path, transport=transport) as worker:
        assert worker.work() == 1

    [batch] = engine.batches
    assert (len(batch.image_ids), batch.size, batch.seed) == (4, 4, SEED)
    assert batch.prompt == "a red circle on a blue background"
    assert batch.negative_prompt == "text"
    assert len(elsewhere.uploads()) == (4 if has_store else 0)
    status = elsewhere.status(request_id)
    assert status["done"]
    assert sorted(batch_index_of(made) or 0 for made in status["generations"]) == [0, 1, 2, 3]
    assert {made["worker_name"] for made in status["generations"]} == {WORKER}
    assert {made["seed"] for made in status["generations"]} == {str(SEED)}
    assert {made["img"].startswith("http") for made in status["generations"]} == {r2}
    files = elsewhere.files(request_id)
    assert len({opened(file).tobytes() for file in files}) == 4
    assert worker.jobs.earned > 0
    for place, file in enumerate(files):
        said = read_provenance(file)
        assert said is not None
        assert (said.batch_index, said.batch_size, said.seed) == (place, 4, SEED)
        assert UUID(said.image) == batch.image_ids[place]


def test_it_is_a_remote_worker_and_declares_what_its_engine_can(
    elsewhere: Elsewhere, worker: Remote
) -> None:
    assert worker.work() == 0

    entry = elsewhere.hoard.hoard.inline.directory.worker_by_name(WORKER)
    assert entry is not None
    known: Worker = elsewhere.hoard.hoard.ledger.repository.get(entry.worker_id)
    assert known.kind is WorkerKind.REMOTE
    offered = known.capabilities
    assert (offered.models, offered.amount, offered.max_pixels) == ((MODEL,), 20, 2048 * 2048)
    assert offered.bridge_agent.startswith("Hoard worker:1:")
    assert (offered.img2img, offered.painting) == (True, True)
    assert (offered.lora, offered.controlnet, offered.post_processing) == (False, False, False)


def test_a_source_image_arrives_and_is_what_the_images_start_from(
    elsewhere: Elsewhere, worker: Remote, engine: Watched
) -> None:
    request_id = elsewhere.ask(
        2,
        params={"denoising_strength": 0.1, "steps": 10},
        source_image=in_colour((255, 0, 0)),
        source_processing="img2img",
    )

    assert worker.work() == 1

    source = engine.batches[0].source
    assert source is not None
    assert source.image is not None
    assert engine.batches[0].settings.denoising_strength == 0.1
    for file in elsewhere.files(request_id):
        red, green, blue = mean_colour(opened(file))
        assert red > 150
        assert max(green, blue) < 100


def test_a_mask_arrives_for_inpainting(
    elsewhere: Elsewhere, worker: Remote, engine: Watched
) -> None:
    elsewhere.ask(
        1,
        source_image=in_colour((255, 0, 0)),
        source_mask=in_colour((255, 255, 255)),
        source_processing="inpainting",
    )

    assert worker.work() == 1

    source = engine.batches[0].source
    assert source is not None
    assert source.mask is not None
    with Image.open(io.BytesIO(source.mask)) as mask:
        assert mask.convert("L").getextrema() == (255, 255)


def test_a_server_that_dies_while_images_are_made_gets_them_when_it_is_back(
    elsewhere: Elsewhere, engine: Watched, tmp_path: Path
) -> None:
    key = elsewhere.hoard.key(OWNER)
    request_id = elsewhere.ask(4)
    engine.on_made = elsewhere.stop
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            elsewhere.start()

    with remote(elsewhere.url, key, engine, tmp_path, pause=pause) as worker:
        assert worker.work() == 1

    assert len(pauses) == 3
    assert len(engine.batches) == 1
    wait_until(lambda: elsewhere.check(request_id)["done"], "the request to be done")
    assert len(elsewhere.files(request_id)) == 4


def test_a_server_that_is_away_is_asked_again_until_it_is_back(
    elsewhere: Elsewhere, worker: Remote
) -> None:
    request_id = elsewhere.ask(1)
    elsewhere.stop()
    waits: list[float] = []
    with pytest.raises(ServerAway):
        worker.work()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            elsewhere.start()
        if len(waits) > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve(worker.worker, worker.workplace, worker.server, ServerBackoff(wait, lambda: 0.0))

    assert waits[:4] == [1, 2, 4, 8]
    assert elsewhere.check(request_id)["done"]


def test_a_request_that_is_cancelled_in_mid_run_stops_the_batch(
    elsewhere: Elsewhere, engine: Watched, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    request_id = elsewhere.ask(2, params={"steps": 20})

    def cancel_at_first() -> None:
        clock.ahead += timedelta(seconds=6)
        if engine.steps == 1:
            elsewhere.cancel(request_id)

    engine.on_step = cancel_at_first
    with remote(elsewhere.url, elsewhere.hoard.key(OWNER), engine, tmp_path, clock=clock) as worker:
        assert worker.work() == 1

    assert engine.steps == 1
    submits = [path for _, path in elsewhere.hoard.noted.calls if path.endswith("/submit")]
    assert submits == []


def test_asking_whether_a_job_is_still_wanted_uploads_nothing(
    elsewhere: Elsewhere, engine: Watched, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    request_id = elsewhere.ask(1, params={"steps": 3})

    def pass_time() -> None:
        clock.ahead += timedelta(seconds=6)

    engine.on_step = pass_time
    with remote(elsewhere.url, elsewhere.hoard.key(OWNER), engine, tmp_path, clock=clock) as worker:
        assert worker.work() == 1

    assert len(elsewhere.uploads()) == 1 + engine.steps
    assert elsewhere.check(request_id)["done"]
    assert len(elsewhere.files(request_id)) == 1


def test_a_batch_that_fails_goes_back_to_the_queue_at_once(
    elsewhere: Elsewhere, worker: Remote, engine: Watched
) -> None:
    request_id = elsewhere.ask(3)

    def fail() -> None:
        engine.on_made = lambda: None
        raise EngineFailed("it broke")

    engine.on_made = fail

    assert worker.work() == 2

    found = elsewhere.check(request_id)
    assert (found["done"], found["restarted"]) == (True, 3)


def test_what_the_engine_does_not_offer_is_not_handed_out(
    elsewhere: Elsewhere, worker: Remote
) -> None:
    request_id = elsewhere.ask(2, params={"tiling": True})

    assert worker.work() == 0

    found = elsewhere.check(request_id)
    assert (found["waiting"], found["restarted"]) == (2, 0)


def test_a_job_that_the_engine_cannot_make_is_given_back_untried(
    elsewhere: Elsewhere, engine: Watched, tmp_path: Path
) -> None:
    """The server takes software that it does not know at its word."""
    request_id = elsewhere.ask(2, params={"tiling": True})

    key = elsewhere.hoard.key(OWNER)
    with (
        remote(elsewhere.url, key, engine, tmp_path, agent="unheard of:1:tests") as worker,
        pytest.raises(NotNow, match="tiling"),
    ):
        worker.work()

    assert engine.batches == []
    found = elsewhere.check(request_id)
    assert (found["waiting"], found["restarted"]) == (2, 2)


def test_a_key_that_nobody_has_ends_it_and_is_not_repeated(
    elsewhere: Elsewhere, engine: Watched, tmp_path: Path
) -> None:
    key = "x" * 22
    with remote(elsewhere.url, key, engine, tmp_path) as worker:
        with pytest.raises(NotAdmitted) as first:
            worker.server.require_key()
        with pytest.raises(NotAdmitted) as later:
            serve(
                worker.worker, worker.workplace, worker.server, ServerBackoff(lambda _seconds: None)
            )
    for caught in (first, later):
        assert caught.value.rc == "InvalidAPIKey"
        assert key not in str(caught.value)


def test_another_accounts_name_ends_it(
    elsewhere: Elsewhere, worker: Remote, engine: Watched, tmp_path: Path
) -> None:
    assert worker.work() == 0
    with (
        remote(elsewhere.url, elsewhere.hoard.key("another"), engine, tmp_path) as other,
        pytest.raises(NotAdmitted) as caught,
    ):
        other.work()
    assert caught.value.rc == "WrongCredentials"


def test_maintenance_is_waited_out(elsewhere: Elsewhere, worker: Remote) -> None:
    key = elsewhere.hoard.key(OWNER)
    assert worker.work() == 0
    entry = elsewhere.hoard.hoard.inline.directory.worker_by_name(WORKER)
    assert entry is not None
    change: dict[str, Any] = {"maintenance": True, "maintenance_msg": "a new GPU comes"}
    elsewhere.hoard.call("PUT", f"/workers/{entry.worker_id}", key, json=change)

    with pytest.raises(NotNow, match="WorkerMaintenance"):
        worker.work()


def in_colour(colour: tuple[int, int, int]) -> str:
    """A picture of one colour as clients send it."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "WEBP", lossless=True)
    return base64.b64encode(file.getvalue()).decode()


def mean_colour(picture: Image.Image) -> tuple[int, ...]:
    """The mean of each channel, 0 to 255."""
    shrunk = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(shrunk, tuple)
    return shrunk
