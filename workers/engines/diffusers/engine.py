"""The engine that makes images with any text-to-image pipeline in diffusers' folder format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from domain.models.loras import with_triggers
from domain.workers.bridges import Feature
from workers.engines.diffusers.devices import (
    find_device,
    free_memory,
    is_out_of_memory,
    make_repeatable,
)
from workers.engines.diffusers.drawing import draw
from workers.engines.diffusers.folders import read_folder, weights_sha256
from workers.engines.diffusers.loras import AppliedLoras, LoadedLoras
from workers.engines.diffusers.passes import StepCounter, plan_passes
from workers.engines.diffusers.pipeline import LoadedPipeline
from workers.engines.diffusers.samplers import SAMPLERS
from workers.engines.diffusers.sources import Canvas, read_canvas
from workers.engines.protocol import (
    Abilities,
    Batch,
    BatchResult,
    EngineFailed,
    EngineImage,
    OutOfMemory,
    Progress,
)
from workers.models.hashes import digest_of
from workers.models.lora_versions import LoraSource


class DiffusersEngine:
    """Runs pipeline folders; a batch goes through the model together, once per step.

    One model is kept loaded; another one replaces it when a batch needs it. On one device the
    same batch gives the same bits. Nothing is ever fetched from a network but by the LoRA store.
    """

    def __init__(
        self,
        models: Mapping[str, Path],
        *,
        device: str | None = None,
        loras: LoraSource | None = None,
        hash_of: Callable[[Path], str] | None = None,
    ) -> None:
        """Look at the folders and load the first model.

        :param models: pipeline folders by the names that requests know the models by, at least one.
        :param device: a torch device such as ``cuda:1``; without it a GPU if there is one, else
            the CPU.
        :param loras: where LoRAs come from; without it no job with LoRAs must be asked of it.
        :param hash_of: gives the SHA-256 of a file, perhaps from memory.
        :raises EngineFailed: when a folder holds no text-to-image pipeline that can be run.
        """
        # These imports take seconds, which only those who run this engine should wait for.
        import diffusers
        import transformers

        # Both libraries log the part of a prompt that is too long, and no log may hold a prompt.
        diffusers.utils.logging.set_verbosity_error()
        transformers.utils.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        if not models:
            raise EngineFailed("no model folder was given")
        make_repeatable()
        self._folders = {name: read_folder(Path(path)) for name, path in models.items()}
        self._device = find_device(device)
        self._loras = loras
        self._hash_of = hash_of or digest_of
        self._digests: dict[str, str] = {}
        self._loaded: tuple[str, LoadedPipeline, LoadedLoras] | None = None
        self._load(next(iter(self._folders)))

    @property
    def name(self) -> str:
        """What operators call this engine."""
        return "diffusers"

    @property
    def loaded_model(self) -> str | None:
        """The model whose weights are on the device."""
        return None if self._loaded is None else self._loaded[0]

    def abilities(self) -> Abilities:
        """What all of its models can do; any of them may be asked for anything of it."""
        folders = self._folders.values()
        img2img = all(folder.can_img2img for folder in folders)
        lora = self._loras is not None and all(folder.can_lora for folder in folders)
        features = {
            Feature.CLIP_SKIP: all(folder.can_skip_layers for folder in folders),
            Feature.FLUX: any(folder.is_flux for folder in folders),
            Feature.HIRES_FIX: img2img,
            Feature.LORA_VERSIONS: lora,
            Feature.REPLICATION: True,
        }
        return Abilities(
            models=tuple(sorted(self._folders)),
            img2img=img2img,
            painting=all(folder.can_paint for folder in folders),
            lora=lora,
            features=tuple(sorted(feature.value for feature, has in features.items() if has)),
        )

    def generate(self, batch: Batch, on_progress: Callable[[Progress], None]) -> BatchResult:
        """Make every image of the batch, in the order of its ids.

        ``on_progress`` is called once per step, from this thread; whatever it raises stops the
        batch and is passed on as it is. An image that starts from another one takes all its steps;
        one with hires fix takes further ones for its second pass.

        :raises OutOfMemory: when the device's memory did not suffice; it is free again.
        :raises EngineFailed: when the batch cannot be made; the message holds no prompt.
        """
        self._check(batch)
        counters: list[StepCounter] = []
        failure: EngineFailed
        try:
            return self._make(batch, on_progress, counters)
        except EngineFailed:
            raise
        except Exception as error:
            if any(error is counter.interruption for counter in counters):
                raise
            # The original error stays out: its text and its frames may hold the prompt.
            failure = _failure_of(error, batch)
        # Only here, with the error and its frames gone, is there something to be freed.
        free_memory()
        raise failure

    def close(self) -> None:
        """Let go of the weights."""
        self._loaded = None
        free_memory()

    def _check(self, batch: Batch) -> None:
        settings = batch.settings
        if batch.model not in self._folders:
            raise EngineFailed("this engine does not serve the model that was asked for")
        if settings.sampler not in SAMPLERS:
            raise EngineFailed("the sampler is unknown")
        folder = self._folders[batch.model]
        has_source = batch.source is not None and batch.source.image is not None
        beyond = {
            "ControlNets": settings.control_type is not None,
            "workflows": settings.workflow is not None,
            "post-processors": bool(settings.post_processing),
            "tiling": settings.tiling,
            "transparent images": settings.transparent,
            "textual inversions": bool(settings.tis),
            "LoRAs with this model": bool(settings.loras) and not folder.can_lora,
            "source images with this model": has_source and not folder.can_img2img,
            "hires fix with this model": settings.hires_fix and not folder.can_img2img,
        }
        if missing := [what for what, is_asked in beyond.items() if is_asked]:
            raise EngineFailed(f"this engine has no {', '.join(missing)}")

    def _make(
        self,
        batch: Batch,
        on_progress: Callable[[Progress], None],
        counters: list[StepCounter],
    ) -> BatchResult:
        canvas = _canvas_of(batch)
        loaded, applied_loras = self._load(batch.model)
        passes = plan_passes(
            batch.settings,
            native_side=loaded.native_side,
            has_source=canvas is not None,
            paints=canvas is not None and canvas.mask is not None,
            rounds_up=loaded.folder.rounds_up,
        )
        counter = StepCounter(sum(nth.steps for nth in passes), on_progress)
        counters.append(counter)
        applied = AppliedLoras()
        if loaded.folder.can_lora:
            applied = applied_loras.apply(
                batch.settings.loras, self._loras, lambda _done, _total: counter.repeat()
            )
        pictures = []
        if batch.indices_run:
            prompted = replace(batch, prompt=with_triggers(batch.prompt, applied.triggers))
            pictures = draw(loaded, prompted, passes, canvas, counter)
        if len(pictures) != len(batch.indices_run):
            raise EngineFailed("the pipeline returned another number of images than asked for")
        at = dict(zip(batch.indices_run, pictures, strict=True))
        return BatchResult(
            images=tuple(
                EngineImage(image_id, index, at[index])
                for image_id, index in zip(batch.image_ids, batch.indices, strict=True)
            ),
            engine=f"diffusers {version('diffusers')}, torch {version('torch')}",
            device=self._device.text,
            model_sha256=self._digest_of(batch.model),
            loras=applied.identities,
            metadata=applied.metadata,
        )

    def _load(self, model: str) -> tuple[LoadedPipeline, LoadedLoras]:
        if self._loaded is None or self._loaded[0] != model:
            self.close()
            loaded = LoadedPipeline(self._folders[model], self._device)
            self._loaded = (model, loaded, LoadedLoras(loaded.text))
        return self._loaded[1:]

    def _digest_of(self, model: str) -> str:
        if model not in self._digests:
            self._digests[model] = weights_sha256(self._folders[model].path, self._hash_of)
        return self._digests[model]


def _canvas_of(batch: Batch) -> Canvas | None:
    if batch.source is None:
        return None
    return read_canvas(batch.source, batch.settings.width, batch.settings.height)


def _failure_of(error: Exception, batch: Batch) -> EngineFailed:
    if is_out_of_memory(error):
        settings = batch.settings
        return OutOfMemory(
            f"out of memory with {len(batch.indices_run)} images of"
            f" {settings.width}x{settings.height} pixels"
        )
    return EngineFailed(f"the pipeline failed: {type(error).__name__}")
