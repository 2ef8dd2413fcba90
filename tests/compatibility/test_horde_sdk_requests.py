"""A front-end made of horde-sdk: it asks for images, watches, fetches and cancels."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from horde_sdk.ai_horde_api.ai_horde_clients import (
    AIHordeAPIAsyncClientSession,
    AIHordeAPIAsyncSimpleClient,
    AIHordeAPIClientSession,
    AIHordeAPIManualClient,
    AIHordeAPISimpleClient,
)
from horde_sdk.ai_horde_api.apimodels import (
    AIHordeHeartbeatRequest,
    DeleteImageGenerateRequest,
    ImageGenerateAsyncDryRunResponse,
    ImageGenerateAsyncRequest,
    ImageGenerateAsyncResponse,
    ImageGenerateCheckRequest,
    ImageGenerateCheckResponse,
    ImageGenerateStatusRequest,
    ImageGenerationInputPayload,
    LorasPayloadEntry,
    TIPayloadEntry,
)
from horde_sdk.ai_horde_api.consts import (
    KNOWN_CONTROLNETS,
    KNOWN_FACEFIXERS,
    KNOWN_MISC_POST_PROCESSORS,
    KNOWN_SAMPLERS,
    KNOWN_SOURCE_PROCESSING,
    KNOWN_UPSCALERS,
    METADATA_TYPE,
    RC,
    WarningCode,
)
from horde_sdk.ai_horde_api.exceptions import AIHordePayloadValidationError, AIHordeRequestError
from horde_sdk.ai_horde_api.fields import JobID
from PIL import Image

from tests.compatibility.driven import drives
from tests.compatibility.sdk_worker import SdkWorker, answered, refused, sent
from tests.compatibility.server import Server
from tests.integration.api_client import in_base64, picture
from tests.waiting import wait_until

NOBODYS_ID = JobID(UUID("11111111-1111-4111-8111-111111111111"))

POST_PROCESSORS = [*KNOWN_UPSCALERS, *KNOWN_FACEFIXERS, *KNOWN_MISC_POST_PROCESSORS]


def asking(
    model: str, n: int = 1, *, fields: dict[str, Any] | None = None, **params: Any
) -> ImageGenerateAsyncRequest:
    """Return a request of the SDK for images that only a worker with this model can make."""
    given: dict[str, Any] = {
        "prompt": "a red circle ### a blue square",
        "models": [model],
        "params": ImageGenerationInputPayload(n=n, width=512, height=512, steps=20, **params),
    }
    return ImageGenerateAsyncRequest(**(given | (fields or {})))


def free_of_charge(server: Server) -> dict[str, str]:
    """Return the fields with which somebody asks who may ask for everything."""
    return {"apikey": server.key("a patron", trusted=True, patron=True)}


@drives(ImageGenerateAsyncRequest, ImageGenerateCheckRequest, ImageGenerateStatusRequest)
def test_the_simple_client_asks_waits_and_downloads(server: Server) -> None:
    worker = SdkWorker(server.key("owner 1"), "worker 1", "Deliberate")
    finished: list[int] = []
    client = AIHordeAPISimpleClient()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(worker.serve_one_job)

        def look(check: ImageGenerateCheckResponse) -> None:
            finished.append(check.finished)
            stop_if_failed(working)

        status, request_id = client.image_generate_request(
            asking("Deliberate", 3), check_callback=look
        )
        uploaded = working.result()
    assert finished[-1] == 3
    assert status.done
    assert status.kudos > 0
    assert {str(made.id_)[:34] for made in status.generations} != {str(request_id)[:34]}
    downloaded = [client.download_image_from_generation(made) for made in status.generations]
    assert sorted(map(pixel, downloaded)) == sorted(map(pixel_of, uploaded))
    for made in status.generations:
        assert (made.model, made.worker_name, made.censored) == ("Deliberate", "worker 1", False)
        assert made.gen_metadata is not None
        assert [each.type_ for each in made.gen_metadata] == [METADATA_TYPE.batch_index]


@drives(ImageGenerateAsyncRequest, ImageGenerateCheckRequest, ImageGenerateStatusRequest)
def test_the_asynchronous_client_asks_waits_and_downloads(server: Server) -> None:
    worker = SdkWorker(server.key("owner 2"), "worker 2", "Photon")

    async def ask(working: Future[list[bytes]]) -> list[Image.Image]:
        def look(check: ImageGenerateCheckResponse) -> None:
            stop_if_failed(working)

        async with aiohttp.ClientSession() as session:
            client = AIHordeAPIAsyncSimpleClient(session)
            status, _ = await client.image_generate_request(
                asking("Photon", 2), check_callback=look
            )
            assert status.done
            made = [client.download_image_from_generation(each) for each in status.generations]
            return [image for image, _ in await asyncio.gather(*made)]

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(worker.serve_as_base64)
        downloaded = asyncio.run(ask(working))
        made = working.result()
    assert sorted(map(pixel, downloaded)) == sorted(map(pixel_of, made))


@drives(ImageGenerateAsyncRequest, ImageGenerateStatusRequest)
def test_without_r2_the_images_come_within_the_status(server: Server) -> None:
    worker = SdkWorker(server.key("owner 3"), "worker 3", "AbsoluteReality")
    asked = sent(asking("AbsoluteReality", fields={"r2": False}))
    (image,) = worker.serve_one_job()
    (made,) = AIHordeAPIManualClient().get_generate_status(asked.id_).generations
    assert made.img == in_base64(image)
    assert pixel(AIHordeAPISimpleClient().download_image_from_generation(made)) == pixel_of(image)


@drives(ImageGenerateAsyncRequest, ImageGenerateCheckRequest, DeleteImageGenerateRequest)
def test_a_request_is_checked_and_cancelled(server: Server) -> None:
    client = AIHordeAPIManualClient()
    asked = sent(asking("RPG", 4))
    assert asked.kudos > 0
    check = client.get_generate_check(asked.id_)
    assert (check.waiting, check.processing, check.finished, check.done) == (4, 0, 0, False)
    wait_until(
        lambda: client.get_generate_check(asked.id_).queue_position >= 1, "a place in the queue"
    )
    cancelled = client.delete_pending_image(asked.id_)
    assert (cancelled.waiting, cancelled.generations) == (0, [])


@drives(ImageGenerateAsyncRequest, DeleteImageGenerateRequest)
def test_a_session_that_breaks_off_cancels_its_request(server: Server) -> None:
    asked: list[Any] = []

    def break_off() -> None:
        with AIHordeAPIClientSession() as session:
            request = asking("Counterfeit", 2)
            asked.append(session.submit_request(request, ImageGenerateAsyncResponse))
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert AIHordeAPIManualClient().get_generate_check(asked[0].id_).waiting == 0


@drives(ImageGenerateAsyncRequest, DeleteImageGenerateRequest)
def test_an_asynchronous_session_that_breaks_off_cancels_its_request(server: Server) -> None:
    asked: list[Any] = []

    async def break_off() -> None:
        async with aiohttp.ClientSession() as http, AIHordeAPIAsyncClientSession(http) as session:
            request = asking("Counterfeit", 2)
            asked.append(await session.submit_request(request, ImageGenerateAsyncResponse))
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(break_off())
    assert AIHordeAPIManualClient().get_generate_check(asked[0].id_).waiting == 0


@drives(ImageGenerateAsyncRequest)
def test_a_dry_run_says_what_it_would_cost(server: Server) -> None:
    quoted = AIHordeAPISimpleClient().image_generate_request_dry_run(
        asking("Deliberate", 2, fields={"dry_run": True})
    )
    assert isinstance(quoted, ImageGenerateAsyncDryRunResponse)
    asked = sent(asking("Deliberate", 2))
    assert quoted.kudos == asked.kudos
    AIHordeAPIManualClient().delete_pending_image(asked.id_)


@drives(ImageGenerateAsyncRequest)
@pytest.mark.parametrize("sampler", KNOWN_SAMPLERS)
def test_every_sampler_that_the_sdk_knows_is_taken(server: Server, sampler: str) -> None:
    assert quoted(server, sampler_name=sampler) > 0


@drives(ImageGenerateAsyncRequest)
@pytest.mark.parametrize("processor", POST_PROCESSORS)
def test_every_post_processor_that_the_sdk_knows_is_taken(server: Server, processor: str) -> None:
    assert quoted(server, post_processing=[processor]) > quoted(server)


@drives(ImageGenerateAsyncRequest)
@pytest.mark.parametrize("control", KNOWN_CONTROLNETS)
def test_every_control_type_that_the_sdk_knows_is_taken(server: Server, control: str) -> None:
    image = {
        "source_image": in_base64(picture()),
        "source_processing": KNOWN_SOURCE_PROCESSING.img2img,
    }
    assert quoted(server, image, control_type=control) > quoted(server, image)


@drives(ImageGenerateAsyncRequest)
@pytest.mark.parametrize(
    "processing", [KNOWN_SOURCE_PROCESSING.img2img, KNOWN_SOURCE_PROCESSING.inpainting]
)
def test_source_images_are_taken(server: Server, processing: str) -> None:
    source = in_base64(picture())
    fields = {"source_image": source, "source_processing": processing}
    if processing == KNOWN_SOURCE_PROCESSING.inpainting:
        fields["source_mask"] = source
    assert quoted(server, fields) > quoted(server)


@drives(ImageGenerateAsyncRequest)
def test_loras_and_textual_inversions_are_taken(server: Server) -> None:
    plain = quoted(server)
    assert quoted(server, loras=[LorasPayloadEntry(name="GlowingRunesAI")]) > plain
    assert quoted(server, loras=[LorasPayloadEntry(name="246747", is_version=True)]) > plain
    assert quoted(server, tis=[TIPayloadEntry(name="7808", inject_ti="negprompt")]) > plain


@drives(ImageGenerateAsyncRequest)
def test_a_warning_is_one_that_the_sdk_knows(server: Server) -> None:
    asked = sent(asking("Edge Of Realism"))
    AIHordeAPIManualClient().delete_pending_image(asked.id_)
    assert WarningCode.NoAvailableWorker in {warning.code for warning in asked.warnings}


@drives(ImageGenerateAsyncRequest)
def test_the_sdk_reads_a_refusal_by_its_return_code(server: Server) -> None:
    assert refused(asking("Deliberate", fields={"apikey": "x" * 22})).rc == RC.InvalidAPIKey
    untrusted = asking("Deliberate", 2, fields={"apikey": server.key("untrusted")})
    refusal = refused(untrusted.model_copy(update={"disable_batching": True}))
    assert refusal.rc == "RequiresTrust"


@drives(ImageGenerateAsyncRequest)
def test_the_sdk_reads_which_fields_are_wrong(server: Server) -> None:
    with pytest.raises(AIHordePayloadValidationError):
        answered(asking("Deliberate", fields={"prompt": ""}))


@drives(ImageGenerateCheckRequest, ImageGenerateStatusRequest, DeleteImageGenerateRequest)
def test_a_request_that_nobody_made_is_not_found(server: Server) -> None:
    for request in (
        ImageGenerateCheckRequest(id=NOBODYS_ID),
        ImageGenerateStatusRequest(id=NOBODYS_ID),
        DeleteImageGenerateRequest(id=NOBODYS_ID),
    ):
        assert refused(request).rc == RC.RequestNotFound
    with pytest.raises(AIHordeRequestError, match=r"\w"):
        AIHordeAPIManualClient().get_generate_check(NOBODYS_ID)


@drives(AIHordeHeartbeatRequest)
def test_the_server_is_up(server: Server) -> None:
    beat = AIHordeAPISimpleClient().heartbeat_request()
    assert beat.message == "OK"
    assert beat.version == server.version


def quoted(server: Server, fields: dict[str, Any] | None = None, **params: Any) -> float:
    """Return what a request would cost somebody who may ask for everything."""
    everything = {**free_of_charge(server), "dry_run": True, **(fields or {})}
    answer = AIHordeAPISimpleClient().image_generate_request_dry_run(
        asking("Deliberate", fields=everything, **params)
    )
    return answer.kudos


def stop_if_failed(working: Future[Any]) -> None:
    """Raise what a worker failed with: the SDK would wait twenty minutes for its images."""
    if working.done():
        working.result()


def pixel(image: Image.Image) -> Any:
    """Return the colour by which a picture can be told from the others."""
    return image.convert("RGB").getpixel((0, 0))


def pixel_of(data: bytes) -> Any:
    """Return the colour of a picture in a file."""
    with Image.open(BytesIO(data)) as image:
        return pixel(image)
