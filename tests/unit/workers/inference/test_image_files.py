"""What becomes of a picture: its file, what the file says of itself, and its digest."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from workers.inference.image_files import (
    FileProvenance,
    encode_webp,
    pixels_sha256,
    read_provenance,
    to_exif,
)

SAID = FileProvenance(
    request="11111111-1111-1111-1111-111111111111",
    job="22222222-2222-2222-2222-222222222222",
    image="33333333-3333-3333-3333-333333333333",
    seed=4_294_967_295,
    batch_index=19,
    batch_size=20,
    model="Modèle – 模型",
    model_sha256="ab" * 32,
    engine="pattern 1",
)


def picture(mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((96, 64)).convert(mode)


def test_a_webp_says_how_it_was_made() -> None:
    assert read_provenance(encode_webp(picture(), SAID)) == SAID


def test_a_png_can_say_the_same() -> None:
    buffer = BytesIO()
    picture().save(buffer, "PNG", exif=to_exif(SAID))
    assert read_provenance(buffer.getvalue()) == SAID


def test_a_file_without_it_says_nothing() -> None:
    assert read_provenance(encode_webp(picture())) is None


@pytest.mark.parametrize("comment", [b"ASCII\0\0\0{}", b"ASCII\0\0\0[]", b"a holiday", b"\xff\xfe"])
def test_what_others_wrote_there_is_not_ours(comment: bytes) -> None:
    exif = Image.Exif()
    exif[0x0131] = "Hoard"
    exif.get_ifd(0x8769)[0x9286] = comment
    buffer = BytesIO()
    picture().save(buffer, "WEBP", exif=exif.tobytes())
    assert read_provenance(buffer.getvalue()) is None


def test_what_is_no_image_is_an_error() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        read_provenance(b"no image")


def test_provenance_changes_no_pixel() -> None:
    with (
        Image.open(BytesIO(encode_webp(picture()))) as bare,
        Image.open(BytesIO(encode_webp(picture(), SAID))) as described,
    ):
        assert pixels_sha256(bare) == pixels_sha256(described)


def test_transparency_is_kept_and_nothing_else_becomes_transparent() -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    with Image.open(BytesIO(encode_webp(clear))) as shown:
        assert shown.mode == "RGBA"
        assert shown.getchannel("A").getextrema() == (0, 0)
    with Image.open(BytesIO(encode_webp(picture("L")))) as shown:
        assert shown.mode == "RGB"


def test_the_digest_of_pixels_tells_pictures_apart() -> None:
    one = picture()
    same = one.copy()
    nearly = one.copy()
    nearly.putpixel((95, 63), (0, 0, 1))
    turned = Image.frombytes("RGB", (64, 96), one.tobytes())
    digests = [pixels_sha256(each) for each in (one, same, nearly, turned, one.convert("RGBA"))]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
