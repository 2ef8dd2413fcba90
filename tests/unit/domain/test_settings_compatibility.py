"""What no worker could draw: each rule, its code, and a neighbour that is let through."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from domain.images.compatibility import check_compatibility, traits_of
from domain.images.settings import ImageSettings
from domain.images.source_images import SourceProcessing
from domain.models.catalogue import Baseline, ModelEntry, heaviest
from domain.models.loras import Lora, TextualInversion
from domain.return_codes import Refused

PLAIN = ImageSettings(512, 512, 20, "k_euler", 5.0, True, 1)
IMG2IMG, INPAINTING, REMIX = (
    SourceProcessing.IMG2IMG,
    SourceProcessing.INPAINTING,
    SourceProcessing.REMIX,
)
QR = (("https://example.org", "qr_code"),)


class Catalogue:
    """A model of each family under the family's name, and one for inpainting."""

    def entry(self, name: str) -> ModelEntry | None:
        if name == "inpainting":
            return ModelEntry(name=name, baseline=Baseline.SD_1, requires_source=True)
        return ModelEntry(name=name, baseline=Baseline[name]) if name in self.names() else None

    def names(self) -> Collection[str]:
        return Baseline.__members__


def refusal(
    *models: str,
    source: SourceProcessing | None = None,
    texts: tuple[tuple[str, str], ...] = (),
    **settings: Any,
) -> str | None:
    """Return the code with which a request is refused, None when it is not."""
    try:
        traits = traits_of(models, Catalogue())
        check_compatibility(replace(PLAIN, **settings), models=traits, source=source, texts=texts)
    except Refused as refused:
        return refused.code.name
    return None


CANNY: dict[str, Any] = {"control_type": "canny", "source": IMG2IMG}


@pytest.mark.parametrize(
    ("models", "asked", "code"),
    [
        ((), {}, None),
        (("GFPGAN",), {}, "UnexpectedModelName"),
        (("SD_1", "4xLSDIRplus"), {}, "UnexpectedModelName"),
        ((), {"loras": tuple(Lora(str(one)) for one in range(5))}, None),
        ((), {"loras": tuple(Lora(str(one)) for one in range(6))}, "TooManyLoras"),
        ((), {"loras": (Lora("123", is_version=True),)}, None),
        ((), {"loras": (Lora("a name", is_version=True),)}, "BadLoraVersion"),
        ((), {"tis": tuple(TextualInversion(str(one)) for one in range(20))}, None),
        ((), {"tis": tuple(TextualInversion(str(one)) for one in range(21))}, "TooManyTIs"),
        ((), {"post_processing": ("NMKD_Siax", "GFPGAN", "strip_background")}, None),
        ((), {"post_processing": ("NMKD_Siax", "RealESRGAN_x2plus")}, "TooManyUpscalers"),
        ((), CANNY, None),
        (("SD_1", "SD_2", "SDXL"), CANNY, None),
        ((), {"control_type": "canny"}, "ControlNetSourceMissing"),
        ((), {**CANNY, "source": INPAINTING}, "ControlNetInpaintingMismatch"),
        ((), {**CANNY, "source": SourceProcessing.OUTPAINTING}, "ControlNetInpaintingMismatch"),
        ((), {**CANNY, "image_is_control": True}, None),
        ((), {**CANNY, "return_control_map": True}, None),
        (
            (),
            {**CANNY, "image_is_control": True, "return_control_map": True},
            "ControlNetInvalidPayload",
        ),
        ((), {"source": IMG2IMG, "image_is_control": True}, "ControlNetInvalidPayload"),
        ((), {"source": IMG2IMG, "return_control_map": True}, "ControlNetInvalidPayload"),
        (("SD_2",), {"control_type": "depth", "source": IMG2IMG}, None),
        (("SD_2",), {"control_type": "hough", "source": IMG2IMG}, "ControlNetUnsupported"),
        (("SD_2_512",), {"control_type": "normal", "source": IMG2IMG}, "ControlNetUnsupported"),
        (("inpainting",), CANNY, "ControlNetUnsupported"),
        (("CASCADE",), CANNY, "ControlNetMismatch"),
        (("SD_1", "FLUX"), CANNY, "ControlNetMismatch"),
        ((), {**CANNY, "transparent": True}, "ControlNetMismatch"),
        ((), {**CANNY, "workflow": "qr_code", "texts": QR}, "ControlNetMismatch"),
        ((), {**CANNY, "steps": 40}, None),
        ((), {**CANNY, "steps": 41}, "TooManySteps"),
        ((), {"workflow": "qr_code", "texts": QR}, None),
        (("SD_1", "SDXL"), {"workflow": "qr_code", "texts": QR}, None),
        ((), {"workflow": "qr_code"}, "MissingExtraTexts."),
        ((), {"workflow": "qr_code", "texts": (("a text", "x_offset"),)}, "MissingExtraTexts."),
        ((), {"texts": QR}, "InvalidExtraTexts."),
        (("FLUX",), {"workflow": "qr_code", "texts": QR}, "ControlNetMismatch"),
        ((), {"workflow": "qr_code", "texts": QR, "source": IMG2IMG}, "Img2ImgMismatch"),
        (("inpainting",), {}, "SourceImageRequiredForModel"),
        (("SD_1", "inpainting"), {}, "SourceImageRequiredForModel"),
        (("inpainting",), {"source": INPAINTING}, None),
        ((), {"source": REMIX}, None),
        (("CASCADE",), {"source": REMIX}, None),
        (("CASCADE", "SD_1"), {"source": REMIX}, "InvalidRemix"),
        (("CASCADE",), {"source": IMG2IMG}, None),
        (("CASCADE",), {"source": INPAINTING}, "Img2ImgMismatch"),
        (("SD_1", "SDXL", "CASCADE"), {"hires_fix": True}, None),
        (("FLUX",), {"hires_fix": True}, "HiResMismatch"),
        (("SD_1", "QWEN"), {"hires_fix": True}, "HiResMismatch"),
        (("Z_IMAGE",), {"hires_fix": True}, "HiResMismatch"),
        (("inpainting",), {"hires_fix": True, "source": INPAINTING}, "HiResFixMismatch"),
        (("SD_1", "SD_2", "SDXL"), {"tiling": True}, None),
        (("CASCADE",), {"tiling": True}, "TilingMismatch"),
        (("SDXL", "FLUX"), {"tiling": True}, "TilingMismatch"),
        (("SD_1", "SDXL"), {"transparent": True}, None),
        (("SD_2",), {"transparent": True}, "BadRequest"),
        ((), {"transparent": True, "source": IMG2IMG}, "BadRequest"),
    ],
)
def test_rules(models: tuple[str, ...], asked: dict[str, Any], code: str | None) -> None:
    assert refusal(*models, **asked) == code


def test_the_heaviest_model_decides_on_the_price() -> None:
    catalogue = Catalogue()
    assert heaviest((), catalogue) is Baseline.SD_1
    assert heaviest(("SD_1", "FLUX", "SDXL"), catalogue) is Baseline.FLUX
    assert traits_of(("mine [Qwen]",), catalogue).families == {Baseline.QWEN}
