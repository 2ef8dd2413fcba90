from __future__ import annotations

import io

import pytest
from PIL import Image

from domain.images.source_images import SourceProcessing
from workers.engines.comfyui.images import PreparedSource, prepare
from workers.engines.protocol import EngineFailed, Source

RED, GREY = (255, 0, 0), (128, 128, 128)


def picture(
    mode: str, size: tuple[int, int] = (32, 16), colour: int | tuple[int, ...] | None = None
) -> bytes:
    """A PNG file of one colour; red or white unless said."""
    usual: dict[str, int | tuple[int, ...]] = {"L": 255, "RGB": RED, "RGBA": (*RED, 255)}
    return png(Image.new(mode, size, usual[mode] if colour is None else colour))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def half_transparent() -> bytes:
    """Red, the left half of it transparent."""
    image = Image.new("RGBA", (32, 16), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 16, 16))
    return png(image)


def prepared(source: Source, width: int = 64, height: int = 64) -> PreparedSource:
    found = prepare(source, width=width, height=height)
    assert found is not None
    return found


def opened(file: bytes | None) -> Image.Image:
    assert file is not None
    return Image.open(io.BytesIO(file))


def test_a_source_is_stretched_to_the_batch() -> None:
    found = prepared(Source(SourceProcessing.IMG2IMG, picture("RGB")))
    assert found.mask is None
    image = opened(found.image)
    assert (image.mode, image.size) == ("RGB", (64, 64))
    assert image.getpixel((40, 40)) == RED


def test_without_an_image_there_is_nothing_to_prepare() -> None:
    assert prepare(Source(SourceProcessing.IMG2IMG), width=64, height=64) is None


def test_what_is_transparent_is_grey_for_img2img() -> None:
    image = opened(prepared(Source(SourceProcessing.IMG2IMG, half_transparent())).image)
    assert (image.getpixel((2, 40)), image.getpixel((60, 40))) == (GREY, RED)


def test_a_mask_is_stretched_as_well() -> None:
    source = Source(SourceProcessing.INPAINTING, picture("RGB"), picture("L", (8, 8)))
    mask = opened(prepared(source).mask)
    assert (mask.mode, mask.size, mask.getpixel((0, 0))) == ("L", (64, 64), 255)


def test_without_a_mask_what_is_transparent_is_drawn_anew() -> None:
    mask = opened(prepared(Source(SourceProcessing.INPAINTING, half_transparent())).mask)
    assert (mask.getpixel((2, 40)), mask.getpixel((60, 40))) == (255, 0)


def test_a_mask_counts_before_what_is_transparent() -> None:
    source = Source(SourceProcessing.INPAINTING, half_transparent(), picture("L", colour=0))
    assert opened(prepared(source).mask).getextrema() == (0, 0)


def test_an_opaque_image_is_painted_all_around() -> None:
    found = prepared(Source(SourceProcessing.OUTPAINTING, picture("RGB")))
    mask, image = opened(found.mask), opened(found.image)
    assert mask.getbbox() == (0, 0, 64, 64)
    assert (mask.getpixel((32, 32)), mask.getpixel((15, 32)), mask.getpixel((32, 23))) == (
        0,
        255,
        255,
    )
    assert (image.getpixel((32, 32)), image.getpixel((2, 2))) == (RED, GREY)


def test_an_opaque_image_that_is_too_large_is_shrunk_first() -> None:
    mask = opened(prepared(Source(SourceProcessing.OUTPAINTING, picture("RGB", (256, 128)))).mask)
    assert (mask.getpixel((32, 32)), mask.getpixel((32, 2))) == (0, 255)


@pytest.mark.parametrize("file", [b"", b"no image", picture("RGB")[:60]])
def test_files_that_cannot_be_read_fail_the_batch(file: bytes) -> None:
    with pytest.raises(EngineFailed, match="source image cannot be read"):
        prepared(Source(SourceProcessing.IMG2IMG, file))
    with pytest.raises(EngineFailed, match="mask cannot be read"):
        prepared(Source(SourceProcessing.INPAINTING, picture("RGB"), file))


def test_too_many_pixels_fail_the_batch() -> None:
    with pytest.raises(EngineFailed, match="too many pixels"):
        prepared(Source(SourceProcessing.IMG2IMG, picture("L", (4000, 3000))))
