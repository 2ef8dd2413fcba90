"""A GPU worker made of horde-sdk: it asks for work, uploads, submits, and is looked after."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import httpx
import pytest
from horde_sdk.ai_horde_api.ai_horde_clients import (
    AIHordeAPIAsyncClientSession,
    AIHordeAPIManualClient,
    AIHordeAPISimpleClient,
)
from horde_sdk.ai_horde_api.apimodels import (
    AIHordeGetPrivacyPolicyRequest,
    AIHordeGetSponsorsRequest,
    AIHordeGetTermsRequest,
    AllWorkersDetailsRequest,
    DeleteImageGenerateRequest,
    DeleteWorkerRequest,
    HordeDocument,
    HordePerformanceRequest,
    HordeStatusModelsAllRequest,
    HordeStatusModelsSingleRequest,
    ImageGenerateAsyncRequest,
    ImageGenerateJobPopRequest,
    ImageGenerateJobPopResponse,
    ImageGenerateStatusRequest,
    ImageGenerationInputPayload,
    ImageGenerationJobSubmitRequest,
    ImageStatsModelsRequest,
    ImageStatsModelsTotalRequest,
    ModifyWorkerRequest,
    NewsRequest,
    SingleWorkerDetailsRequest,
    SingleWorkerNameDetailsRequest,
)
from horde_sdk.ai_horde_api.consts import GENERATION_STATE, MODEL_STATE, RC, WORKER_TYPE
from horde_sdk.ai_horde_api.exceptions import AIHordeRequestError

from infrastructure.service.news import NEWS_FILE
from tests.compatibility.driven import drives
from tests.compatibility.sdk_worker import BRIDGE_AGENT, SdkWorker, refused, sent
from tests.compatibility.server import Server
from tests.waiting import wait_until


def asked(model: str, n: int = 1, **fields: Any) -> Any:
    """Ask anonymously for images that only a worker with this model can make; return the answer."""
    params = ImageGenerationInputPayload(n=n, width=512, height=512, steps=20, seed="7")
    return sent(
        ImageGenerateAsyncRequest(prompt="a red circle", models=[model], params=params, **fields)
    )


@drives(ImageGenerateJobPopRequest, ImageGenerationJobSubmitRequest, ImageGenerateStatusRequest)
def test_each_upload_lands_under_the_id_at_its_place(server: Server) -> None:
    """The SDK sorts ids and addresses apart from each other: both must sort alike."""
    worker = SdkWorker(server.key("gina"), "gina's GPU", "Epic Diffusion")
    request_id = asked("Epic Diffusion", 20).id_
    job = worker.popped()
    assert (job.payload.n_iter, len(job.ids)) == (20, 20)
    assert (job.payload.width, job.payload.height, job.payload.ddim_steps) == (512, 512, 20)
    assert (job.payload.prompt, job.payload.seed, job.model) == ("a red circle", "7", worker.model)
    assert job.ttl is not None
    assert job.ttl >= 150
    images = worker.upload(job)
    rewards = [worker.submit(job, place) for place in range(20)]
    assert all(reward > 0 for reward in rewards)
    status = AIHordeAPIManualClient().get_generate_status(request_id)
    fetched = {made.id_: httpx.get(made.img).content for made in status.generations}
    assert fetched == dict(zip(job.ids, images, strict=True))


@drives(ImageGenerateJobPopRequest)
def test_without_work_the_worker_reads_why(server: Server) -> None:
    request_id = asked("Analog Diffusion").id_
    worker = SdkWorker(server.key("hugo"), "hugo's GPU", "NeverEnding Dream")

    def reason() -> int | None:
        nothing = worker.pop()
        assert not nothing.ids_present
        return nothing.skipped.models

    # What is skipped is counted by a follower of the log.
    assert wait_until(reason, "the count of what was skipped")
    AIHordeAPIManualClient().delete_pending_image(request_id)


@drives(ImageGenerateJobPopRequest, ImageGenerationJobSubmitRequest, DeleteImageGenerateRequest)
def test_a_late_or_repeated_or_foreign_submit_is_refused(server: Server) -> None:
    worker = SdkWorker(server.key("iris"), "iris' GPU", "Analog Diffusion")
    request_id = asked("Analog Diffusion", 2).id_
    job = worker.popped()
    worker.upload(job)
    worker.submit(job, 0)
    assert refused(worker.submission(job, 0)).rc == RC.DuplicateGen
    stranger = SdkWorker(server.key("a stranger"), worker.name, worker.model)
    assert refused(stranger.submission(job, 1)).rc == RC.WrongCredentials
    AIHordeAPIManualClient().delete_pending_image(request_id)
    assert refused(worker.submission(job, 1)).rc == RC.AbortedGen
    nobodys = worker.submission(job, 1, id="11111111-1111-4111-8111-111111111111")
    assert refused(nobodys).rc == RC.InvalidJobID


@drives(ImageGenerateJobPopRequest, ImageGenerationJobSubmitRequest)
def test_a_faulted_image_goes_back_to_the_queue(server: Server) -> None:
    worker = SdkWorker(server.key("jane"), "jane's GPU", "majicMIX realistic")
    request_id = asked(worker.model).id_
    job = worker.popped()
    sent(worker.submission(job, 0, state=GENERATION_STATE.faulted, generation="faulted"))
    check = AIHordeAPIManualClient().get_generate_check(request_id)
    assert (check.waiting, check.restarted) == (1, 1)
    worker.serve_one_job()
    assert AIHordeAPIManualClient().get_generate_check(request_id).done


@drives(ImageGenerateJobPopRequest, ImageGenerationJobSubmitRequest)
def test_a_session_that_breaks_off_gives_its_image_back(server: Server) -> None:
    worker = SdkWorker(server.key("kate"), "kate's GPU", "CyberRealistic")
    request_id = asked(worker.model).id_

    async def break_off() -> None:
        async with (
            aiohttp.ClientSession() as http,
            AIHordeAPIAsyncClientSession(http, apikey=worker.key) as session,
        ):
            await session.submit_request(worker.pop_request(), ImageGenerateJobPopResponse)
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(break_off())
    assert AIHordeAPIManualClient().get_generate_check(request_id).waiting == 1
    AIHordeAPIManualClient().delete_pending_image(request_id)


@drives(ImageGenerateJobPopRequest)
def test_anonymous_may_not_work(server: Server) -> None:
    worker = SdkWorker("0000000000", "nobody's GPU", "Deliberate")
    assert refused(worker.pop_request()).rc == RC.AnonForbiddenWorker


@drives(AllWorkersDetailsRequest, SingleWorkerDetailsRequest, SingleWorkerNameDetailsRequest)
def test_a_worker_is_listed_and_described(server: Server) -> None:
    worker = SdkWorker(server.key("lena", trusted=True), "lena's GPU", "stable_diffusion")
    asked(worker.model, 2)
    worker.serve_one_job()
    client = AIHordeAPISimpleClient()

    def done_two() -> Any:
        listed = [each for each in client.workers_all_details() if each.name == worker.name]
        return listed if listed and listed[0].requests_fulfilled == 2 else None

    (listed,) = wait_until(done_two, "the worker to have made two images")
    assert listed.type_ == WORKER_TYPE.image
    assert listed.online
    assert listed.trusted
    assert listed.models == [worker.model]
    assert listed.bridge_agent == BRIDGE_AGENT
    assert listed.max_pixels == 2048 * 2048
    assert listed.kudos_rewards
    assert not listed.maintenance_mode
    assert (listed.img2img, listed.painting, listed.post_processing, listed.lora) == (True,) * 4
    by_id = client.worker_details(str(listed.id_), api_key=worker.key)
    by_name = client.worker_details_by_name(worker.name, api_key=worker.key)
    assert by_id.id_ == by_name.id_ == listed.id_
    assert [each.id_ for each in client.workers_all_details(worker.name)] == [listed.id_]


@drives(ModifyWorkerRequest, DeleteWorkerRequest, SingleWorkerDetailsRequest)
def test_an_owner_looks_after_a_worker(server: Server) -> None:
    worker = SdkWorker(server.key("mona"), "mona's GPU", "stable_diffusion_inpainting")
    worker.pop()
    client = AIHordeAPISimpleClient()
    worker_id = str(client.worker_details_by_name(worker.name).id_)
    modified = client.worker_modify(
        ModifyWorkerRequest(
            apikey=worker.key,
            worker_id=worker_id,
            maintenance=True,
            maintenance_msg="a new fan",
            info="a quiet one",
        )
    )
    assert (modified.maintenance, modified.info) == (True, "a quiet one")
    assert refused(worker.pop_request()).rc == RC.WorkerMaintenance
    renamed = client.worker_modify(
        ModifyWorkerRequest(apikey=worker.key, worker_id=worker_id, name="mona's other GPU")
    )
    assert renamed.name == "mona's other GPU"
    described = client.worker_details(worker_id, api_key=worker.key)
    assert (described.name, described.maintenance_mode) == ("mona's other GPU", True)
    deleted = client.worker_delete(worker_id, api_key=worker.key)
    assert (deleted.deleted_id, deleted.deleted_name) == (worker_id, "mona's other GPU")
    gone = refused(SingleWorkerDetailsRequest(worker_id=worker_id, apikey=worker.key))
    assert gone.rc == RC.WorkerNotFound


@drives(ModifyWorkerRequest)
def test_only_moderators_pause_a_worker(server: Server) -> None:
    worker = SdkWorker(server.key("nora"), "nora's GPU", "Realistic Vision Inpainting")
    worker.pop()
    client = AIHordeAPISimpleClient()
    worker_id = str(client.worker_details_by_name(worker.name).id_)
    pause = ModifyWorkerRequest(apikey=worker.key, worker_id=worker_id, paused=True)
    assert refused(pause).rc == RC.NotModerator
    with pytest.raises(AIHordeRequestError):
        client.worker_modify(pause)
    moderator = server.key("a moderator of workers", moderator=True)
    paused = client.worker_modify(pause.model_copy(update={"apikey": moderator}))
    assert paused.paused


@drives(HordeStatusModelsAllRequest, HordeStatusModelsSingleRequest)
def test_models_are_listed_with_their_queues(server: Server) -> None:
    worker = SdkWorker(server.key("olga"), "olga's GPU", "Pastel Mix")
    worker.pop()
    request_id = asked(worker.model, 2).id_
    client = AIHordeAPISimpleClient()

    def queued() -> Any:
        return [
            each
            for each in client.image_status_models_single(worker.model)
            if each.name == worker.model and each.queued
        ]

    (single,) = wait_until(queued, "the request to be in the model's queue")
    assert single.count == 1
    assert single.queued == 2 * 512 * 512 * 20
    assert single.jobs == 2
    listed = {each.name: each for each in client.image_status_models_all()}
    assert listed[worker.model].count == 1
    few = sent(HordeStatusModelsAllRequest(min_count=2, model_state=MODEL_STATE.known))
    assert worker.model not in {each.name for each in few}
    AIHordeAPIManualClient().delete_pending_image(request_id)


@drives(HordePerformanceRequest, ImageStatsModelsRequest, ImageStatsModelsTotalRequest)
def test_the_figures_of_the_whole_are_told(server: Server) -> None:
    worker = SdkWorker(server.key("pia"), "pia's GPU", "Counterfeit")
    asked(worker.model, 2)
    worker.serve_one_job()
    client = AIHordeAPISimpleClient()

    def counted() -> bool:
        return client.image_stats_models().total.get(worker.model) == 2

    wait_until(counted, "the images to be counted")
    totals = client.image_stats_totals()
    assert totals.total is not None
    assert totals.total.images is not None
    assert totals.total.images >= 2
    assert totals.total.ps is not None
    assert totals.total.ps >= 2 * 512 * 512 * 20
    performance = sent(HordePerformanceRequest())
    assert performance.worker_count >= 1
    assert performance.thread_count >= 1
    assert performance.queued_requests is not None
    assert performance.text_worker_count == 0


NEWS = """
[[news]]
published = 2026-01-01
title = "A new model"
text = "It draws hats."

