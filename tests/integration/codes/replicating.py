"""What is refused of those who ask for an image that was made before."""

from __future__ import annotations

from uuid import uuid4

from domain.jobs.job import ImageState
from tests.integration.api_client import Answered, Api, in_base64, picture
from tests.integration.codes.accounts import number_of
from tests.integration.codes.provoking import provokes
from tests.integration.requests.replicas import again, make


@provokes("ImageNotFound")
def image_that_nobody_asked_for(api: Api) -> Answered:
    return again(api, uuid4())


@provokes("ImageNotFound")
def word_in_the_place_of_an_id(api: Api) -> Answered:
    return again(api, "the red one")


@provokes("ImageNotFound")
def image_of_somebody_else(api: Api) -> Answered:
    api.asked(api.key("somebody"))
    return again(api, make(api).image_ids[0], api.key("another"))


@provokes("ImageNotFound")
def image_of_anonymous_under_a_key(api: Api) -> Answered:
    api.asked()
    return again(api, make(api).image_ids[0], api.key("somebody"))


@provokes("ImageNotGenerated")
def image_that_is_still_to_come(api: Api) -> Answered:
    api.asked()
    return again(api, api.popped()["id"])


@provokes("ImageNotGenerated")
def image_that_was_censored(api: Api) -> Answered:
    api.asked()
    return again(api, make(api, state=ImageState.CENSORED).image_ids[0])


@provokes("ImageForgotten")
def prompt_of_a_person_who_was_forgotten(api: Api) -> Answered:
    key, admin = api.key("somebody"), api.key("admin", admin=True, moderator=True)
    number = number_of(api, "somebody")
    api.asked(key)
    image_id = make(api).image_ids[0]
    assert api.call("DELETE", f"/users/{number}", key=key).status == 200
    restored = api.call("PUT", f"/users/{number}", key=admin, json={"undelete": True})
    assert restored.status == 200, restored
    return again(api, image_id, key)


@provokes("ImageForgotten")
def source_image_that_is_kept_no_longer(api: Api) -> Answered:
    api.asked(source_image=in_base64(picture()))
    job = make(api)
    assert job.source is not None
    assert job.source.image is not None
    api.hoard.storage.blobs.delete(job.source.image)
    return again(api, job.image_ids[0])


@provokes("BadRequest")
def another_prompt_for_an_image_that_was_made(api: Api) -> Answered:
    api.asked()
    return again(api, make(api).image_ids[0], prompt="a blue square")
