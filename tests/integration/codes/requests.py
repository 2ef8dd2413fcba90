"""What is refused of those who ask for images."""

from __future__ import annotations

from uuid import UUID

from tests.integration.api_client import Answered, Api
from tests.integration.codes.provoking import provokes

NOBODYS_ID = "11111111-1111-4111-8111-111111111111"


@provokes("MissingPrompt")
def no_prompt(api: Api) -> Answered:
    return api.ask(prompt="")


@provokes("MissingPrompt")
def nothing_on_either_side(api: Api) -> Answered:
    return api.ask(prompt=" ### \n")


@provokes("InvalidPromptSize")
def prompt_of_too_many_words(api: Api) -> Answered:
    return api.ask(prompt="word " * 7501)


@provokes("InvalidSize")
def width_that_is_no_multiple_of_64(api: Api) -> Answered:
    return api.ask(params={"width": 500})


@provokes("TooManySteps")
def more_than_500_steps(api: Api) -> Answered:
    return api.ask(params={"steps": 501})


@provokes("UnsupportedSampler")
def unknown_sampler(api: Api) -> Answered:
    return api.ask(params={"sampler_name": "k_unheard_of"})


@provokes("BadCFGDecimals")
def three_decimals(api: Api) -> Answered:
    return api.ask(params={"cfg_scale": 7.123})


@provokes("BadCFGNumber")
def cfg_scale_out_of_range(api: Api) -> Answered:
    return api.ask(params={"cfg_scale": 101})


@provokes("RequiresTrust")
def no_batching_without_trust(api: Api) -> Answered:
    return api.ask(api.key("somebody"), n=2, disable_batching=True)


@provokes("NulByteInPayload")
def nul_in_a_seed(api: Api) -> Answered:
    return api.ask(params={"seed": "a\0b"})


@provokes("BadRequest")
def too_many_images(api: Api) -> Answered:
    return api.ask(n=21)


@provokes("InvalidAPIKey")
def unknown_key(api: Api) -> Answered:
    return api.ask("k" * 22)


@provokes("RequestNotFound")
def unknown_request(api: Api) -> Answered:
    return api.call("GET", f"/generate/check/{NOBODYS_ID}")


@provokes("NotServed")
def text_generation(api: Api) -> Answered:
    return api.call("POST", "/generate/text/async", json={"prompt": "Once upon a time"})


@provokes("TilingMismatch")
def tiles_by_flux(api: Api) -> Answered:
    return api.ask(models=["Flux.1-Schnell fp8 (Compact)"], params={"tiling": True})


@provokes("TooManyUpscalers")
def two_upscalers(api: Api) -> Answered:
    return api.ask(params={"post_processing": ["RealESRGAN_x2plus", "NMKD_Siax"]})


@provokes("UnexpectedModelName")
def post_processor_for_a_model(api: Api) -> Answered:
    return api.ask(models=["GFPGAN"])


@provokes("UnsupportedModel", unknown_models="refuse")
def model_that_nobody_knows(api: Api) -> Answered:
    return api.ask(models=["a model that nobody knows"])


@provokes("TooManyLoras")
def six_loras(api: Api) -> Answered:
    return api.ask(params={"loras": [{"name": f"lora {number}"} for number in range(6)]})


@provokes("BadLoraVersion")
def version_that_is_no_number(api: Api) -> Answered:
    return api.ask(params={"loras": [{"name": "a name", "is_version": True}]})


@provokes("TooManyTIs")
def twenty_one_textual_inversions(api: Api) -> Answered:
    return api.ask(params={"tis": [{"name": f"inversion {number}"} for number in range(21)]})


@provokes("WorkerNotFound")
def worker_that_there_is_not(api: Api) -> Answered:
    api.pop()
    return api.ask(workers=["a worker", "nobody's worker"])


@provokes("WorkerNotFound")
def worker_to_avoid_that_there_is_not(api: Api) -> Answered:
    return api.ask(workers=[NOBODYS_ID], worker_blacklist=True)


@provokes("OnlyServiceAccountProxy")
def asking_for_somebody_else(api: Api) -> Answered:
    return api.ask(api.key("somebody"), proxied_account="another")


@provokes("TooManyPrompts", concurrency=4)
def more_images_than_may_wait(api: Api) -> Answered:
    key = api.key("somebody")
    api.asked(key, n=3)
    return api.ask(key, n=2)


@provokes("KudosUpfront")
def large_picture_for_nothing(api: Api) -> Answered:
    return api.ask(params={"width": 2048, "height": 2048, "steps": 100})


@provokes("MaintenanceMode")
def request_in_maintenance(api: Api) -> Answered:
    admin = api.key("admin", admin=True)
    changed = api.call("PUT", "/status/modes", key=admin, json={"maintenance_mode": True})
    assert changed.status == 200
    return api.ask()


@provokes("Forbidden")
def image_at_an_address_without_a_signature(api: Api) -> Answered:
    return api.call("GET", f"/generate/images/{NOBODYS_ID}/{NOBODYS_ID}.webp")


@provokes("RequestExpired")
def image_that_is_kept_no_longer(api: Api) -> Answered:
    request_id = api.asked()
    api.deliver(api.popped()["ids"])
    address = api.status(request_id)["generations"][0]["img"]
    status = api.hoard.views.status.status(UUID(request_id))
    assert status is not None
    api.hoard.storage.blobs.delete(status.generations[0].digest)
    return api.call("GET", address.split("/api/v2", 1)[1])
