"""What workers send as images: only whole ones are taken, and no bomb goes off."""

from __future__ import annotations

import base64
import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from api.http.images import TooManyPixels, cleaned, image_from_base64, media_type_of, require_image
from domain.return_codes import Refused


def picture(kind: str, size: tuple[int, int] = (64, 64)) -> bytes:
    """Return a picture as a file of this format."""
    file = BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(file, kind)
    return file.getvalue()


def moving_picture(kind: str) -> bytes:
    """Return a file with two frames."""
    file = BytesIO()
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def png_that_claims(width: int, height: int) -> bytes:
    """Return a few bytes that say they are this many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def sent(data: bytes) -> bytes:
    """Take an image as a worker sends it."""
    return image_from_base64(base64.b64encode(data).decode())


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("WEBP", "image/webp"), ("PNG", "image/png"), ("JPEG", "image/jpeg")],
)
def test_an_image_is_taken_as_it_came(kind: str, media_type: str) -> None:
    data = picture(kind)
    assert sent(data) == data
    assert media_type_of(data) == media_type


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        picture("GIF"),
        picture("BMP"),
        picture("TIFF"),
        picture("WEBP")[:-200],
        picture("PNG")[:-200],
        picture("JPEG")[:-200],
        picture("PNG")[:40],
        moving_picture("WEBP"),
        moving_picture("PNG"),
        png_that_claims(1000, 1000),
        png_that_claims(8193, 8192),
        png_that_claims(10_000, 10_000),
        png_that_claims(2_000_000_000, 2_000_000_000),
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"RIFF\xff\xff\xff\xffWEBPVP8X" + bytes(1000),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=range(18),
)
def test_what_is_no_whole_image_is_refused(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        sent(data)
    assert caught.value.code.name == "ImageValidationFailed"


@pytest.mark.parametrize("text", ["not base64!", "aGk", "aGk=\n", "ünïcode", "R3", "=aaa"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        image_from_base64(text)
    assert caught.value.code.name == "ImageValidationFailed"


def test_whatever_else_was_stored_is_nobodys_picture() -> None:
    assert media_type_of(b"<html>") == "application/octet-stream"


def test_a_whole_image_of_too_many_pixels_is_refused_unread() -> None:
    file = BytesIO()
    Image.new("1", (8256, 8192)).save(file, "PNG")
    with pytest.raises(Refused, match="too many pixels"):
        sent(file.getvalue())


def reread(image: Image.Image, kind: str = "PNG", *, lossless: bool = False) -> Image.Image:
    """Clean an image, and read what is left of it."""
    file = BytesIO()
    image.save(file, kind)
    clean = cleaned(file.getvalue(), most_pixels=64 * 64, lossless=lossless)
    left = Image.open(BytesIO(clean.data))
    assert left.format == "WEBP"
    assert clean.is_transparent == (left.mode == "RGBA")
    return left


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_a_source_image_of_any_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert reread(Image.new(mode, (64, 64)), kind).mode == "RGB"


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_an_alpha_channel_stays_only_where_it_hides_something(mode: str) -> None:
    clear = Image.new(mode, (64, 64))
    assert reread(clear).mode == "RGBA"
    clear.putalpha(255)
    assert reread(clear).mode == "RGB"


def test_the_colours_under_what_is_transparent_stay() -> None:
    image = Image.new("RGBA", (64, 64), (10, 200, 30, 0))
    assert reread(image, lossless=True).getpixel((5, 5)) == (10, 200, 30, 0)


def test_sixteen_bits_become_eight() -> None:
    image = Image.new("I;16", (64, 64), 40_000)
    assert reread(image, lossless=True).getpixel((5, 5)) == (155, 155, 155)


def test_one_pixel_too_many_is_too_many() -> None:
    with pytest.raises(TooManyPixels):
        reread(Image.new("L", (64, 65)))


def test_an_image_above_what_its_job_allows_is_refused() -> None:
    data = picture("WEBP", (64, 64))
    require_image(data, most_pixels=64 * 64)
    with pytest.raises(Refused) as caught:
        require_image(data, most_pixels=64 * 64 - 1)
    assert caught.value.code.name == "ImageValidationFailed"
