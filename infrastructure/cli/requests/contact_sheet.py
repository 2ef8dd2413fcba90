"""A contact sheet: all images of a request on one page, each with a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

_PAPER = (250, 250, 248)
_INK = (28, 28, 30)
_PALE_INK = (120, 120, 124)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_MARGIN = 24
_GAP = 12
_TITLE_SIZE = 26
_LABEL_SIZE = 15
_LINE_SPACING = 1.3
_MOST_TITLE_LINES = 3
# A sheet with one small picture still has room for its title.
_NARROWEST_PAGE = 480

MOST_FRAMES = 400
"""The most images that one sheet takes: what twenty requests can bring."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the sheet."""

    image: bytes
    """An image file that Pillow reads: WebP, PNG or JPEG."""
    label: str
    """What stands below it, one line; what does not fit is cut off."""


def columns_for(images: int) -> int:
    """Return how many columns make a page that is at least as wide as high, with few holes.

    :param images: 1 or more.
    """
    narrowest = math.ceil(math.sqrt(images))
    return min(range(narrowest, min(narrowest + 2, images) + 1), key=lambda wide: -images % wide)


def contact_sheet(frames: Sequence[Frame], *, title: str, tile: int = 320) -> bytes:
    """Return the sheet as a PNG file.

    Pictures keep their proportions and are never enlarged. The title is set in at most three lines.

    :param frames: in reading order, 1 to :data:`MOST_FRAMES`.
    :param tile: pixels of the square that each picture is fitted into, 32 to 2048.
    :raises ValueError: when a number is out of range.
    :raises PIL.UnidentifiedImageError: when a frame holds no image.
    """
    if not 1 <= len(frames) <= MOST_FRAMES:
        raise ValueError(f"a contact sheet takes 1 to {MOST_FRAMES} images, not {len(frames)}")
    if not 32 <= tile <= 2048:
        raise ValueError(f"a tile is 32 to 2048 pixels wide, not {tile}")
    pictures = [_thumbnail(frame.image, tile) for frame in frames]
    cell_width = max(picture.width for picture in pictures)
    cell_height = max(picture.height for picture in pictures)
    columns = columns_for(len(frames))
    rows = math.ceil(len(frames) / columns)

    grid_width = columns * (cell_width + _GAP) - _GAP
    page_width = max(grid_width + 2 * _MARGIN, _NARROWEST_PAGE)
    title_font = ImageFont.load_default(_TITLE_SIZE)
    label_font = ImageFont.load_default(_LABEL_SIZE)
    heading = _wrapped(title, title_font, page_width - 2 * _MARGIN)
    title_line = round(_TITLE_SIZE * _LINE_SPACING)
    label_line = round(_LABEL_SIZE * _LINE_SPACING)
    row_height = cell_height + label_line + _GAP
    top = _MARGIN + (len(heading) * title_line + _GAP if heading else 0)

    sheet = Image.new("RGB", (page_width, top + rows * row_height - _GAP + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(heading):
        draw.text((_MARGIN, _MARGIN + number * title_line), line, font=title_font, fill=_INK)
    left = (page_width - grid_width) // 2
    for number, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        row, column = divmod(number, columns)
        x = left + column * (cell_width + _GAP)
        y = top + row * row_height
        sheet.paste(picture, (x + (cell_width - picture.width) // 2, y))
        label = _cut(_one_line(frame.label), label_font, cell_width)
        draw.text((x, y + cell_height + 2), label, font=label_font, fill=_PALE_INK)

    file = BytesIO()
    sheet.save(file, format="PNG")
    return file.getvalue()


def _thumbnail(image: bytes, tile: int) -> Image.Image:
    with Image.open(BytesIO(image), formats=("WEBP", "PNG", "JPEG")) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((tile, tile), Image.Resampling.LANCZOS)
    return picture


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _wrapped(text: str, font: _Font, width: int) -> list[str]:
    """Set a text in lines of at most ``width`` pixels, cutting the last where there is more."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if not line or font.getlength(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    if len(lines) > _MOST_TITLE_LINES:
        lines[_MOST_TITLE_LINES - 1 :] = [" ".join(lines[_MOST_TITLE_LINES - 1 :])]
    return [_cut(line, font, width) for line in lines]


def _cut(line: str, font: _Font, width: int) -> str:
    """Shorten a line to ``width`` pixels, an ellipsis where something was cut off."""
    if font.getlength(line) <= width:
        return line
    shown = 0
    beyond = len(line)
    while beyond - shown > 1:
        middle = (shown + beyond) // 2
        if font.getlength(line[:middle].rstrip() + "…") <= width:
            shown = middle
        else:
            beyond = middle
    return line[:shown].rstrip() + "…"
