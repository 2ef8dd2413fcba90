from __future__ import annotations

from typing import Any

import pytest

from domain.images import sampling as domain_sampling
from domain.models.catalogue import Baseline
from domain.models.loras import InjectionTarget, Lora, TextualInversion
from tests.unit.workers.comfyui.comfyui_batches import (
    EXECUTION,
    batch,
    checkpoint,
    ingredients,
    installed,
    lora_file,
    object_info,
)
from workers.engines.comfyui.graph.drawing import Drawing, draw
from workers.engines.comfyui.graph.latents import SourceFiles
from workers.engines.comfyui.graph.nodes import Graph, Output
from workers.engines.comfyui.graph.sampling import NOISE_NODE, NOISY_SAMPLERS, SAMPLERS
from workers.models.checkpoints import CheckpointKind

SOURCE = SourceFiles("source.png [temp]")
MASKED = SourceFiles("source.png [temp]", "mask.png [temp]")


def nodes(drawing: Drawing, kind: str) -> list[dict[str, Any]]:
    """The inputs of the nodes of one class, in the order in which they were added."""
    return [dict(node.inputs) for node in drawing.graph.of_kind(kind).values()]


def only(drawing: Drawing, kind: str) -> dict[str, Any]:
    (inputs,) = nodes(drawing, kind)
    return inputs


def feeding(drawing: Drawing, value: Output) -> str:
    """The class of the node that an input comes from."""
    return drawing.graph.kind_of(value.node)


def test_a_graph_is_what_the_api_takes() -> None:
    graph = Graph()
    first = graph.add("Loader", name="file")
    graph.add("Other", fed=Output(first.node, 2), strength=0.5)
    assert graph.as_prompt() == {
        "1": {"class_type": "Loader", "inputs": {"name": "file"}},
        "2": {"class_type": "Other", "inputs": {"fed": ["1", 2], "strength": 0.5}},
    }


def test_a_node_is_fed_by_earlier_ones_only() -> None:
    with pytest.raises(ValueError, match=r"Other\.fed"):
        Graph().add("Other", fed=Output("9"))


@pytest.mark.parametrize(
    ("more", "source"),
    [
        ({}, None),
        ({"sampler": "lcm", "steps": 4}, None),
        ({"denoising_strength": 0.5}, SOURCE),
        ({}, MASKED),
        ({"sampler": "k_euler_a", "tiling": False}, MASKED),
    ],
)
def test_every_node_and_input_exists_in_a_real_comfyui(
    more: dict[str, Any], source: SourceFiles | None
) -> None:
    drawing = draw(batch(8, **more), ingredients(source=source))
    real = object_info()
    for node in drawing.graph.as_prompt().values():
        declared = real[str(node["class_type"])]["input"]
        inputs = node["inputs"]
        assert isinstance(inputs, dict)
        assert set(declared["required"]) <= set(inputs)
        assert set(inputs) <= {
            *declared["required"],
            *declared.get("optional", ()),
            "hoard_execution",
        }


def test_a_batch_is_sampled_and_saved_as_one() -> None:
    drawing = draw(batch(8), ingredients())
    sampler = only(drawing, "KSampler")
    assert only(drawing, "EmptyLatentImage") == {"width": 512, "height": 768, "batch_size": 8}
    assert feeding(drawing, sampler["latent_image"]) == "EmptyLatentImage"
    assert (sampler["seed"], sampler["steps"], sampler["cfg"]) == (42, 20, 6.5)
    assert (sampler["sampler_name"], sampler["scheduler"]) == ("euler", "karras")
    assert sampler["denoise"] == 1.0
    assert only(drawing, "SaveImage")["filename_prefix"] == f"hoard/hoard-{EXECUTION}"
    assert drawing.graph.kind_of(drawing.output) == "SaveImage"
    assert drawing.steps == 20


def test_what_is_sampled_and_saved_differs_in_each_execution() -> None:
    drawing = draw(batch(), ingredients())
    assert only(drawing, "KSampler")["hoard_execution"] == EXECUTION


def test_one_image_alone_keeps_the_noise_of_its_place() -> None:
    drawing = draw(batch(indices=(5,)), ingredients())
    assert only(drawing, "EmptyLatentImage")["batch_size"] == 6
    taken = only(drawing, "LatentFromBatch")
    assert (taken["batch_index"], taken["length"]) == (5, 1)
    assert feeding(drawing, only(drawing, "KSampler")["latent_image"]) == "LatentFromBatch"


def test_places_with_gaps_are_joined() -> None:
    drawing = draw(batch(indices=(1, 4)), ingredients())
    assert [each["batch_index"] for each in nodes(drawing, "LatentFromBatch")] == [1, 4]
    assert feeding(drawing, only(drawing, "KSampler")["latent_image"]) == "LatentBatch"


def test_made_again_exactly_the_whole_batch_runs() -> None:
    drawing = draw(batch(indices=(5,), size=8), ingredients())
    assert only(drawing, "EmptyLatentImage")["batch_size"] == 8
    assert nodes(drawing, "LatentFromBatch") == []


