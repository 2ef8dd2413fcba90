from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from domain.models.catalogue import Baseline
from tests.unit.workers.comfyui.comfyui_batches import checkpoint, installed
from tests.unit.workers.comfyui.test_extras import FACES, TILING, controlnets
from workers.engines.comfyui.abilities import Machine, abilities_of, machine_of
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.comfyui.graph.sampling import NOISE_NODE
from workers.engines.protocol import Abilities
from workers.models.checkpoints import CheckpointFile, CheckpointKind

ALL_CONTROLNETS = ("canny", "depth", "hed", "mlsd", "normal", "openpose", "scribble", "seg")


@dataclass
class Models:
    files: Mapping[str, CheckpointFile | None]

    def names(self) -> Collection[str]:
        return tuple(self.files)

    def file_of(self, model: str) -> CheckpointFile | None:
        return self.files[model]


def able(
    within: InstalledNodes | None = None,
    file: CheckpointFile | None = None,
    *,
    loads_loras: bool = True,
) -> Abilities:
    files = {"one": file or checkpoint()}
    return abilities_of(within or installed(), Models(files), loads_loras=loads_loras)


def test_what_comes_with_comfyui_and_hoards_node() -> None:
    found = able()
    assert found == Abilities(
        models=("one",),
        img2img=True,
        painting=True,
        lora=True,
        features=("clip_skip", "hires_fix", "lora_versions", "replication"),
    )


def test_only_families_that_graphs_are_built_for_are_offered() -> None:
    files: dict[str, CheckpointFile | None] = {
        family.value: checkpoint(family) for family in Baseline
    }
    files["unverified"] = None
    found = abilities_of(installed(), Models(files), loads_loras=True)
    assert set(found.models) == {
        Baseline.SD_1,
        Baseline.SD_2,
        Baseline.SD_2_512,
        Baseline.SDXL,
        Baseline.FLUX,
    }
    assert list(found.models) == sorted(found.models)
    assert "flux" in found.features


def test_a_file_that_comfyui_does_not_list_is_not_offered() -> None:
    file = replace(checkpoint(), name="another.safetensors")
    assert able(file=file).models == ()
    assert able(installed(files={"ckpt_name": file.name}), file).models == ("one",)


def test_a_denoiser_alone_is_offered_with_all_that_belongs_to_it() -> None:
    file = checkpoint(Baseline.FLUX, CheckpointKind.DIFFUSION_MODEL)
    files = {
        "unet_name": "anything.safetensors",
        "clip_name1": "t5xxl_fp16.safetensors",
        "clip_name2": "clip_l.safetensors",
        "vae_name": "ae.safetensors",
    }
    assert able(installed(files=files), file).models == ("one",)
    for missing in files:
        left = {name: value for name, value in files.items() if name != missing}
        assert able(installed(files=left), file).models == (), missing


@pytest.mark.parametrize(
    ("nodes", "features"),
    [
        (TILING, {"tiling"}),
        (FACES, {"GFPGAN", "CodeFormers"}),
        (controlnets(*ALL_CONTROLNETS), {"image_is_control", "return_control_map"}),
    ],
)
def test_features_are_declared_when_their_nodes_are_there(
    nodes: dict[str, Any], features: set[str]
) -> None:
    assert features.isdisjoint(able().features)
    assert features <= set(able(installed(nodes)).features)


def test_post_processing_needs_a_post_processor() -> None:
    assert not able().post_processing
    assert able(installed(FACES)).post_processing


def test_controlnet_means_every_control_type() -> None:
    assert able(installed(controlnets(*ALL_CONTROLNETS))).controlnet
    for missing in ALL_CONTROLNETS:
        left = [word for word in ALL_CONTROLNETS if word != missing]
        assert not able(installed(controlnets(*left))).controlnet, missing


def test_controlnets_of_sdxl_are_told_apart() -> None:
    found = able(installed(controlnets(*(f"{word}_sdxl" for word in ALL_CONTROLNETS))))
    assert (found.controlnet, found.sdxl_controlnet) == (False, True)


def test_textual_inversions_need_files() -> None:
    assert "textual_inversion" not in able().features
    found = able(installed(embeddings=frozenset({"glow"})))
    assert "textual_inversion" in found.features


def test_without_a_store_there_are_no_loras() -> None:
    found = able(installed(embeddings=frozenset({"glow"})), loads_loras=False)
    assert not found.lora
    assert {"lora_versions", "textual_inversion"}.isdisjoint(found.features)


def test_replication_needs_hoards_own_node() -> None:
    stock = dict(installed().nodes)
    del stock[NOISE_NODE]
    assert "replication" not in able(InstalledNodes(stock)).features


@pytest.mark.parametrize(
    ("devices", "host", "device"),
    [
        (
            [{"type": "cuda", "name": "cuda:0 NVIDIA H100 80GB HBM3 : cudaMallocAsync"}],
            "gpu.example",
            "cuda NVIDIA H100 80GB HBM3",
        ),
        ([{"type": "mps", "name": "mps"}], "localhost", "mps mps"),
        ([{"type": "cpu", "name": "cpu"}], "gpu.example", "cpu"),
        ([], "localhost", "unknown"),
    ],
)
def test_devices(devices: list[dict[str, str]], host: str, device: str) -> None:
    assert machine_of({"devices": devices}, host).device == device


def test_a_cpu_of_this_machine_is_told_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    stats = {
        "system": {"comfyui_version": "0.3.75", "pytorch_version": "2.13.0"},
        "devices": [{"type": "cpu", "name": "cpu"}],
    }
    assert machine_of(stats, "127.0.0.1") == Machine("ComfyUI 0.3.75, torch 2.13.0", "cpu riscv64")