[[news]]
published = 2026-02-01
title = "Back after the move"
text = "All workers are here again."
importance = "Warning"
"""


@drives(AIHordeGetTermsRequest, AIHordeGetPrivacyPolicyRequest, AIHordeGetSponsorsRequest)
def test_the_operators_documents_are_read(server: Server) -> None:
    for name in ("terms", "privacy", "sponsors"):
        (server.hoard.settings.data / f"{name}.html").write_text(f"<h1>{name}</h1>")

    def shown() -> list[str | None]:
        client = AIHordeAPIManualClient()
        answers = (
            client.submit_request(AIHordeGetTermsRequest(), HordeDocument),
            client.submit_request(AIHordeGetPrivacyPolicyRequest(), HordeDocument),
            client.submit_request(AIHordeGetSponsorsRequest(), HordeDocument),
        )
        return [answer.html for answer in answers if isinstance(answer, HordeDocument)]

    written = ["<h1>terms</h1>", "<h1>privacy</h1>", "<h1>sponsors</h1>"]
    wait_until(lambda: shown() == written, "the three documents")


@drives(NewsRequest)
def test_the_news_are_read(server: Server) -> None:
    (server.hoard.settings.data / NEWS_FILE).write_text(NEWS)
    older, newer = "A new model", "Back after the move"

    def titles() -> list[str | None]:
        return [piece.title for piece in AIHordeAPISimpleClient().get_news().root]

    wait_until(lambda: titles() == [newer, older], "the news, the latest first")
    latest, _ = AIHordeAPISimpleClient().get_news().root
    assert str(latest.date_published) == "2026-02-01"
    assert latest.newspiece == "All workers are here again."
    assert latest.importance == "Warning"