def test_every_sampler_of_the_api_has_one_of_comfyui() -> None:
    known = object_info()["KSampler"]["input"]["required"]["sampler_name"][0]
    assert set(SAMPLERS) == domain_sampling.SAMPLERS
    assert set(SAMPLERS.values()) <= set(known)
    assert set(SAMPLERS) >= NOISY_SAMPLERS


@pytest.mark.parametrize(
    ("sampler", "karras", "family", "scheduler"),
    [
        ("k_euler", True, Baseline.SD_1, "karras"),
        ("k_euler", False, Baseline.SD_1, "normal"),
        ("DDIM", False, Baseline.SDXL, "normal"),
        ("lcm", True, Baseline.SD_1, "sgm_uniform"),
        ("k_euler", True, Baseline.FLUX, "simple"),
    ],
)
def test_schedulers(sampler: str, karras: bool, family: Baseline, scheduler: str) -> None:
    drawing = draw(batch(sampler=sampler, karras=karras), ingredients(family))
    chosen = only(drawing, "KSampler")["scheduler"]
    assert chosen == scheduler
    assert chosen in object_info()["KSampler"]["input"]["required"]["scheduler"][0]


def test_an_adaptive_sampler_runs_the_steps_that_it_is_priced_at() -> None:
    drawing = draw(batch(sampler="k_dpm_adaptive", steps=7), ingredients())
    sampler = only(drawing, "KSampler")
    assert (sampler["sampler_name"], sampler["steps"], drawing.steps) == ("dpm_fast", 40, 40)


def test_only_samplers_that_draw_noise_get_it_for_each_image() -> None:
    with_node = {name: draw(batch(sampler=name), ingredients()) for name in SAMPLERS}
    assert {name for name, made in with_node.items() if nodes(made, NOISE_NODE)} == NOISY_SAMPLERS
    noise = only(draw(batch(indices=(5,), sampler="lcm"), ingredients()), NOISE_NODE)
    assert (noise["seed"], noise["places"]) == (42, "5")


def test_without_the_node_samplers_run_as_they_are() -> None:
    stock = {kind: node for kind, node in object_info().items() if kind != NOISE_NODE}
    drawing = draw(batch(sampler="k_euler_a"), ingredients(within=type(installed())(stock)))
    assert nodes(drawing, NOISE_NODE) == []
    assert only(drawing, "KSampler")["sampler_name"] == "euler_ancestral"


def test_a_source_image_is_encoded_once_and_repeated() -> None:
    drawing = draw(batch(5, denoising_strength=0.4), ingredients(source=SOURCE))
    assert only(drawing, "LoadImage") == {"image": "source.png [temp]"}
    assert len(nodes(drawing, "VAEEncode")) == 1
    assert only(drawing, "RepeatLatentBatch")["amount"] == 5
    assert only(drawing, "KSampler")["denoise"] == 0.4
    assert nodes(drawing, "ImageCompositeMasked") == []


def test_one_image_of_a_source_keeps_the_noise_of_its_place() -> None:
    drawing = draw(batch(indices=(2,)), ingredients(source=MASKED))
    assert only(drawing, "RepeatLatentBatch")["amount"] == 3
    assert only(drawing, "LatentFromBatch")["batch_index"] == 2


def test_what_a_mask_covers_is_blanked_out_when_nothing_of_it_shall_be_left() -> None:
    drawing = draw(batch(), ingredients(source=MASKED))
    assert only(drawing, "KSampler")["denoise"] == 1.0
    assert feeding(drawing, only(drawing, "VAEEncodeForInpaint")["mask"]) == "LoadImageMask"
    assert nodes(drawing, "SetLatentNoiseMask") == []


def test_what_a_mask_covers_stays_underneath_when_some_of_it_shall_be_left() -> None:
    drawing = draw(batch(denoising_strength=0.6), ingredients(source=MASKED))
    assert only(drawing, "KSampler")["denoise"] == 0.6
    assert feeding(drawing, only(drawing, "SetLatentNoiseMask")["samples"]) == "VAEEncode"


def test_what_a_mask_leaves_out_is_the_source_itself() -> None:
    drawing = draw(batch(), ingredients(source=MASKED))
    laid = only(drawing, "ImageCompositeMasked")
    assert feeding(drawing, laid["destination"]) == "VAEDecode"
    assert feeding(drawing, laid["source"]) == "LoadImage"
    assert feeding(drawing, laid["mask"]) == "InvertMask"
    assert feeding(drawing, only(drawing, "SaveImage")["images"]) == "ImageCompositeMasked"


