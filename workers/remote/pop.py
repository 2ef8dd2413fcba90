"""A pop: what a worker declares, what the server answers, and whether its job fits the worker.

The answer is read with care: it is the server that errs, or lies.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.images.sampling import SAMPLERS
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceImages, SourceProcessing
from domain.models.catalogue import Models
from domain.models.loras import MOST_LORAS, MOST_TIS, InjectionTarget, Lora, TextualInversion
from domain.requests.prompts import divided_prompt
from domain.requests.requirements import requirements_of
from domain.workers.bridges import Feature
from domain.workers.matching import Candidate, Capabilities, why_not

_LARGEST_PIXELS = 3072 * 3072
_MOST_MODELS = 300
_SHORTEST_MODEL_NAME = 3
_LONGEST_MODEL_NAME = 255

_MOST_IMAGES = 20
_MOST_PROMPT_CHARACTERS = 100_000
_SIDE_STEP = 64

_Part = Annotated[float, Field(ge=0, le=1)]
_Strength = Annotated[float, Field(ge=-5, le=5)]
_Name = Annotated[str, Field(min_length=1, max_length=255)]

_NOBODY = UUID(int=0)


def pop_body(name: str, worker: Capabilities) -> dict[str, Any]:
    """Return the body of ``POST /generate/pop``; the bounds are the v2 API's.

    ``features`` is Hoard's own: other servers go by the name of the software. Making one image of
    a batch again is never among them, since no payload can ask for it.
    """
    return {
        "name": name,
        "models": [
            model
            for model in worker.models
            if _SHORTEST_MODEL_NAME <= len(model) <= _LONGEST_MODEL_NAME
        ][:_MOST_MODELS],
        "amount": worker.amount,
        "max_pixels": min(worker.max_pixels, _LARGEST_PIXELS),
        "threads": worker.threads,
        "nsfw": worker.nsfw,
        "bridge_agent": worker.bridge_agent,
        "blacklist": list(worker.blacklist),
        "priority_usernames": [],
        "extra_slow_worker": worker.extra_slow,
        "require_upfront_kudos": worker.require_upfront_kudos,
        "limit_max_steps": worker.limit_max_steps,
        "allow_img2img": worker.img2img,
        "allow_painting": worker.painting,
        "allow_unsafe_ipaddr": worker.unsafe_ip,
        "allow_post_processing": worker.post_processing,
        "allow_controlnet": worker.controlnet,
        "allow_sdxl_controlnet": worker.sdxl_controlnet,
        "allow_lora": worker.lora,
        "features": [name for name in worker.features if name != Feature.REPLICATION],
    }


class AnswerNotUnderstood(Exception):
    """A server's answer is not what the v2 API says; the message names fields and no values."""


class _FromServer(BaseModel):
    # Servers write numbers as texts and leave fields null; what they wrote may hold a prompt.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, given: Any) -> Any:
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not None}
        return given


def _whole_step(pixels: int) -> int:
    if pixels % _SIDE_STEP:
        raise ValueError("is no multiple of 64")
    return pixels


def _known_sampler(name: str) -> str:
    if name not in SAMPLERS:
        raise ValueError("is no sampler of the v2 API")
    return name


_Side = Annotated[int, Field(ge=64, le=3072), AfterValidator(_whole_step)]


class _Lora(_FromServer):
    name: _Name
    model: _Strength = 1.0
    clip: _Strength = 1.0
    inject_trigger: Annotated[str | None, Field(max_length=30)] = None
    is_version: bool = False


class _TextualInversion(_FromServer):
    name: _Name
    inject_ti: InjectionTarget | None = None
    strength: _Strength = 1.0


class _ExtraText(_FromServer):
    text: str
    reference: str = ""


