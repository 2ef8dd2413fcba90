"""Uploads: an image reaches its own place, once, in time; nothing else changes anything."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from domain.jobs.image_ids import job_of
from domain.return_codes import Refused
from tests.integration.api_client import Answered, Api, in_base64, picture
from tests.view_world import ViewWorld


def put(api: Api, address: str, data: bytes) -> tuple[int, str]:
    """Upload as reGen does, without a content type; return the status and the return code."""
    response = api.http.put(address, content=data)
    assert "content-type" not in response.request.headers
    return response.status_code, response.json()["rc"] if response.content else ""


def submit(api: Api, image_id: str, **fields: Any) -> Answered:
    """Say that an image was uploaded."""
    return api.submit(image_id, generation="R2", **fields)


def stored(api: Api) -> int:
    """Return how many blobs there are."""
    return sum(path.is_file() for path in api.hoard.settings.blob_folder.rglob("*"))


def test_a_batch_is_uploaded_and_submitted(api: Api) -> None:
    request_id = api.asked(n=3)
    job = api.popped()
    assert job["r2_upload"] == job["r2_uploads"][0]
    for place, address in enumerate(job["r2_uploads"]):
        assert put(api, address, picture(place)) == (200, "")
    for place, image_id in enumerate(job["ids"]):
        word = {"type": "batch_index", "value": "see_ref", "ref": str(place)}
        answered = submit(api, image_id, gen_metadata=[word])
        assert answered.status == 200
        assert answered.body["reward"] > 0
    generations = api.status(request_id)["generations"]
    assert [made["id"] for made in generations] == job["ids"]
    for place, made in enumerate(generations):
        assert api.http.get(made["img"]).content == picture(place)
        assert made["gen_metadata"] == [
            {"type": "batch_index", "value": "see_ref", "ref": str(place)}
        ]


def test_the_first_upload_counts(api: Api) -> None:
    api.asked()
    job = api.popped()
    address = job["r2_upload"]
    assert put(api, address, picture(1)) == (200, "")
    assert put(api, address, picture(1)) == (200, "")
    assert put(api, address, picture(2)) == (400, "DuplicateGen")
    assert stored(api) == 1
    assert submit(api, job["id"]).status == 200
    assert put(api, address, picture(1)) == (400, "DuplicateGen")
    assert stored(api) == 1


def test_an_address_is_good_for_its_own_image_only(api: Api) -> None:
    api.asked(n=2)
    first, second = api.popped()["r2_uploads"]
    path, _, query = first.partition("?")
    other_path = second.partition("?")[0]
    for wrong in (
        path,
        f"{other_path}?{query}",
        f"{path}?{query}x",
        f"{path}?{query.replace('expires=1', 'expires=2')}",
        f"{path.upper().replace('HTTP://TESTSERVER/API/V2/UPLOADS', '/api/v2/uploads')}?{query}",
    ):
        assert put(api, wrong, picture()) == (403, "Forbidden")
    assert stored(api) == 0


def test_the_address_of_an_image_to_see_takes_no_upload(api: Api) -> None:
    request_id = api.asked()
    job = api.popped()
    put(api, job["r2_upload"], picture())
    submit(api, job["id"])
    query = api.status(request_id)["generations"][0]["img"].partition("?")[2]
    path = job["r2_upload"].partition("?")[0]
    assert put(api, f"{path}?{query}", picture()) == (403, "Forbidden")


@pytest.mark.parametrize("after", [timedelta(seconds=150), timedelta(hours=1)])
def test_after_the_lease_nothing_is_taken(api: Api, after: timedelta) -> None:
    api.asked()
    job = api.popped()
    api.clock.advance(after)
    status, rc = put(api, job["r2_upload"], picture())
    assert (status, rc) in {(400, "AbortedGen"), (403, "Forbidden")}
    assert stored(api) == 0


def test_the_ledger_itself_awaits_nothing_after_the_lease(world: ViewWorld) -> None:
    """The signed address ends with the lease; this is what stands behind it."""
    world.submit()
    job = world.pop()
    world.hoard.ledger.jobs.may_upload(job.image_ids[0])
    world.clock.advance(timedelta(seconds=job.lease_seconds))
    with pytest.raises(Refused) as refused:
        world.hoard.ledger.jobs.may_upload(job.image_ids[0])
    assert refused.value.code.name == "AbortedGen"


def test_when_the_job_was_given_up_nothing_is_taken(api: Api) -> None:
    request_id = api.asked()
    job = api.popped()
    api.call("DELETE", f"/generate/status/{request_id}")
    assert put(api, job["r2_upload"], picture()) == (400, "AbortedGen")
    assert stored(api) == 0


def test_what_is_no_image_is_not_taken(api: Api) -> None:
    api.asked()
    job = api.popped()
    frames = BytesIO()
    one = Image.new("RGB", (64, 64))
    one.save(frames, "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 64), "red")])
    for data in (b"", b"R2", picture()[:-20], frames.getvalue(), picture(kind="GIF")):
        assert put(api, job["r2_upload"], data) == (400, "ImageValidationFailed")
    assert stored(api) == 0
    assert submit(api, job["id"]).rc == "BadRequest"
    assert put(api, job["r2_upload"], picture()) == (200, "")
    assert submit(api, job["id"]).status == 200


def test_only_the_owner_of_the_worker_submits_what_was_uploaded(api: Api) -> None:
    api.asked()
    job = api.popped()
    put(api, job["r2_upload"], picture())
    assert submit(api, job["id"], key=api.key("stranger")).rc == "WrongCredentials"
    assert submit(api, job["id"]).status == 200


def test_a_refused_submit_leaves_nothing(api: Api) -> None:
    request_id = api.asked()
    job = api.popped()
    api.call("DELETE", f"/generate/status/{request_id}")
    assert api.submit(job["id"], generation=in_base64(picture())).rc == "AbortedGen"
    assert api.submit(job["id"], key=api.key("stranger")).rc == "WrongCredentials"
    assert stored(api) == 0


def test_uploads_are_forgotten_when_their_job_is_over(api: Api) -> None:
    api.asked(n=2)
    job = api.popped()
    for address in job["r2_uploads"]:
        put(api, address, picture())
    uploads = api.hoard.storage.uploads
    assert uploads.delete_expired() == 0
    submit(api, job["ids"][0])
    assert uploads.delete_expired() == 0
    api.clock.advance(timedelta(hours=1))
    api.hoard.ledger.jobs.expire_lease(job_of(UUID(job["id"])))
    assert uploads.delete_expired() == 2
    assert uploads.digest_of(UUID(job["ids"][1])) is None


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({}, "ok"),
        ({"state": "censored"}, "censored"),
        ({"censored": True}, "censored"),
        ({"gen_metadata": [{"type": "censorship", "value": "nsfw"}]}, "censored"),
        ({"gen_metadata": [{"type": "censorship", "value": "csam"}]}, "csam"),
        ({"state": "csam", "censored": True}, "csam"),
        ({"gen_metadata": [{"type": "lora", "value": "download_failed", "ref": "7"}]}, "ok"),
    ],
)
def test_what_the_worker_says_is_kept(api: Api, said: dict[str, Any], state: str) -> None:
    request_id = api.asked()
    job = api.popped()
    assert api.submit(job["id"], **said).status == 200
    for _ in range(2):
        made = api.status(request_id)["generations"][0]
        assert (made["state"], made["censored"]) == (state, state != "ok")
        assert made["gen_metadata"] == said.get("gen_metadata", [])
        api.catch_up()


@pytest.mark.parametrize(
    "word",
    [
        {"type": "unheard of", "value": "see_ref"},
        {"type": "lora", "value": "unheard of"},
        {"type": "lora"},
        {"type": "lora", "value": "see_ref", "ref": "x" * 256},
    ],
)
def test_other_words_are_refused(api: Api, word: dict[str, str]) -> None:
    api.asked()
    refused = api.submit(api.popped()["id"], gen_metadata=[word])
    assert (refused.status, refused.rc) == (400, "BadRequest")
    assert stored(api) == 0