def test_loras_lie_over_each_other_with_their_strengths() -> None:
    loras = (
        (Lora("1", model=0.8, clip=0.4), lora_file("first.safetensors")),
        (Lora("2", model=-1.0, clip=0.0), lora_file("second.safetensors")),
    )
    drawing = draw(batch(), ingredients(loras=loras))
    first, second = nodes(drawing, "LoraLoader")
    assert (first["lora_name"], first["strength_model"], first["strength_clip"]) == (
        "first.safetensors",
        0.8,
        0.4,
    )
    assert (second["lora_name"], second["strength_model"]) == ("second.safetensors", -1.0)
    assert feeding(drawing, second["model"]) == feeding(drawing, second["clip"]) == "LoraLoader"
    assert second["clip"].slot == 1
    assert feeding(drawing, only(drawing, "KSampler")["model"]) == "LoraLoader"
    assert feeding(drawing, nodes(drawing, "CLIPTextEncode")[0]["clip"]) == "LoraLoader"


@pytest.mark.parametrize(
    ("wanted", "prompt"),
    [
        (None, "a lighthouse"),
        ("any", "a lighthouse, ohwx woman"),
        ("sks dog", "a lighthouse, sks dog"),
        ("SKS", "a lighthouse, sks dog"),
        ("nothing like it", "a lighthouse"),
    ],
)
def test_triggers_are_put_into_the_prompt(wanted: str | None, prompt: str) -> None:
    file = lora_file("a.safetensors", "ohwx woman", "sks dog")
    loras = ((Lora("1", inject_trigger=wanted), file),)
    positive, negative = nodes(draw(batch(), ingredients(loras=loras)), "CLIPTextEncode")
    assert (positive["text"], negative["text"]) == (prompt, "fog")


def test_textual_inversions_go_where_they_are_asked_for() -> None:
    tis = (
        (TextualInversion("easy", InjectionTarget.NEGATIVE_PROMPT, 0.8), "easy"),
        (TextualInversion("glow", InjectionTarget.PROMPT), "glow"),
        (TextualInversion("written", None), "written"),
    )
    positive, negative = nodes(draw(batch(), ingredients(embeddings=tis)), "CLIPTextEncode")
    assert positive["text"] == "a lighthouse, (embedding:glow:1)"
    assert negative["text"] == "fog, (embedding:easy:0.8)"


def test_clip_skip_counts_from_the_last_layer() -> None:
    drawing = draw(batch(clip_skip=2), ingredients())
    assert only(drawing, "CLIPSetLastLayer")["stop_at_clip_layer"] == -2
    assert feeding(drawing, nodes(drawing, "CLIPTextEncode")[1]["clip"]) == "CLIPSetLastLayer"
    assert nodes(draw(batch(clip_skip=1), ingredients()), "CLIPSetLastLayer") == []


def test_hires_fix_draws_a_native_size_first() -> None:
    drawing = draw(
        batch(width=1024, height=1024, hires_fix=True, hires_fix_denoising_strength=0.5),
        ingredients(),
    )
    assert only(drawing, "EmptyLatentImage")["width"] == 512
    larger = only(drawing, "LatentUpscale")
    assert (larger["width"], larger["height"]) == (1024, 1024)
    first, second = nodes(drawing, "KSampler")
    assert (first["steps"], first["denoise"]) == (20, 1.0)
    assert (second["steps"], second["denoise"]) == (10, 0.5)
    assert feeding(drawing, second["latent_image"]) == "LatentUpscale"
    assert drawing.steps == 30


@pytest.mark.parametrize(
    ("family", "width", "height", "runs"),
    [
        (Baseline.SD_1, 512, 768, 1),
        (Baseline.SD_1, 768, 1152, 2),
        (Baseline.SDXL, 1024, 1024, 1),
        (Baseline.SDXL, 1536, 1536, 2),
    ],
)
def test_hires_fix_is_for_larger_images_only(
    family: Baseline, width: int, height: int, runs: int
) -> None:
    drawing = draw(batch(width=width, height=height, hires_fix=True), ingredients(family))
    assert len(drawing.passes) == runs


def test_flux_is_told_its_guidance() -> None:
    drawing = draw(batch(cfg_scale=3.5), ingredients(Baseline.FLUX))
    assert only(drawing, "FluxGuidance")["guidance"] == 3.5
    sampler = only(drawing, "KSampler")
    assert sampler["cfg"] == 1.0
    assert feeding(drawing, sampler["positive"]) == "FluxGuidance"
    assert only(drawing, "EmptySD3LatentImage")["batch_size"] == 4


def test_a_denoiser_alone_gets_its_encoders_and_its_vae() -> None:
    within = installed(
        files={
            "unet_name": "anything.safetensors",
            "clip_name1": "t5xxl_fp8.safetensors",
            "clip_name2": "clip_l.safetensors",
            "vae_name": "ae.safetensors",
        }
    )
    file = checkpoint(Baseline.FLUX, CheckpointKind.DIFFUSION_MODEL)
    drawing = draw(batch(), ingredients(within=within, file=file))
    assert only(drawing, "UNETLoader")["unet_name"] == "anything.safetensors"
    clip = only(drawing, "DualCLIPLoader")
    assert (clip["clip_name1"], clip["clip_name2"]) == (
        "t5xxl_fp8.safetensors",
        "clip_l.safetensors",
    )
    assert feeding(drawing, only(drawing, "VAEDecode")["vae"]) == "VAELoader"
