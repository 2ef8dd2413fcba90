"""Graphs for families whose real weights are too large for a test: a real ComfyUI takes them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass

import pytest

from domain.images.source_images import SourceProcessing
from domain.models.catalogue import Baseline
from tests.comfyui.batches import STEPS, a_batch, pictures_of, unheard
from tests.comfyui.checkpoint import NAME
from tests.comfyui.pictures import are_all_different, png, tiles
from tests.comfyui.server import ComfyUIServer
from workers.engines.comfyui.engine import ComfyUIEngine
from workers.engines.protocol import EngineFailed, Source
from workers.models.checkpoints import CheckpointFile, CheckpointKind

GREEN = [[(40, 160, 60)] * 8] * 8
RIGHT_HALF = [[(0, 0, 0)] * 4 + [(255, 255, 255)] * 4] * 8
FLUX_PARTS = {
    "diffusion_models": "flux-dev",
    "text_encoders": "t5xxl_fp16",
    "clip": "clip_l",
    "vae": "ae",
}


@dataclass(frozen=True, slots=True)
class Said:
    """The models on disk, with one of which something is said that its file does not hold."""

    file: CheckpointFile

    def names(self) -> Collection[str]:
        return (NAME,)

    def file_of(self, model: str) -> CheckpointFile | None:
        return self.file if model == NAME else None


def said(comfyui: ComfyUIServer, folder: str, name: str, family: Baseline) -> Said:
    (path,) = comfyui.models(folder).glob(f"{name}.*")
    kind = CheckpointKind.CHECKPOINT if folder == "checkpoints" else CheckpointKind.DIFFUSION_MODEL
    return Said(CheckpointFile(path.name, kind, path, "0" * 64, family))


@pytest.mark.parametrize("family", [Baseline.SDXL, Baseline.SD_2])
def test_graphs_of_checkpoints_run_whatever_the_family(
    comfyui: ComfyUIServer, family: Baseline
) -> None:
    models = said(comfyui, "checkpoints", NAME, family)
    with closing(ComfyUIEngine(comfyui.url, models)) as engine:
        made = engine.generate(a_batch(2, clip_skip=2), unheard)

    assert comfyui.passes() == [2] * STEPS
    assert are_all_different(pictures_of(made))


@pytest.mark.parametrize(
    "processing", [None, SourceProcessing.IMG2IMG, SourceProcessing.INPAINTING]
)
def test_a_flux_graph_is_accepted_and_fails_only_at_its_empty_files(
    comfyui: ComfyUIServer, processing: SourceProcessing | None
) -> None:
    for folder, name in FLUX_PARTS.items():
        comfyui.models(folder).mkdir(parents=True, exist_ok=True)
        (comfyui.models(folder) / f"{name}.safetensors").touch()
    source = None
    if processing is not None:
        mask = png(tiles(RIGHT_HALF)) if processing is SourceProcessing.INPAINTING else None
        source = Source(processing, png(tiles(GREEN)), mask)
    models = said(comfyui, "diffusion_models", FLUX_PARTS["diffusion_models"], Baseline.FLUX)
    batch = a_batch(2, sampler="k_euler", cfg_scale=3.5, source=source)
    with closing(ComfyUIEngine(comfyui.url, models)) as engine:
        assert NAME in engine.abilities().models
        with pytest.raises(EngineFailed, match=r"^ComfyUI's (UNET|DualCLIP|VAE)Loader failed with"):
            engine.generate(batch, unheard)
