"""A GPU worker made of horde-sdk's requests: it pops, uploads and submits as reGen does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from horde_sdk.ai_horde_api.ai_horde_clients import AIHordeAPIManualClient
from horde_sdk.ai_horde_api.apimodels import (
    GenMetadataEntry,
    ImageGenerateJobPopRequest,
    ImageGenerateJobPopResponse,
    ImageGenerationJobSubmitRequest,
    JobSubmitResponse,
)
from horde_sdk.ai_horde_api.consts import GENERATION_STATE, METADATA_TYPE, METADATA_VALUE
from horde_sdk.generic_api.apimodels import HordeRequest, RequestErrorResponse

from tests.integration.api_client import in_base64, picture
from tests.waiting import wait_until

BRIDGE_AGENT = "AI Horde Worker reGen:10.0.0:https://github.com/Haidra-Org/horde-worker-reGen"


def sent(request: HordeRequest) -> Any:
    """Send a request of the SDK and return its answer, which must not be a refusal."""
    answer = answered(request)
    assert not isinstance(answer, RequestErrorResponse), answer
    return answer


def refused(request: HordeRequest) -> RequestErrorResponse:
    """Send a request of the SDK and return the refusal, which must come."""
    answer = answered(request)
    assert isinstance(answer, RequestErrorResponse), answer
    assert answer.message
    assert "object_data" not in answer.model_fields_set, "the SDK could not read the refusal"
    return answer


def answered(request: HordeRequest) -> Any:
    """Send a request of the SDK and return what its client makes of the answer."""
    client = AIHordeAPIManualClient()
    return client.submit_request(request, request.get_default_success_response_type())


@dataclass(frozen=True)
class SdkWorker:
    """A worker of an account, for one model that nobody else serves."""

    key: str
    name: str
    model: str

    def pop_request(self) -> ImageGenerateJobPopRequest:
        """Return the request that asks for work, as a big worker that takes everything."""
        return ImageGenerateJobPopRequest(
            apikey=self.key,
            name=self.name,
            models=[self.model],
            amount=20,
            max_pixels=2048 * 2048,
            bridge_agent=BRIDGE_AGENT,
            threads=1,
            nsfw=True,
            allow_img2img=True,
            allow_painting=True,
            allow_lora=True,
            allow_controlnet=True,
            allow_post_processing=True,
        )

    def pop(self) -> ImageGenerateJobPopResponse:
        """Ask for work."""
        answer = sent(self.pop_request())
        assert isinstance(answer, ImageGenerateJobPopResponse)
        return answer

    def popped(self) -> ImageGenerateJobPopResponse:
        """Ask for work until there is some."""
        job = wait_until(lambda: self._job_or_none(), "a job")
        assert job is not None
        return job

    def upload(self, job: ImageGenerateJobPopResponse) -> list[bytes]:
        """Put an image of its own to each upload address, as reGen does; return them."""
        assert job.r2_uploads is not None
        images = [picture(place) for place in range(len(job.ids))]
        for address, image in zip(job.r2_uploads, images, strict=True):
            assert httpx.put(address, content=image).status_code == 200
        return images

    def submit(self, job: ImageGenerateJobPopResponse, place: int, **fields: Any) -> float:
        """Submit the image at a place of the batch, uploaded before; return the reward."""
        answer = sent(self.submission(job, place, **fields))
        assert isinstance(answer, JobSubmitResponse)
        return answer.reward

    def submission(
        self, job: ImageGenerateJobPopResponse, place: int, **fields: Any
    ) -> ImageGenerationJobSubmitRequest:
        """Return the request that submits the image at a place of the batch."""
        given: dict[str, Any] = {
            "apikey": self.key,
            "id": job.ids[place],
            "generation": "R2",
            "state": GENERATION_STATE.ok,
            "seed": int(job.payload.seed or 0),
            "gen_metadata": [
                GenMetadataEntry(
                    type=METADATA_TYPE.batch_index, value=METADATA_VALUE.see_ref, ref=str(place)
                )
            ],
        }
        return ImageGenerationJobSubmitRequest(**(given | fields))

    def serve_one_job(self) -> list[bytes]:
        """Do one job from pop to the last submit; return its images."""
        job = self.popped()
        images = self.upload(job)
        for place in range(len(job.ids)):
            assert self.submit(job, place) > 0
        return images

    def serve_as_base64(self) -> list[bytes]:
        """Do one job whose images travel within the submits; return its images."""
        job = self.popped()
        images = [picture(place) for place in range(len(job.ids))]
        for place, image in enumerate(images):
            self.submit(job, place, generation=in_base64(image))
        return images

    def _job_or_none(self) -> ImageGenerateJobPopResponse | None:
        job = self.pop()
        return job if job.ids_present else None
