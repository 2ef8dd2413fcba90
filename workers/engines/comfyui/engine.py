"""The engine that has a ComfyUI server make its batches, each as one execution of one graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import structlog

from domain.images.metadata import GenerationMetadata
from workers.engines.comfyui.abilities import Machine, ModelFiles, abilities_of, machine_of
from workers.engines.comfyui.client import ComfyUIClient
from workers.engines.comfyui.execution import (
    SILENCE_SECONDS,
    Execution,
    mark_of,
    new_execution,
    stop_orphans,
)
from workers.engines.comfyui.extra_networks import fetch_loras, find_embeddings
from workers.engines.comfyui.graph.drawing import FOLDER, Drawing, Ingredients, draw, file_prefix
from workers.engines.comfyui.graph.installed import InstalledNodes
from workers.engines.comfyui.graph.latents import SourceFiles
from workers.engines.comfyui.graph.models import can_load
from workers.engines.comfyui.graph.sampling import NOISE_NODE, NOISY_SAMPLERS, SAMPLERS
from workers.engines.comfyui.images import images_of, prepare
from workers.engines.protocol import (
    Abilities,
    Batch,
    BatchResult,
    EngineAway,
    EngineFailed,
    Progress,
)
from workers.models.checkpoints import CheckpointFile
from workers.models.lora_versions import LoraSource

_log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 60.0
"""How long what is installed is believed; new models show up after that."""


@dataclass(frozen=True, slots=True)
class _Server:
    """What was found out about the server, and when."""

    installed: InstalledNodes
    abilities: Abilities
    machine: Machine
    seen_at: float


class ComfyUIEngine:
    """Runs batches on one ComfyUI. Everything that can go wrong there fails the batch only.

    The noise of an image is a function of the seed and its index, so that it can be made again by
    itself, but for the samplers named in :mod:`workers.engines.comfyui.graph.sampling`.
    """

    def __init__(
        self,
        url: str,
        models: ModelFiles,
        *,
        loras: LoraSource | None = None,
        folder: Path | None = None,
        owner: str | None = None,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        """Use the ComfyUI at this address; it need not run yet.

        :param url: such as ``http://127.0.0.1:8188``.
        :param models: the models on its disk.
        :param loras: where its LoRAs come from; None to serve requests without LoRAs only.
        :param folder: its base folder where this process can write there: what a batch leaves
            behind is deleted then. Saved images hold the prompt.
        :param owner: what no other worker on this ComfyUI is called; what an earlier process of the
            same name left in the queue is stopped. None: nothing is known of earlier ones.
        :param silence_seconds: how long a running batch may show no sign of life.
        """
        self._client = ComfyUIClient(url)
        self._models = models
        self._loras = loras
        self._folder = folder
        self._mark = "" if owner is None else mark_of(owner)
        # Abilities are asked for in another thread, too, while a batch is under way.
        self._under_way = False
        self._starting = Lock()
        self._silence_seconds = silence_seconds
        self._server: _Server | None = None
        self._loaded_model: str | None = None

    @property
    def name(self) -> str:
        """What operators call this kind of engine."""
        return "comfyui"

    @property
    def loaded_model(self) -> str | None:
        """The model of the last batch, which ComfyUI keeps in memory."""
        return self._loaded_model

    def abilities(self) -> Abilities:
        """Return what it can serve now; what is installed is looked at once a minute.

        :raises EngineAway: when it does not answer.
        """
        server = self._server
        if server is not None and time.monotonic() - server.seen_at < _LOOK_AGAIN_SECONDS:
            try:
                self._client.running()
            except EngineFailed:
                self._lost()
                raise
            return server.abilities
        return self._look().abilities

    def generate(self, batch: Batch, on_progress: Callable[[Progress], None]) -> BatchResult:
        """Make the batch in one execution.

        :raises OutOfMemory: when ComfyUI's device is too small for it.
        :raises EngineAway: when ComfyUI is gone, or was started again meanwhile.
        :raises EngineFailed: when it cannot be made; the message holds no prompt.
        """
        try:
            made = self._generate(batch, on_progress)
        except EngineAway:
            self._lost()
            raise
        self._loaded_model = batch.model
        return made

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _generate(self, batch: Batch, on_progress: Callable[[Progress], None]) -> BatchResult:
        server = self._server or self._look()
        file = self._file_of(batch, server.installed)
        _check(batch, server)
        execution = new_execution(self._mark)
        metadata: list[GenerationMetadata] = []
        with self._starting:
            self._under_way = True
        try:
            ingredients = Ingredients(
                file=file,
                installed=server.installed,
                execution=execution,
                source=self._upload(batch, execution),
                loras=fetch_loras(
                    batch.settings.loras,
                    self._loras,
                    metadata,
                    lambda _done, _total: on_progress(Progress(0, batch.settings.steps)),
                ),
                embeddings=find_embeddings(
                    batch.settings.tis, server.installed.embeddings, metadata
                ),
            )
            drawing = _draw(batch, ingredients)
            run = Execution(self._client, drawing, execution, silence_seconds=self._silence_seconds)
            files = run.run(len(batch.indices_run), on_progress)
        finally:
            self._under_way = False
            self._clean(execution)
        return BatchResult(
            images=images_of(batch, files),
            engine=_engine_name(batch, server),
            device=server.machine.device,
            model_sha256=file.sha256,
            loras=tuple(found.identity for _, found in ingredients.loras),
            metadata=tuple(metadata),
        )

    def _look(self) -> _Server:
        try:
            if self._server is None:
                self._stop_orphans()
            installed = InstalledNodes(
                self._client.object_info(), frozenset(self._client.embeddings())
            )
            machine = machine_of(self._client.system_stats(), self._client.host)
        except EngineFailed:
            self._lost()
            raise
        abilities = abilities_of(installed, self._models, loads_loras=self._loras is not None)
        if self._server is None and not installed.has(NOISE_NODE):
            _log.warning("Hoard's node is not in ComfyUI: no image is made again", node=NOISE_NODE)
        self._server = _Server(installed, abilities, machine, time.monotonic())
        return self._server

    def _stop_orphans(self) -> None:
        with self._starting:
            if self._mark and not self._under_way:
                stop_orphans(self._client, self._mark)

    def _lost(self) -> None:
        """Forget what was known of a server that may come back as another."""
        self._server = None
        self._loaded_model = None

    def _file_of(self, batch: Batch, installed: InstalledNodes) -> CheckpointFile:
        file = self._models.file_of(batch.model)
        if file is None or not can_load(file, installed):
            raise EngineFailed("ComfyUI does not have the model")
        return file

    def _upload(self, batch: Batch, execution: str) -> SourceFiles | None:
        if batch.source is None:
            return None
        settings = batch.settings
        prepared = prepare(batch.source, width=settings.width, height=settings.height)
        if prepared is None:
            return None
        beginning = file_prefix(execution)
        image = self._client.upload(f"{beginning}-source.png", prepared.image)
        if prepared.mask is None:
            return SourceFiles(image)
        return SourceFiles(image, self._client.upload(f"{beginning}-mask.png", prepared.mask))

    def _clean(self, execution: str) -> None:
        """Delete what an execution left in ComfyUI's folders."""
        if self._folder is None:
            return
        for folder in (self._folder / "output" / FOLDER, self._folder / "temp"):
            for path in folder.glob(f"{file_prefix(execution)}[_-]*"):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    _log.warning("a file stays behind", why=type(error).__name__)


