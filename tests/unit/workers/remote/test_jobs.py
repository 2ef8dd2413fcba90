from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.images.settings import ImageSettings
from domain.images.source_images import ExtraSourceImage, SourceProcessing
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.models.loras import InjectionTarget, Lora, TextualInversion
from domain.service.fetching import Fetched, FetchFailed, FetchLimits, FetchProblem
from domain.workers.matching import Capabilities
from infrastructure.models.catalogue import ModelCatalogue
from tests.world import ManualClock, SeededRandomSource
from workers.remote.images import JobImages
from workers.remote.jobs import UNKNOWN_ID, RemoteJobs
from workers.remote.pop import AnswerNotUnderstood
from workers.remote.server import NotNow, Server, ServerAway

IDS = [str(UUID(int=number)) for number in (1, 2, 3)]
SECRET = "a fox in the snow"
FEATURES = (
    *("clip_skip", "extra_source_images", "hires_fix", "image_is_control", "lora_versions"),
    *("replication", "return_control_map", "textual_inversion", "tiling", "transparent"),
    *("GFPGAN", "qr_code"),
)
ABLE = Capabilities(
    models=("Deliberate", "x"),
    amount=4,
    max_pixels=4096 * 4096,
    nsfw=True,
    threads=1,
    extra_slow=False,
    bridge_agent="Hoard worker:1:tests",
    img2img=True,
    painting=True,
    lora=True,
    controlnet=True,
    sdxl_controlnet=True,
    post_processing=True,
    features=FEATURES,
)


class Outside:
    """What lies at addresses elsewhere."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def get(self, url: str, limits: FetchLimits) -> Fetched:
        self.asked.append(url)
        if url not in self.files:
            raise FetchFailed(FetchProblem.ADDRESS_REFUSED)
        return Fetched(self.files[url], "image/webp")

    def put(self, url: str, data: bytes, *, seconds: float) -> int:
        return 200


class Elsewhere:
    """A server that answers pops as it is told, and notes what is submitted."""

    def __init__(self) -> None:
        self.pops: list[Any] = []
        self.popped: list[dict[str, Any]] = []
        self.submitted: list[dict[str, Any]] = []
        self.submit_answers: list[httpx.Response] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if request.url.path.endswith("/generate/pop"):
            self.popped.append(body)
            return httpx.Response(200, json=self.pops.pop(0))
        self.submitted.append(body)
        if self.submit_answers:
            return self.submit_answers.pop(0)
        return httpx.Response(200, json={"reward": 3.0})


class World:
    """One worker's side of it."""

    def __init__(self, folder: Path) -> None:
        self.elsewhere = Elsewhere()
        self.outside = Outside()
        self.job_images = JobImages()
        self.clock = ManualClock()
        self.server = Server(
            "https://horde.example",
            "key",
            agent="Hoard worker:1:tests",
            transport=httpx.MockTransport(self.elsewhere),
        )
        self.jobs = RemoteJobs(
            self.server,
            self.outside,
            self.job_images,
            models=ModelCatalogue.in_folder(folder),
            clock=self.clock,
            random_source=SeededRandomSource(),
        )

    def pop(self, answer: Any, worker: Capabilities = ABLE) -> PoppedJob | NoJob:
        self.elsewhere.pops.append(answer)
        command = PopJob(
            owner_id=UNKNOWN_ID, owner_trusted=True, worker_name="far away", capabilities=worker
        )
        return self.jobs.pop(command)

    def popped(self, answer: Any) -> PoppedJob:
        job = self.pop(answer)
        assert isinstance(job, PoppedJob)
        return job


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    with made.server:
        yield made


def offer(**fields: Any) -> dict[str, Any]:
    payload = {
        "prompt": SECRET,
        "ddim_steps": 12,
        "sampler_name": "k_euler",
        "width": 512,
        "height": 768,
        "seed": "99",
        **fields.pop("payload", {}),
    }
    return {
        "id": IDS[0],
        "ids": IDS,
        "model": "Deliberate",
        "payload": payload,
        "ttl": 200,
        **fields,
    }


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_it_says_all_of_itself_within_the_bounds_of_the_api(world: World) -> None:
    assert isinstance(world.pop({"id": None, "ids": [], "skipped": {"models": 2}}), NoJob)
    [said] = world.elsewhere.popped
    assert said["name"] == "far away"
    assert said["models"] == ["Deliberate"], "a name of one letter is refused with all the rest"
    assert (said["amount"], said["threads"], said["max_pixels"]) == (4, 1, 3072 * 3072)
    assert said["bridge_agent"] == "Hoard worker:1:tests"
    flags = ("img2img", "painting", "lora", "controlnet", "sdxl_controlnet", "post_processing")
    assert all(said[f"allow_{flag}"] is True for flag in flags)
    assert (said["nsfw"], said["allow_unsafe_ipaddr"]) == (True, False)
    # The incumbent takes these for true where they are left out.
    assert (said["extra_slow_worker"], said["limit_max_steps"]) == (False, False)
    assert said["features"] == [name for name in FEATURES if name != "replication"]


