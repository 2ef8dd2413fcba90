"""A whole batch as one graph: each piece is added once, whatever the number of images."""

from __future__ import annotations

from dataclasses import dataclass

from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline
from domain.models.loras import Lora, TextualInversion, trigger_of, with_triggers
from workers.engines.comfyui.graph.controlnet import control_map, with_control
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.comfyui.graph.latents import (
    SourceFiles,
    SourceNodes,
    empty_latent,
    load_source,
    source_latent,
)
from workers.engines.comfyui.graph.models import (
    ModelOutputs,
    decode_tiling,
    load_model,
    with_loras,
    with_tiling,
)
from workers.engines.comfyui.graph.nodes import Graph, Output
from workers.engines.comfyui.graph.post_processing import post_process
from workers.engines.comfyui.graph.prompts import Prompts, encode, with_clip_skip, with_embeddings
from workers.engines.comfyui.graph.sampling import (
    NOISE_NODE,
    NOISY_SAMPLERS,
    Guidance,
    Pass,
    draw_again,
    first_size,
    sample,
    schedule_of,
    steps_of,
    with_noise_per_image,
)
from workers.engines.protocol import Batch
from workers.models.checkpoints import CheckpointFile
from workers.models.lora_versions import LoraFile

USUAL_DENOISE = 0.75
"""How much of a source image is drawn anew unless the settings say otherwise."""

PAINTING_DENOISE = 1.0
"""The same for the masked part of one."""

FOLDER = "hoard"
"""The folder among ComfyUI's outputs that they go to."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What a batch is drawn with, beside its settings."""

    file: CheckpointFile
    installed: InstalledNodes
    execution: str
    """An id that no other execution has."""
    source: SourceFiles | None = None
    loras: tuple[tuple[Lora, LoraFile], ...] = ()
    embeddings: tuple[tuple[TextualInversion, str], ...] = ()
    """Textual inversions, each with the name of its file."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph that makes a batch."""

    graph: Graph
    output: str
    """The id of the node that saves the images, in the order of the batch's indices."""
    passes: tuple[Pass, ...]
    """The runs of samplers, in their order."""

    @property
    def steps(self) -> int:
        """The steps of all runs."""
        return sum(each.steps for each in self.passes)


def draw(batch: Batch, ingredients: Ingredients) -> Drawing:
    """Build the graph that makes all images of the batch that go through the model.

    :raises ValueError: when something is not installed that the settings need.
    """
    graph = Graph()
    settings = batch.settings
    source = None if ingredients.source is None else load_source(graph, ingredients.source)
    hint = None
    if settings.control_type is not None and source is not None:
        hint = control_map(
            graph,
            source.pixels,
            settings.control_type,
            ingredients.installed,
            ready=settings.image_is_control,
        )
        if settings.return_control_map:
            maps = graph.add("RepeatImageBatch", image=hint, amount=len(batch.indices_run))
            return _saved(graph, maps, (), ingredients)
    loaded = _load(graph, batch, ingredients)
    guidance = _guidance(graph, batch, loaded, hint, ingredients)
    passes = _sample(graph, batch, loaded, guidance, source if hint is None else None, ingredients)
    images = _decode(graph, settings, loaded, passes[-1].latent, ingredients.installed)
    if source is not None and source.mask is not None:
        images = _composite(graph, images, source.pixels, source.mask)
    images = post_process(graph, images, settings, ingredients.installed)
    return _saved(graph, images, passes, ingredients)


def _saved(
    graph: Graph, images: Output, passes: tuple[Pass, ...], ingredients: Ingredients
) -> Drawing:
    output = save(graph, images, execution=ingredients.execution)
    return Drawing(graph, output.node, passes)


