"""What is refused of the images that a request starts from, and of settings that exclude them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image

from tests.integration.api_client import Answered, Api, in_base64, picture
from tests.integration.codes.provoking import provokes

PICTURE = in_base64(picture())
INPAINTING_MODEL = "stable_diffusion_inpainting"
FLUX = "Flux.1-Schnell fp8 (Compact)"


def controlled(api: Api, *models: str, processing: str = "img2img", **params: Any) -> Answered:
    """Ask for an image that a source image controls."""
    return api.ask(
        source_image=PICTURE,
        source_processing=processing,
        models=list(models),
        params={"control_type": "canny", **params},
    )


@provokes("ImageValidationFailed")
def bytes_that_are_no_image(api: Api) -> Answered:
    return api.ask(source_image="aGVsbG8=")


@provokes("ImageValidationFailed")
def text_that_is_no_base64(api: Api) -> Answered:
    return api.ask(source_image="not base64!")


@provokes("SourceImageResolutionExceeded")
def image_of_too_many_pixels(api: Api) -> Answered:
    file = BytesIO()
    Image.new("1", (3073, 3072)).save(file, "PNG")
    return api.ask(source_image=in_base64(file.getvalue()))


@provokes("SourceImageSizeExceeded")
def file_of_too_many_bytes(api: Api) -> Answered:
    return api.ask(source_image=in_base64(bytes(10 * 1024 * 1024 + 1)))


@provokes("ImageValidationFailed")
def address_in_a_private_network(api: Api) -> Answered:
    return api.ask(source_image="https://127.0.0.1/picture.webp")


@provokes("SourceMaskUnnecessary")
def mask_without_image(api: Api) -> Answered:
    return api.ask(source_mask=PICTURE)


@provokes("InpaintingMissingMask")
def neither_mask_nor_alpha(api: Api) -> Answered:
    return api.ask(source_image=PICTURE, source_processing="inpainting")


@provokes("SourceImageRequiredForModel")
def nothing_for_a_model_that_only_changes(api: Api) -> Answered:
    return api.ask(models=[INPAINTING_MODEL])


@provokes("InvalidRemix")
def remix_by_a_model_that_cannot(api: Api) -> Answered:
    return api.ask(source_image=PICTURE, source_processing="remix", models=[FLUX])


@provokes("Img2ImgMismatch")
def workflow_from_a_source_image(api: Api) -> Answered:
    texts = [{"text": "https://example.org", "reference": "qr_code"}]
    params = {"workflow": "qr_code", "extra_texts": texts}
    return api.ask(source_image=PICTURE, params=params)


@provokes("MissingExtraTexts.")
def qr_code_of_nothing(api: Api) -> Answered:
    return api.ask(params={"workflow": "qr_code"})


@provokes("MissingExtraTexts.")
def qr_code_of_another_text(api: Api) -> Answered:
    texts = [{"text": "hello", "reference": "another"}]
    return api.ask(params={"workflow": "qr_code", "extra_texts": texts})


@provokes("InvalidExtraTexts.")
def texts_that_nothing_draws(api: Api) -> Answered:
    return api.ask(params={"extra_texts": [{"text": "hello", "reference": "qr_code"}]})


@provokes("TooManyExtraSourceImages.")
def six_extra_source_images(api: Api) -> Answered:
    extra = [{"image": PICTURE, "strength": 1}] * 6
    return api.ask(source_image=PICTURE, source_processing="remix", extra_source_images=extra)


@provokes("InvalidExtraSourceImages.")
def extra_source_images_without_a_remix(api: Api) -> Answered:
    extra = [{"image": PICTURE, "strength": 1}]
    return api.ask(source_image=PICTURE, extra_source_images=extra)


@provokes("ControlNetSourceMissing")
def control_without_image(api: Api) -> Answered:
    return api.ask(params={"control_type": "canny"})


@provokes("ControlNetInvalidPayload")
def map_given_and_wanted(api: Api) -> Answered:
    return controlled(api, image_is_control=True, return_control_map=True)


@provokes("ControlNetInpaintingMismatch")
def control_of_inpainting(api: Api) -> Answered:
    return controlled(api, processing="inpainting")


@provokes("ControlNetMismatch")
def control_of_flux(api: Api) -> Answered:
    return controlled(api, FLUX)


@provokes("ControlNetUnsupported")
def control_of_an_inpainting_model(api: Api) -> Answered:
    return controlled(api, INPAINTING_MODEL)


@provokes("TooManySteps")
def more_than_40_controlled_steps(api: Api) -> Answered:
    return controlled(api, steps=41)


@provokes("HiResMismatch")
def hires_fix_by_flux(api: Api) -> Answered:
    return api.ask(models=[FLUX], params={"hires_fix": True})


@provokes("HiResFixMismatch")
def hires_fix_by_an_inpainting_model(api: Api) -> Answered:
    return api.ask(source_image=PICTURE, models=[INPAINTING_MODEL], params={"hires_fix": True})