def _check(batch: Batch, server: _Server) -> None:
    """Refuse settings for which no graph can be built.

    :raises EngineFailed: saying what.
    """
    settings = batch.settings
    if settings.sampler not in SAMPLERS:
        raise EngineFailed("the sampler is unknown")
    if settings.transparent or settings.workflow is not None:
        raise EngineFailed("ComfyUI's graphs draw neither transparency nor workflows")
    if batch.source is not None and batch.source.extra:
        raise EngineFailed("ComfyUI's graphs take one source image")
    own_node = server.installed.has(NOISE_NODE)
    if _is_apart(batch) and settings.sampler in NOISY_SAMPLERS and not own_node:
        raise EngineFailed(
            "without Hoard's node in ComfyUI this sampler's images are only made again exactly"
        )


def _is_apart(batch: Batch) -> bool:
    """Whether it is made without images that come before it in its batch."""
    return batch.indices_run != tuple(range(batch.size))


def _draw(batch: Batch, ingredients: Ingredients) -> Drawing:
    try:
        return draw(batch, ingredients)
    except ValueError as error:
        raise EngineFailed(str(error)) from error


def _engine_name(batch: Batch, server: _Server) -> str:
    """Name the engine; where it decides about the noise, the node as well."""
    own = batch.settings.sampler in NOISY_SAMPLERS and server.installed.has(NOISE_NODE)
    return f"{server.machine.engine}, noise per image" if own else server.machine.engine