def test_every_field_of_a_job_reaches_the_engine(world: World) -> None:
    world.outside.files["https://store.example/extra"] = b"extra"
    job = world.popped(
        offer(
            payload={
                "prompt": f"{SECRET} ### text, blur",
                "cfg_scale": 4.5,
                "karras": False,
                "clip_skip": 2,
                "tiling": True,
                "hires_fix": True,
                "hires_fix_denoising_strength": 0.6,
                "denoising_strength": 0.4,
                "transparent": True,
                "use_nsfw_censor": True,
                "post_processing": ["GFPGAN"],
                "facefixer_strength": 0.7,
                "control_type": "canny",
                "image_is_control": True,
                "return_control_map": True,
                "loras": [
                    {
                        "name": "15072",
                        "model": 0.5,
                        "clip": -1,
                        "inject_trigger": "any",
                        "is_version": True,
                    }
                ],
                "tis": [{"name": "7808", "inject_ti": "negprompt", "strength": 0.9}],
                "workflow": "qr_code",
                "extra_texts": [{"text": "https://example.org", "reference": "qr_text"}],
                "n_iter": 3,
                "batch_size": 1,
            },
            source_image=in_base64(b"source"),
            source_mask=in_base64(b"mask"),
            source_processing="inpainting",
            extra_source_images=[{"image": "https://store.example/extra", "strength": 0.3}],
            r2_uploads=[f"https://store.example/{place}" for place in range(3)],
        )
    )
    assert (job.prompt, job.negative_prompt) == (SECRET, "text, blur")
    assert job.settings == ImageSettings(
        width=512,
        height=768,
        steps=12,
        sampler="k_euler",
        cfg_scale=4.5,
        karras=False,
        clip_skip=2,
        denoising_strength=0.4,
        hires_fix=True,
        hires_fix_denoising_strength=0.6,
        tiling=True,
        transparent=True,
        post_processing=("GFPGAN",),
        facefixer_strength=0.7,
        control_type="canny",
        image_is_control=True,
        return_control_map=True,
        loras=(Lora("15072", 0.5, -1.0, "any", True),),
        tis=(TextualInversion("7808", InjectionTarget.NEGATIVE_PROMPT, 0.9),),
        workflow="qr_code",
    )
    assert [str(image_id) for image_id in job.image_ids] == IDS
    assert (job.model, job.seed, job.censor_nsfw, job.r2) == ("Deliberate", 99, True, True)
    assert job.extra_texts == (("https://example.org", "qr_text"),)
    assert job.lease_ends_at == world.clock.now() + timedelta(seconds=200)
    assert job.source is not None
    assert job.source.processing is SourceProcessing.INPAINTING
    assert job.source.image is not None
    assert job.source.mask is not None
    assert world.job_images.get(job.source.image) == b"source"
    assert world.job_images.get(job.source.mask) == b"mask"
    [extra] = job.source.extra
    assert extra == ExtraSourceImage(extra.digest, 0.3)
    assert world.job_images.get(extra.digest) == b"extra"


def test_an_answer_as_sparse_as_an_old_servers_has_the_apis_defaults(world: World) -> None:
    job = world.popped(
        {
            "id": IDS[0],
            "model": "Deliberate",
            "payload": {"prompt": SECRET, "seed": None, "loras": None, "ddim_steps": "30"},
            "source_image": None,
            "r2_upload": "https://store.example/1",
        }
    )
    assert job.image_ids == (UUID(IDS[0]),)
    settings = job.settings
    assert (settings.width, settings.height, settings.steps) == (512, 512, 30)
    assert (settings.sampler, settings.cfg_scale, settings.loras) == ("k_euler_a", 5.0, ())
    assert 0 <= job.seed < 2**32
    assert (job.lease_seconds, job.source, job.r2) == (150, None, True)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"payload": {"width": 500}}, "payload.width"),
        ({"payload": {"width": 2**40}}, "payload.width"),
        ({"payload": {"ddim_steps": 0}}, "payload.ddim_steps"),
        ({"payload": {"sampler_name": SECRET}}, "payload.sampler_name"),
        ({"payload": {"loras": [{"name": "a"}] * 6}}, "payload.loras"),
        ({"payload": {"prompt": None}}, "payload.prompt"),
        ({"ids": [IDS[0], IDS[0]]}, "the body"),
        ({"ids": ["no id"]}, "ids.0"),
        ({"ids": [str(UUID(int=n)) for n in range(1, 6)]}, "more images"),
        ({"model": "Another"}, "models"),
    ],
)
def test_what_no_worker_should_try_is_given_back_at_once(
    world: World, fields: dict[str, Any], why: str
) -> None:
    answer = offer(**fields)
    with pytest.raises(NotNow, match=why) as caught:
        world.pop(answer)
    assert SECRET not in str(caught.value)
    assert [(said["id"], said["state"]) for said in world.elsewhere.submitted] == [
        (image_id, "faulted") for image_id in answer["ids"]
    ]


