"""Source images: by value and by address, checked and cleaned, stored last, handed to workers."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from domain.images.source_images import MOST_BYTES
from domain.service.fetching import FetchFailed, FetchLimits
from infrastructure.outbound.guard import AT_ONCE
from tests.integration.api_client import Answered, Api, in_base64, picture, serving
from tests.web_server import WebServer, web_server

HALF_CLEAR = Image.linear_gradient("L").resize((64, 64))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path, permit_networks="127.0.0.0/8", kudos_upfront=False) as api:
        yield api


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as web:
        yield web


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    written = BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def painted(colour: str, size: tuple[int, int] = (64, 64)) -> Image.Image:
    return Image.new("RGB", size, colour)


def see_through() -> bytes:
    """Return a picture that is transparent in part."""
    image = painted("blue").convert("RGBA")
    image.putalpha(HALF_CLEAR)
    return file(image)


def work(api: Api) -> Any:
    """Pop, as a worker that takes everything."""
    return api.popped(
        bridge_agent="AI Horde Worker reGen:10.0.0:test",
        allow_img2img=True,
        allow_painting=True,
    )


def received(text: str) -> Image.Image:
    """Return an image as its worker reads it."""
    image = Image.open(BytesIO(base64.b64decode(text, validate=True)))
    assert image.format == "WEBP"
    image.load()
    return image


def near(image: Image.Image, at: tuple[int, int], colour: tuple[int, ...]) -> bool:
    found = image.getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(one - other) < 12 for one, other in zip(found, colour, strict=True))


def blobs(api: Api) -> int:
    folder = api.hoard.settings.blob_folder
    return sum(1 for path in folder.rglob("*") if path.is_file())


def refused(answered: Answered, rc: str) -> Answered:
    assert (answered.status, answered.rc) == (400, rc), answered
    return answered


def test_a_job_whose_source_image_is_lost_is_given_up_at_once(api: Api) -> None:
    request_id = api.asked(source_image=in_base64(picture()))
    for path in list(api.hoard.settings.blob_folder.rglob("*")):
        if path.is_file():
            path.unlink()
    refusals = 0
    while not api.check(request_id)["faulted"]:
        answered = api.pop(bridge_agent="AI Horde Worker reGen:10.0.0:test")
        assert (answered.status, answered.rc) == (423, "Locked")
        assert api.check(request_id)["processing"] == 0
        refusals += 1
    assert 1 < refusals < 20


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_source_image_reaches_the_worker_as_webp(api: Api, kind: str) -> None:
    api.asked(source_image=in_base64(file(painted("red", (96, 64)), kind)))
    job = work(api)
    assert job["source_processing"] == "img2img"
    assert job["source_mask"] is None
    assert job["extra_source_images"] is None
    image = received(job["source_image"])
    assert image.size == (96, 64)
    assert near(image, (5, 5), (255, 0, 0))


def test_a_request_without_one_says_nothing_of_it(api: Api) -> None:
    api.asked()
    job = work(api)
    assert job["source_image"] is None
    assert "source_processing" not in job


def test_text_to_image_leaves_a_source_image_out(api: Api) -> None:
    api.asked(source_image="whatever", source_processing="txt2img")
    assert work(api)["source_image"] is None


def test_a_data_address_of_a_browser_is_taken(api: Api) -> None:
    api.asked(source_image=f"data:image/png;base64,{in_base64(file(painted('lime')))}")
    assert near(received(work(api)["source_image"]), (5, 5), (0, 255, 0))


def test_inpainting_has_its_mask(api: Api) -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    api.asked(
        source_image=in_base64(picture()),
        source_mask=in_base64(file(mask)),
        source_processing="inpainting",
    )
    job = work(api)
    assert job["source_processing"] == "inpainting"
    painted_mask = received(job["source_mask"])
    # Without loss, at its very edge.
    assert painted_mask.getpixel((31, 5)) == (255, 255, 255)
    assert painted_mask.getpixel((32, 5)) == (0, 0, 0)


def test_transparency_is_as_good_as_a_mask_and_arrives(api: Api) -> None:
    api.asked(source_image=in_base64(see_through()), source_processing="inpainting")
    image = received(work(api)["source_image"])
    assert image.mode == "RGBA"
    assert image.getchannel("A").getpixel((5, 60)) == HALF_CLEAR.getpixel((5, 60))


def test_an_alpha_channel_that_hides_nothing_is_no_mask(api: Api) -> None:
    opaque = in_base64(file(painted("red").convert("RGBA")))
    refused(
        api.ask(source_image=opaque, source_processing="inpainting"),
        "InpaintingMissingMask",
    )


@pytest.mark.parametrize("processing", ["outpainting", "remix"])
def test_what_works_on_an_image_needs_one(api: Api, processing: str) -> None:
    assert api.ask(source_processing=processing).status == 400


def test_who_took_the_picture_and_where_goes_and_it_stands_upright(api: Api) -> None:
    image = painted("red", (96, 64))
    image.paste("blue", (0, 0, 48, 64))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "Secret Artist"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 0.0)
    api.asked(
        source_image=in_base64(
            file(image, "JPEG", exif=exif, comment=b"a comment", icc_profile=b"a profile")
        )
    )
    text = work(api)["source_image"]
    upright = received(text)
    assert upright.size == (64, 96)
    assert near(upright, (32, 20), (0, 0, 255))
    assert near(upright, (32, 80), (255, 0, 0))
    assert not upright.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(upright.info)
    for left in (b"Secret", b"comment", b"profile", b"EXIF", b"ICCP"):
        assert left not in base64.b64decode(text)


def test_the_same_picture_is_kept_once_and_by_digest(api: Api) -> None:
    for _ in range(2):
        api.asked(source_image=in_base64(picture()))
    assert blobs(api) == 1
    first, second = work(api), work(api)
    assert first["source_image"] == second["source_image"]


@pytest.mark.parametrize(
    ("data", "rc"),
    [
        (b"no image at all", "ImageValidationFailed"),
        (file(painted("red"))[:-30], "ImageValidationFailed"),
        (file(painted("red"), "TIFF"), "ImageValidationFailed"),
        (file(painted("red"), "BMP"), "ImageValidationFailed"),
        (file(painted("red", (3072, 3073))), "SourceImageResolutionExceeded"),
        (file(painted("red", (16384, 64))), "SourceImageResolutionExceeded"),
        (bytes(MOST_BYTES + 1), "SourceImageSizeExceeded"),
    ],
)
def test_what_is_no_source_image_is_refused_and_nothing_is_kept(
    api: Api, data: bytes, rc: str
) -> None:
    sent = in_base64(data)
    answered = refused(api.ask(source_image=sent), rc)
    assert set(answered.body["errors"]) == {"source_image"}
    answered = refused(
        api.ask(
            source_image=in_base64(picture()), source_mask=sent, source_processing="inpainting"
        ),
        rc,
    )
    assert set(answered.body["errors"]) == {"source_mask"}
    assert blobs(api) == 0


def test_the_largest_source_image_is_taken(api: Api) -> None:
    api.asked(source_image=in_base64(file(painted("red", (3072, 3072)))))
    assert received(work(api)["source_image"]).size == (3072, 3072)


def test_a_request_that_is_refused_for_something_else_keeps_no_image(api: Api) -> None:
    refused(
        api.ask(api.key("somebody"), n=2, disable_batching=True, source_image=in_base64(picture())),
        "RequiresTrust",
    )
    refused(api.ask(source_image=in_base64(picture()), params={"width": 100}), "InvalidSize")
    assert blobs(api) == 0


def test_a_dry_run_looks_at_no_image_and_prices_it(api: Api, web: WebServer) -> None:
    plain = api.ask(dry_run=True)
    answered = api.ask(dry_run=True, source_image=web.url("/never", "127.0.0.1"))
    assert answered.status == 200
    assert answered.body["kudos"] > plain.body["kudos"]
    assert web.asked == []


def test_an_address_is_fetched_once_when_the_request_is_made(api: Api, web: WebServer) -> None:
    path = web.answers("/picture", file(painted("red")), "image/png")
    api.asked(source_image=web.url(path, "127.0.0.1"))
    assert web.asked == [path]
    assert near(received(work(api)["source_image"]), (5, 5), (255, 0, 0))
    assert web.asked == [path]


def test_no_event_names_the_address(api: Api, web: WebServer) -> None:
    path = web.answers("/hidden-place", file(painted("red")), "image/png")
    api.asked(source_image=web.url(path, "127.0.0.1"))
    stored = api.hoard.settings.ledger_database.removeprefix("sqlite:///")
    everything = b"".join(
        each.read_bytes() for each in Path(stored).parent.iterdir() if each.is_file()
    )
    assert b"hidden-place" not in everything


@pytest.mark.parametrize(
    ("media_type", "status", "rc"),
    [
        ("text/html", 200, "ImageValidationFailed"),
        ("image/png", 404, "ImageValidationFailed"),
        ("image/png", 200, "ImageValidationFailed"),
    ],
)
def test_an_address_without_an_image_is_refused(
    api: Api, web: WebServer, media_type: str, status: int, rc: str
) -> None:
    path = web.answers("/", b"<html>", media_type, status)
    answered = refused(api.ask(source_image=web.url(path, "127.0.0.1")), rc)
    assert "127.0.0.1" not in str(answered.body)


def test_a_large_file_at_an_address_is_refused(api: Api, web: WebServer) -> None:
    path = web.answers("/", bytes(MOST_BYTES + 1))
    refused(api.ask(source_image=web.url(path, "127.0.0.1")), "SourceImageSizeExceeded")


def test_an_address_inside_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        for address in (
            "https://127.0.0.1/a.png",
            "https://localhost/a.png",
            "https://[::1]/a.png",
            "https://169.254.169.254/latest/meta-data",
            "http://1.1.1.1/a.png",
            "file:///etc/passwd",
            "ftp://1.1.1.1/a.png",
            "https://user:pass@1.1.1.1/a.png",
            "https://" + "a" * 3000,
        ):
            refused(api.ask(source_image=address), "ImageValidationFailed")


def test_while_too_much_is_fetched_a_client_is_told_to_come_again(api: Api, web: WebServer) -> None:
    arrived, go_on = threading.Semaphore(0), threading.Event()

    def waits(handler: BaseHTTPRequestHandler) -> None:
        arrived.release()
        go_on.wait(60)
        handler.wfile.write(b"HTTP/1.1 404 Not Found\r\n\r\n")

    web.pages["/waits"] = waits
    url = web.url("/waits", "127.0.0.1")
    limits = FetchLimits(max_bytes=1, seconds=60)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        fetches = [pool.submit(api.hoard.outbound.get, url, limits) for _ in range(AT_ONCE)]
        assert all(arrived.acquire(timeout=60) for _ in fetches)
        answered = api.ask(source_image=url)
        go_on.set()
    assert (answered.status, answered.rc) == (423, "Locked")
    assert all(isinstance(fetch.exception(), FetchFailed) for fetch in fetches)