class Payload(_FromServer):
    """What is to be made; the defaults are the v2 API's."""

    prompt: Annotated[str, Field(max_length=_MOST_PROMPT_CHARACTERS)]
    ddim_steps: Annotated[int, Field(ge=1, le=500)] = 30
    sampler_name: Annotated[str, AfterValidator(_known_sampler)] = "k_euler_a"
    cfg_scale: Annotated[float, Field(ge=0, le=100)] = 5.0
    width: _Side = 512
    height: _Side = 512
    seed: str | int = ""
    karras: bool = True
    clip_skip: Annotated[int, Field(ge=1, le=12)] = 1
    tiling: bool = False
    hires_fix: bool = False
    hires_fix_denoising_strength: _Part | None = None
    denoising_strength: _Part | None = None
    transparent: bool = False
    use_nsfw_censor: bool = False
    post_processing: tuple[_Name, ...] = ()
    facefixer_strength: _Part | None = None
    control_type: str | None = None
    image_is_control: bool = False
    return_control_map: bool = False
    loras: Annotated[tuple[_Lora, ...], Field(max_length=MOST_LORAS)] = ()
    tis: Annotated[tuple[_TextualInversion, ...], Field(max_length=MOST_TIS)] = ()
    workflow: str | None = None
    extra_texts: tuple[_ExtraText, ...] = ()

    @property
    def prompts(self) -> tuple[str, str]:
        """The prompt, and the negative one, empty for none."""
        prompt, negative_prompt = divided_prompt(self.prompt)
        return prompt.strip(), negative_prompt.strip()

    @property
    def settings(self) -> ImageSettings:
        """The settings as engines know them."""
        return ImageSettings(
            width=self.width,
            height=self.height,
            steps=self.ddim_steps,
            sampler=self.sampler_name,
            cfg_scale=self.cfg_scale,
            karras=self.karras,
            clip_skip=self.clip_skip,
            denoising_strength=self.denoising_strength,
            hires_fix=self.hires_fix,
            hires_fix_denoising_strength=self.hires_fix_denoising_strength,
            tiling=self.tiling,
            transparent=self.transparent,
            post_processing=self.post_processing,
            facefixer_strength=self.facefixer_strength,
            control_type=self.control_type,
            image_is_control=self.image_is_control,
            return_control_map=self.return_control_map,
            loras=tuple(Lora(**dict(lora)) for lora in self.loras),
            tis=tuple(TextualInversion(**dict(ti)) for ti in self.tis),
            workflow=self.workflow,
        )


class ExtraSource(_FromServer):
    """A further image that a model looks at."""

    image: str
    strength: float = 1.0


class Message(_FromServer):
    """What the server's operators have the worker's owner read."""

    id: str
    message: str


class Offer(_FromServer):
    """A job; the images are base64 or addresses."""

    id: UUID
    ids: Annotated[tuple[UUID, ...], Field(max_length=_MOST_IMAGES)] = ()
    model: _Name
    payload: Payload
    ttl: Annotated[float, Field(gt=0, le=86_400)] = 150
    """Seconds from the answer on."""
    source_processing: SourceProcessing = SourceProcessing.IMG2IMG
    source_image: str | None = None
    source_mask: str | None = None
    extra_source_images: tuple[ExtraSource, ...] = ()
    r2_upload: str | None = None
    r2_uploads: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _each_image_once(self) -> Offer:
        if len(set(self.image_ids)) != len(self.image_ids):
            raise ValueError("names an image twice")
        return self

    @property
    def image_ids(self) -> tuple[UUID, ...]:
        """The ids of its images, in batch order."""
        return self.ids or (self.id,)

    @property
    def uploads(self) -> dict[UUID, str]:
        """By image where it is to be brought; empty when images travel within the submits."""
        addresses = self.r2_uploads or ((self.r2_upload,) if self.r2_upload else ())
        return dict(zip(self.image_ids, addresses, strict=False))


class PopAnswer(_FromServer):
    """The answer to a pop, as far as it holds for every answer."""

    id: str | None = None
    """None when there is no work."""
    ids: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The ids of what was handed out, as the server wrote them."""
        return self.ids or ((self.id,) if self.id else ())


_Answer = TypeVar("_Answer", bound=_FromServer)


def read_answer(body: bytes) -> PopAnswer:
    """Read what holds for every answer to a pop.

    :raises AnswerNotUnderstood: when it is something else.
    """
    return _read(PopAnswer, body)


def read_offer(body: bytes) -> Offer:
    """Read a job.

    :raises AnswerNotUnderstood: when it is none, or one that no worker should make.
    """
    return _read(Offer, body)


def _read(model: type[_Answer], body: bytes) -> _Answer:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        wrong = {
            ".".join(map(str, part["loc"])) or "the body"
            for part in error.errors(include_url=False, include_input=False)
        }
        raise AnswerNotUnderstood(f"not as the v2 API says: {', '.join(sorted(wrong))}") from None


def misfit_reason(offer: Offer, worker: Capabilities, models: Models) -> str | None:
    """Return why this worker must not take a job, None when it may; the text is safe to log.

    Servers judge what a worker can do by the name of its software, and may be wrong about ours.

    :param models: the catalogue, which has the families of models.
    """
    if len(offer.image_ids) > worker.amount:
        return "it has more images than this worker takes at a time"
    wanted = requirements_of(
        offer.payload.settings,
        models=(offer.model,),
        catalogue=models,
        source=_source_of(offer),
    )
    if undeclared := set(wanted.features).difference(worker.features):
        return f"this worker does not offer {', '.join(sorted(undeclared))}"
    reason = why_not(Candidate(worker_id=_NOBODY, capabilities=worker, trusted=True), wanted)
    return None if reason is None else f"this worker does not take such work: {reason}"


def _source_of(offer: Offer) -> SourceImages | None:
    # Only whether there is an image counts here, not which.
    if offer.source_image is None:
        return None
    return SourceImages(processing=offer.source_processing, image="")
