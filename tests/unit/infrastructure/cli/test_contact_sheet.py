from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageChops, UnidentifiedImageError

from infrastructure.cli.requests.contact_sheet import Frame, columns_for, contact_sheet

RED = (200, 20, 20)
BLUE = (20, 20, 200)


def frame(
    colour: tuple[int, int, int] = RED,
    size: tuple[int, int] = (64, 64),
    *,
    label: str = "seed 1 · 0",
    kind: str = "PNG",
) -> Frame:
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, format=kind)
    return Frame(file.getvalue(), label)


def opened(sheet: bytes) -> Image.Image:
    with Image.open(BytesIO(sheet)) as image:
        assert image.format == "PNG"
        return image.convert("RGB")


def boxes_of(sheet: Image.Image, colour: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Where pictures of one colour begin: top left corners in reading order."""
    corners = []
    pixels = sheet.load()
    assert pixels is not None
    for y in range(1, sheet.height):
        for x in range(1, sheet.width):
            if pixels[x, y] == colour and pixels[x - 1, y] != colour and pixels[x, y - 1] != colour:
                corners.append((x, y))
    return corners


@pytest.mark.parametrize(
    ("images", "columns"),
    [(1, 1), (2, 2), (3, 3), (4, 2), (6, 3), (7, 4), (12, 4), (17, 6), (20, 5)],
)
def test_columns_leave_few_holes(images: int, columns: int) -> None:
    assert columns_for(images) == columns


@pytest.mark.parametrize("images", range(1, 100))
def test_a_page_is_as_wide_as_high_or_wider_and_has_no_empty_row(images: int) -> None:
    columns = columns_for(images)
    rows = -(-images // columns)
    assert rows <= columns <= images
    assert (rows - 1) * columns < images


def test_twenty_pictures_stand_in_four_rows_of_five() -> None:
    corners = boxes_of(opened(contact_sheet([frame()] * 20, title="a red square")), RED)
    assert len(corners) == 20
    assert [len({x for x, _ in corners}), len({y for _, y in corners})] == [5, 4]


def test_pictures_stand_in_reading_order() -> None:
    sheet = opened(contact_sheet([frame(RED), frame(BLUE), frame(BLUE), frame(BLUE)], title=""))
    (red,) = boxes_of(sheet, RED)
    assert all(red <= (x, y) or red[1] < y for x, y in boxes_of(sheet, BLUE))
    assert red == min(boxes_of(sheet, RED) + boxes_of(sheet, BLUE), key=lambda corner: corner[::-1])


def test_a_large_picture_shrinks_and_keeps_its_proportions() -> None:
    sheet = opened(contact_sheet([frame(RED, (1024, 512))], title="", tile=256))
    ((x, y),) = boxes_of(sheet, RED)
    columns = sum(sheet.getpixel((column, y + 5)) == RED for column in range(sheet.width))
    rows = sum(sheet.getpixel((x + 5, row)) == RED for row in range(sheet.height))
    assert (columns, rows) == (256, 128)


def test_a_small_picture_is_not_enlarged() -> None:
    sheet = opened(contact_sheet([frame(RED, (64, 64))], title="", tile=512))
    ((_, y),) = boxes_of(sheet, RED)
    assert sum(sheet.getpixel((column, y + 5)) == RED for column in range(sheet.width)) == 64


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_every_format_that_workers_send_is_read(kind: str) -> None:
    assert opened(contact_sheet([frame(kind=kind)], title="")).width > 64


def test_the_label_and_the_title_are_there() -> None:
    bare = opened(contact_sheet([frame(label="")], title=""))
    labelled = opened(contact_sheet([frame(label="seed 7 · 3")], title=""))
    titled = opened(contact_sheet([frame(label="")], title="a red square"))
    assert labelled.size == bare.size
    assert ImageChops.difference(labelled, bare).getbbox() is not None
    assert titled.height > bare.height


def test_a_long_title_takes_at_most_three_lines() -> None:
    def height(words: int) -> int:
        return opened(contact_sheet([frame()], title=" ".join(["square"] * words))).height

    assert height(1) < height(6) < height(7500) == height(40)


@pytest.mark.parametrize(
    "title", ["x" * 10_000, "línea\nnueva\x00\x1b[31m", "赤い四角", "🟥" * 300]
)
def test_any_title_and_label_can_be_set(title: str) -> None:
    sheet = opened(contact_sheet([frame(label=title)], title=title))
    assert sheet.width < 1000


def test_nothing_is_no_sheet() -> None:
    with pytest.raises(ValueError, match="1 to 400 images, not 0"):
        contact_sheet([], title="nothing")


def test_a_tile_has_a_sensible_size() -> None:
    with pytest.raises(ValueError, match="32 to 2048"):
        contact_sheet([frame()], title="", tile=8)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(UnidentifiedImageError):
        contact_sheet([Frame(b"no image", "")], title="")
