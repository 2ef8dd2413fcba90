"""Pictures as people have them: phones' JPEGs, animations, heavy PNGs, wide colours, any base64."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from api.http.base64_text import bytes_from
from api.http.images import ImageUnreadable, cleaned, image_from_base64
from domain.return_codes import Refused

RED, BLUE = (220, 30, 30), (30, 30, 220)
MOST = 3072 * 3072


def plain(colour: tuple[int, int, int], size: tuple[int, int] = (64, 32)) -> Image.Image:
    return Image.new("RGB", size, colour)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def seen(file: bytes) -> Image.Image:
    """Return the source image that becomes of a file."""
    return Image.open(BytesIO(cleaned(file, most_pixels=MOST, lossless=True).data))


def is_near(image: Image.Image, colour: tuple[int, ...], within: int = 6) -> bool:
    pixel = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return all(abs(a - b) <= within for a, b in zip(pixel, colour, strict=True))


def oriented(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("turned", [1, 6])
def test_of_a_phones_jpeg_with_several_pictures_the_primary_one_counts(turned: int) -> None:
    file = saved(
        plain(RED),
        "MPO",
        save_all=True,
        append_images=[plain(BLUE, (16, 8))],
        exif=oriented(turned),
    )
    image = seen(file)
    assert image.size == ((64, 32) if turned == 1 else (32, 64))
    assert is_near(image, RED)


def test_what_follows_a_jpeg_does_not_matter() -> None:
    assert is_near(seen(saved(plain(RED), "JPEG", quality=95) + b"motion video" * 1000), RED)


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF"])
def test_of_an_animation_the_first_frame_counts(kind: str) -> None:
    file = saved(plain(RED), kind, save_all=True, append_images=[plain(BLUE)], duration=100)
    assert getattr(Image.open(BytesIO(file)), "n_frames", 1) == 2
    image = seen(file)
    assert image.size == (64, 32)
    assert is_near(image, RED)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_a_worker_submits_one_frame(kind: str) -> None:
    file = saved(plain(RED), kind, save_all=True, append_images=[plain(BLUE)], duration=100)
    with pytest.raises(Refused, match="more than one frame"):
        image_from_base64(base64.b64encode(file).decode())


def test_a_worker_submits_no_gif() -> None:
    with pytest.raises(Refused, match="ImageValidationFailed"):
        image_from_base64(base64.b64encode(saved(plain(RED), "GIF")).decode())


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = binascii.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


HEAVY = b"a workflow " * 200_000
HEAVY_CHUNKS = {
    "zTXt": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(HEAVY)),
    "iTXt": chunk(b"iTXt", b"workflow\0\0\0\0\0" + HEAVY),
    "iTXt, compressed": chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(HEAVY)),
    "tEXt": chunk(b"tEXt", b"workflow\0" + HEAVY),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + zlib.compress(HEAVY)),
    "a bomb": chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(300_000_000), 9)),
    "zTXt that is none": chunk(b"zTXt", b"workflow\0\0no zlib"),
    "no zero in it": chunk(b"zTXt", b"workflow"),
}


@pytest.mark.parametrize("where", ["before the image", "behind it"])
@pytest.mark.parametrize("heavy", HEAVY_CHUNKS)
def test_a_heavy_chunk_is_no_reason_to_refuse_a_png(heavy: str, where: str) -> None:
    file = saved(plain(RED), "PNG")
    at = 33 if where == "before the image" else len(file) - 12
    with_chunk = file[:at] + HEAVY_CHUNKS[heavy] + file[at:]
    assert is_near(seen(with_chunk), RED)
    data = base64.b64encode(with_chunk).decode()
    assert image_from_base64(data) == with_chunk


def test_what_small_texts_say_of_orientation_still_counts() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "small", zip=True)
    file = saved(plain(RED), "PNG", pnginfo=info, exif=oriented(6))
    assert seen(file).size == (32, 64)


@given(st.binary(max_size=200), st.integers(0, 100))
def test_a_png_that_is_cut_or_spoilt_is_an_image_or_unreadable(rubbish: bytes, at: int) -> None:
    file = saved(plain(RED, (8, 8)), "PNG")
    try:
        cleaned(file[:at] + rubbish + file[at:], most_pixels=MOST)
        cleaned(file[:at] + rubbish, most_pixels=MOST)
    except ImageUnreadable:
        pass


def wide_profile() -> bytes:
    """Return a profile of RGB whose red and green have changed places: none can be wider."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {
        bytes(profile[132 + 12 * number : 136 + 12 * number]): 136 + 12 * number
        for number in range(int.from_bytes(profile[128:132], "big"))
    }
    red, green = (slice(entries[name], entries[name] + 8) for name in (b"rXYZ", b"gXYZ"))
    profile[red], profile[green] = profile[green], profile[red]
    return bytes(profile)


def test_colours_of_another_profile_become_those_of_srgb() -> None:
    file = saved(plain((30, 220, 30)), "PNG", icc_profile=wide_profile())
    assert is_near(seen(file), (220, 30, 30), within=12)


def test_a_profile_leaves_transparency_as_it_is() -> None:
    picture = plain((30, 220, 30)).convert("RGBA")
    picture.putalpha(100)
    image = seen(saved(picture, "PNG", icc_profile=wide_profile()))
    assert image.mode == "RGBA"
    assert is_near(image, (220, 30, 30, 100), within=12)


@pytest.mark.parametrize("profile", [b"no profile", b"\0" * 200, wide_profile()[:300]])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_profile_that_cannot_be_read_is_ignored(profile: bytes, kind: str) -> None:
    assert is_near(seen(saved(plain(RED), kind, icc_profile=profile)), RED, within=12)


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("LA", "PNG"), ("CMYK", "JPEG")])
def test_a_profile_of_another_kind_of_colours_changes_nothing(mode: str, kind: str) -> None:
    grey = plain((90, 90, 90)).convert(mode)
    image = seen(saved(grey, kind, icc_profile=wide_profile()))
    assert is_near(image.convert("RGB"), (90, 90, 90), within=12)


DATA = bytes(range(256)) * 3 + b"\xfb\xff"
TEXT = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        base64.encodebytes(DATA).decode(),
        base64.encodebytes(DATA).decode().replace("\n", "\r\n"),
        f"  {TEXT}\n",
        "\t".join(TEXT),
        f"data:image/png;base64,{TEXT}",
        f"DATA:image/PNG;BASE64,{TEXT}",
        f"Data:;base64,\r\n {TEXT}",
        TEXT.rstrip("="),
        base64.urlsafe_b64encode(DATA).decode(),
        base64.urlsafe_b64encode(DATA).decode().rstrip("="),
    ],
    ids=range(11),
)
def test_base64_is_read_however_it_is_written(text: str) -> None:
    assert bytes_from(text) == DATA


@pytest.mark.parametrize("text", ["a", "not base64!", "ab\0c", "ü" * 8, "====a"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        bytes_from(text)


def test_a_worker_may_submit_a_data_url_with_line_breaks() -> None:
    file = saved(plain(RED), "WEBP")
    text = f"DATA:image/webp;base64,{base64.encodebytes(file).decode()}"
    assert image_from_base64(text) == file
