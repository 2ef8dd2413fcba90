"""How a content checker is found."""

from __future__ import annotations

import pytest
from PIL import Image

from domain.jobs.job import ImageState
from workers.inference.safety import InspectorInvalid, load_inspector


class Lenient:
    """A checker as an operator would write one."""

    def inspect(self, picture: Image.Image, *, censor_nsfw: bool) -> ImageState:
        return ImageState.CENSORED if censor_nsfw else ImageState.OK


def nothing() -> object:
    return object()


def test_a_checker_is_made_by_the_factory_that_is_named() -> None:
    inspector = load_inspector(f"{__name__}:Lenient")
    shown = Image.new("RGB", (64, 64))
    assert inspector.inspect(shown, censor_nsfw=True) is ImageState.CENSORED
    assert inspector.inspect(shown, censor_nsfw=False) is ImageState.OK


@pytest.mark.parametrize(
    "name", ["nowhere:factory", f"{__name__}:no", f"{__name__}:nothing", "json:", ":", ""]
)
def test_what_makes_no_checker_is_an_error(name: str) -> None:
    with pytest.raises(InspectorInvalid):
        load_inspector(name)
