from __future__ import annotations

from typing import Any

import pytest

from domain.images.controlnet import CONTROL_TYPES
from domain.models.catalogue import Baseline
from tests.unit.workers.comfyui.comfyui_batches import batch, ingredients, installed, node
from tests.unit.workers.comfyui.test_graphs import SOURCE, feeding, nodes, only
from workers.engines.comfyui.graph.drawing import draw
from workers.engines.comfyui.graph.post_processing import available

PREPROCESSORS = {
    kind: node("image")
    for kind in (
        "CannyEdgePreprocessor",
        "MiDaS-DepthMapPreprocessor",
        "FakeScribblePreprocessor",
        "HEDPreprocessor",
        "M-LSDPreprocessor",
        "MiDaS-NormalMapPreprocessor",
        "OpenposePreprocessor",
        "ScribblePreprocessor",
        "SemSegPreprocessor",
    )
}
CONTROLLED_BY = {
    "canny": ("canny", "CannyEdgePreprocessor"),
    "depth": ("depth", "MiDaS-DepthMapPreprocessor"),
    "fakescribbles": ("scribble", "FakeScribblePreprocessor"),
    "hed": ("hed", "HEDPreprocessor"),
    "hough": ("mlsd", "M-LSDPreprocessor"),
    "normal": ("normal", "MiDaS-NormalMapPreprocessor"),
    "openpose": ("openpose", "OpenposePreprocessor"),
    "scribble": ("scribble", "ScribblePreprocessor"),
    "seg": ("seg", "SemSegPreprocessor"),
}
"""For each control type the word in the name of its ControlNet, and the node that draws its map."""
TILING = {
    "SeamlessTile": node("model", "tiling", "copy_model"),
    "CircularVAEDecode": node("samples", "vae"),
}
FACES = {
    "FaceRestoreModelLoader": {
        "input": {"required": {"model_name": [["GFPGANv1.4.pth", "codeformer-v0.1.0.pth"]]}}
    },
    "FaceRestoreCFWithModel": {
        "input": {
            "required": {
                "facerestore_model": ["FACERESTORE_MODEL"],
                "image": ["IMAGE"],
                "facedetection": [["retinaface_resnet50", "YOLOv5l"]],
                "codeformer_fidelity": ["FLOAT", {"default": 0.5}],
            }
        }
    },
}
STRIP = {"Image Remove Background (rembg)": node("image")}


def controlnets(*words: str) -> dict[str, Any]:
    files = [f"control_{word}.safetensors" for word in words]
    return {
        "ControlNetLoader": {"input": {"required": {"control_net_name": [files]}}},
        **PREPROCESSORS,
    }


def test_tiling_joins_the_edges_of_the_model_and_of_the_decoder() -> None:
    drawing = draw(batch(tiling=True), ingredients(within=installed(TILING)))
    assert only(drawing, "SeamlessTile")["tiling"] == "enable"
    assert set(only(drawing, "CircularVAEDecode")) == {"samples", "vae"}
    assert feeding(drawing, only(drawing, "KSampler")["model"]) == "SeamlessTile"
    assert nodes(drawing, "VAEDecode") == []


def test_post_processors_run_in_the_order_asked_for_but_backgrounds_last() -> None:
    within = installed(FACES | STRIP, {"model_name": "RealESRGAN_x4plus.pth"})
    wanted = ("strip_background", "GFPGAN", "RealESRGAN_x4plus")
    drawing = draw(batch(post_processing=wanted), ingredients(within=within))
    fixed = only(drawing, "FaceRestoreCFWithModel")
    assert feeding(drawing, fixed["image"]) == "VAEDecode"
    assert fixed["facedetection"] == "retinaface_resnet50"
    upscaled = only(drawing, "ImageUpscaleWithModel")
    assert feeding(drawing, upscaled["image"]) == "FaceRestoreCFWithModel"
    stripped = only(drawing, "Image Remove Background (rembg)")
    assert feeding(drawing, stripped["image"]) == "ImageUpscaleWithModel"