def _load(graph: Graph, batch: Batch, ingredients: Ingredients) -> ModelOutputs:
    loaded = load_model(graph, ingredients.file, ingredients.installed)
    loaded = with_loras(graph, loaded, ingredients.loras)
    model = loaded.model
    if batch.settings.tiling:
        model = with_tiling(graph, model, ingredients.installed)
    if batch.settings.sampler in NOISY_SAMPLERS and ingredients.installed.has(NOISE_NODE):
        model = with_noise_per_image(graph, model, seed=batch.seed, indices=batch.indices_run)
    clip = with_clip_skip(graph, loaded.clip, batch.settings, ingredients.file.baseline)
    return ModelOutputs(model, clip, loaded.vae)


def _guidance(
    graph: Graph, batch: Batch, loaded: ModelOutputs, hint: Output | None, ingredients: Ingredients
) -> Guidance:
    triggers = (
        trigger_of(lora.inject_trigger, file.trigger_words) for lora, file in ingredients.loras
    )
    prompt = with_triggers(batch.prompt, [word for word in triggers if word is not None])
    prompts = Prompts(prompt, batch.negative_prompt)
    prompts = with_embeddings(prompts, ingredients.embeddings)
    positive, negative = encode(graph, loaded.clip, prompts)
    cfg = batch.settings.cfg_scale
    family = ingredients.file.baseline
    if family is Baseline.FLUX:
        # It was distilled with its guidance built in, so the requested guidance is an input of it.
        positive = graph.add("FluxGuidance", conditioning=positive, guidance=cfg)
        cfg = 1.0
    guidance = Guidance(loaded.model, positive, negative, cfg)
    if hint is None or batch.settings.control_type is None:
        return guidance
    return with_control(
        graph, guidance, hint, batch.settings.control_type, family, ingredients.installed
    )


def _sample(
    graph: Graph,
    batch: Batch,
    loaded: ModelOutputs,
    guidance: Guidance,
    source: SourceNodes | None,
    ingredients: Ingredients,
) -> tuple[Pass, ...]:
    settings, indices = batch.settings, batch.indices_run
    family = ingredients.file.baseline
    schedule = schedule_of(
        settings, family=family, seed=batch.seed, execution=ingredients.execution
    )
    if source is not None:
        denoise = _denoise(settings, source)
        latent = source_latent(graph, source, loaded.vae, denoise=denoise, indices=indices)
        return (
            sample(graph, schedule, guidance, latent, steps=steps_of(settings), denoise=denoise),
        )
    full = settings.width, settings.height
    small = first_size(*full, family) if settings.hires_fix else None
    width, height = small or full
    latent = empty_latent(graph, width=width, height=height, family=family, indices=indices)
    first = sample(graph, schedule, guidance, latent, steps=steps_of(settings))
    if small is None:
        return (first,)
    return first, draw_again(graph, schedule, guidance, first.latent, settings)


def _denoise(settings: ImageSettings, source: SourceNodes) -> float:
    usual = USUAL_DENOISE if source.mask is None else PAINTING_DENOISE
    return settings.denoising_strength or usual


def _decode(
    graph: Graph,
    settings: ImageSettings,
    loaded: ModelOutputs,
    latent: Output,
    installed: InstalledNodes,
) -> Output:
    if settings.tiling:
        return decode_tiling(graph, latent, loaded.vae, installed)
    return graph.add("VAEDecode", samples=latent, vae=loaded.vae)


def _composite(graph: Graph, images: Output, source: Output, mask: Output) -> Output:
    """Lay what the mask leaves out over the images: a decoder never gives it back unchanged."""
    return graph.add(
        "ImageCompositeMasked",
        destination=images,
        source=source,
        x=0,
        y=0,
        resize_source=False,
        mask=graph.add("InvertMask", mask=mask),
    )


def file_prefix(execution: str) -> str:
    """Return how the names of an execution's files begin, without a folder."""
    return f"{FOLDER}-{execution}"


def save(graph: Graph, images: Output, *, execution: str) -> Output:
    """Add the node that saves the images; its id is what the history lists them under.

    :param execution: an id that no other execution has.
    """
    prefix = f"{FOLDER}/{file_prefix(execution)}"
    return graph.add("SaveImage", images=images, filename_prefix=prefix)
