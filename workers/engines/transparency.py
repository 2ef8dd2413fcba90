"""What engines that know no transparency make of it in a source image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY = (128, 128, 128, 255)


def over_grey(picture: Image) -> Image:
    """Lay an RGBA picture over middle grey: nothing shines through from under what is transparent,
    and nothing pulls the new image towards light or dark. Returns RGB."""
    from PIL import Image

    ground = Image.new("RGBA", picture.size, _GREY)
    return Image.alpha_composite(ground, picture).convert("RGB")