def test_face_fixers_are_blended_in_by_their_strength() -> None:
    drawing = draw(
        batch(post_processing=("CodeFormers",), facefixer_strength=0.3),
        ingredients(within=installed(FACES)),
    )
    blended = only(drawing, "ImageBlend")
    assert blended["blend_factor"] == 0.3
    assert feeding(drawing, blended["image1"]) == "VAEDecode"
    assert feeding(drawing, blended["image2"]) == "FaceRestoreCFWithModel"


def test_post_processors_are_those_whose_models_are_there() -> None:
    assert available(installed()) == ()
    within = installed(FACES | STRIP, {"model_name": "upscalers/4x_NMKD-Siax_200k.pth"})
    assert available(within) == ("CodeFormers", "GFPGAN", "NMKD_Siax", "strip_background")


def test_a_similar_name_is_another_upscaler() -> None:
    within = installed(files={"model_name": "RealESRGAN_x4plus_anime_6B.pth"})
    assert available(within) == ("RealESRGAN_x4plus_anime_6B",)


def test_a_post_processor_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="GFPGAN is not installed"):
        draw(batch(post_processing=("GFPGAN",)), ingredients())


def test_a_controlnet_looks_at_the_map_and_noise_starts_the_batch() -> None:
    within = installed(controlnets("openpose"))
    drawing = draw(batch(3, control_type="openpose"), ingredients(within=within, source=SOURCE))
    applied = only(drawing, "ControlNetApplyAdvanced")
    assert feeding(drawing, applied["image"]) == "OpenposePreprocessor"
    assert feeding(drawing, applied["control_net"]) == "ControlNetLoader"
    sampler = only(drawing, "KSampler")
    assert feeding(drawing, sampler["positive"]) == "ControlNetApplyAdvanced"
    assert sampler["negative"].slot == 1
    assert feeding(drawing, sampler["latent_image"]) == "EmptyLatentImage"


def test_an_image_that_is_the_map_is_taken_as_it_is() -> None:
    within = installed(controlnets("depth"))
    drawing = draw(
        batch(control_type="depth", image_is_control=True),
        ingredients(within=within, source=SOURCE),
    )
    assert feeding(drawing, only(drawing, "ControlNetApplyAdvanced")["image"]) == "LoadImage"


def test_the_map_itself_needs_no_model() -> None:
    within = installed(controlnets("canny"))
    drawing = draw(
        batch(3, control_type="canny", return_control_map=True),
        ingredients(within=within, source=SOURCE),
    )
    assert nodes(drawing, "KSampler") == nodes(drawing, "CheckpointLoaderSimple") == []
    assert only(drawing, "RepeatImageBatch")["amount"] == 3
    assert drawing.steps == 0


def test_a_controlnet_of_another_family_is_not_taken() -> None:
    within = installed(controlnets("canny_sdxl"))
    with pytest.raises(ValueError, match="canny"):
        draw(batch(control_type="canny"), ingredients(within=within, source=SOURCE))
    drawing = draw(
        batch(control_type="canny"), ingredients(Baseline.SDXL, within=within, source=SOURCE)
    )
    assert only(drawing, "ControlNetLoader")["control_net_name"].endswith("canny_sdxl.safetensors")


def test_every_control_type_is_known() -> None:
    words = ("canny", "depth", "hed", "mlsd", "normal", "openpose", "scribble", "seg")
    within = installed(controlnets(*words))
    drawn = {}
    for control_type in CONTROL_TYPES:
        drawing = draw(batch(control_type=control_type), ingredients(within=within, source=SOURCE))
        loaded = only(drawing, "ControlNetLoader")["control_net_name"]
        looked = feeding(drawing, only(drawing, "ControlNetApplyAdvanced")["image"])
        drawn[control_type] = (loaded.removeprefix("control_").partition(".")[0], looked)
    assert drawn == CONTROLLED_BY