@pytest.mark.parametrize(
    ("fields", "lost", "why"),
    [
        ({"source_image": in_base64(b"a")}, {"img2img": False}, "img2img"),
        (
            {"source_image": in_base64(b"a"), "source_processing": "inpainting"},
            {"painting": False},
            "painting",
        ),
        ({"payload": {"loras": [{"name": "a"}]}}, {"lora": False}, "lora"),
        ({"payload": {"tiling": True}}, {"features": ()}, "tiling"),
        ({}, {"max_pixels": 512 * 512}, "max_pixels"),
    ],
)
def test_what_this_worker_did_not_offer_is_given_back_at_once(
    world: World, fields: dict[str, Any], lost: dict[str, Any], why: str
) -> None:
    with pytest.raises(NotNow, match=why):
        world.pop(offer(**fields), replace(ABLE, **lost))
    assert len(world.elsewhere.submitted) == 3


def test_an_answer_that_is_none_is_told_without_what_it_says(world: World) -> None:
    with pytest.raises(AnswerNotUnderstood) as caught:
        world.pop([SECRET])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("image", ["https://10.0.0.1/a", "no base64!"])
def test_a_source_image_that_cannot_be_had_is_missing(world: World, image: str) -> None:
    job = world.popped(offer(source_image=image))
    assert job.source is not None
    assert job.source.image is not None
    with pytest.raises(LookupError):
        world.job_images.get(job.source.image)


def submit(world: World, job: PoppedJob, place: int, **fields: Any) -> float:
    given: dict[str, Any] = {"seed": job.seed, "state": ImageState.OK, **fields}
    return world.jobs.submit_image(
        job.image_ids[place], owner_id=UNKNOWN_ID, digest=world.job_images.put(b"image"), **given
    )


def test_an_image_is_delivered_with_its_place_and_all_that_is_said_of_it(world: World) -> None:
    job = world.popped(offer())
    word = GenerationMetadata(MetadataType.LORA, MetadataValue.DOWNLOAD_FAILED, "15072")
    assert submit(world, job, 2, metadata=(word,)) == 3.0
    assert world.elsewhere.submitted == [
        {
            "id": IDS[2],
            "generation": in_base64(b"image"),
            "seed": 99,
            "state": "ok",
            "censored": False,
            "gen_metadata": [
                {"type": "lora", "value": "download_failed", "ref": "15072"},
                {"type": "batch_index", "value": "see_ref", "ref": "2"},
            ],
        }
    ]
    assert world.jobs.earned == 3.0


@pytest.mark.parametrize("state", [ImageState.CENSORED, ImageState.CSAM])
def test_what_is_held_back_is_said_in_each_way_that_the_api_has(
    world: World, state: ImageState
) -> None:
    job = world.popped(offer(ids=[IDS[0]]))
    submit(world, job, 0, state=state)
    [said] = world.elsewhere.submitted
    assert (said["state"], said["censored"], said["gen_metadata"]) == (state.value, True, [])


def test_giving_up_faults_what_was_not_delivered_and_nothing_else(world: World) -> None:
    job = world.popped(offer())
    submit(world, job, 1)
    world.elsewhere.submit_answers = [httpx.Response(200, json={"reward": 0}), httpx.Response(500)]
    with pytest.raises(ServerAway):
        world.jobs.fail(job.job_id, owner_id=UNKNOWN_ID, reason=SECRET)
    world.jobs.fail(job.job_id, owner_id=UNKNOWN_ID, reason=SECRET)
    assert [(said["id"], said["state"]) for said in world.elsewhere.submitted] == [
        (IDS[1], "ok"),
        (IDS[0], "faulted"),
        (IDS[2], "faulted"),
        (IDS[2], "faulted"),
    ]
    assert SECRET not in json.dumps(world.elsewhere.submitted)


def test_the_images_of_a_job_are_let_go_with_it(world: World) -> None:
    first = world.popped(offer(source_image=in_base64(b"source")))
    assert first.source is not None
    assert first.source.image is not None
    world.pop({"id": None})
    with pytest.raises(LookupError):
        world.job_images.get(first.source.image)


def test_no_lease_is_renewed(world: World) -> None:
    job = world.popped(offer())
    world.clock.advance(timedelta(seconds=100))
    assert world.jobs.renew_lease(job.job_id, owner_id=UNKNOWN_ID) == job.lease_ends_at
