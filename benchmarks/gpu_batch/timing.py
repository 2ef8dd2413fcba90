"""Batches through the engine that workers run, and the seconds they take."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID

import torch

from benchmarks.gpu_batch.rows import Job, Row
from workers.engines.diffusers.engine import DiffusersEngine
from workers.engines.protocol import Batch, EngineFailed, OutOfMemory, Progress

_GIB: Final = 2**30
_WARM_UP_STEPS: Final = 2


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float
    images_differ: bool
    """False tells that values left the range of the numbers, which changes what a GPU can do."""


class Bench:
    """An engine with one model, timed from the batch handed over to the pictures in memory.

    So a run is the text encoders, all steps, the decoder and the copy to the CPU, without any file.
    """

    def __init__(self, model: str, folder: Path, device: str) -> None:
        """Load the model.

        :raises EngineFailed: when it cannot be loaded.
        """
        self._model = model
        self._uses_cuda = device.startswith("cuda")
        # Nobody asks which random weights these were, and hashing gigabytes takes its time.
        self._engine = DiffusersEngine({model: folder}, device=device, hash_of=lambda _: "0" * 64)

    def time(self, job: Job, runs: int) -> Row:
        """Measure a batch ``runs`` times, after a short one of its size to warm up.

        Kernels are chosen and memory is taken by size, so each size is warmed up of its own.
        """
        if self._uses_cuda:
            torch.cuda.reset_peak_memory_stats()
        try:
            self._make(replace(job, steps=min(job.steps, _WARM_UP_STEPS)))
            made = [self._make(job) for _ in range(runs)]
        except EngineFailed as failure:
            return Row(job, why_not=str(failure))
        peak = torch.cuda.max_memory_allocated() / _GIB if self._uses_cuda else None
        differ = all(run.images_differ for run in made)
        return Row(
            job,
            tuple(run.seconds for run in made),
            peak,
            remark=None if differ else "images of one batch were the same",
        )

    def fits(self, job: Job) -> bool:
        """Whether the memory suffices for a batch.

        :raises EngineFailed: when it fails for any other reason.
        """
        try:
            self._make(job)
        except OutOfMemory:
            return False
        return True

    def close(self) -> None:
        """Free the memory."""
        self._engine.close()

    def _make(self, job: Job) -> _Run:
        """Make one batch.

        :raises EngineFailed: also when an image is not of the size that was asked for.
        """
        ids = tuple(UUID(int=place + 1) for place in range(job.images))
        batch = Batch(
            job_id=UUID(int=0),
            image_ids=ids,
            model=self._model,
            prompt="a red circle on a blue background",
            negative_prompt="",
            settings=job.settings,
            seed=1,
            indices=tuple(range(job.images)),
            size=job.images,
        )
        start = time.perf_counter()
        made = self._engine.generate(batch, _no_progress)
        seconds = time.perf_counter() - start
        pictures = [image.picture for image in made.images]
        if any(picture.size != (job.side, job.side) for picture in pictures):
            raise EngineFailed("the images are of another size than asked for")
        return _Run(seconds, len({picture.tobytes() for picture in pictures}) == job.images)


def _no_progress(progress: Progress) -> None:
    """Nobody waits for it here."""
