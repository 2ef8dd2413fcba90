"""Measuring a shape row by row, each told as soon as it is known."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu_batch.largest import RuleRow, largest_fitting, side_of_a_third
from benchmarks.gpu_batch.pipelines import save_pipeline
from benchmarks.gpu_batch.plan import Plan, probe
from benchmarks.gpu_batch.rows import Row
from benchmarks.gpu_batch.shapes import Shape
from benchmarks.gpu_batch.timing import Bench
from workers.engines.protocol import EngineFailed


def measure(shape: Shape, plan: Plan, device: str) -> Iterator[Row | RuleRow]:
    """Yield every row of a shape; those that the plan leaves out say why.

    A folder for the weights lies in the system's place for temporary files while this runs: 7 GB
    for SDXL, and 2 GB for SD 1.5, on a GPU; twice that on a CPU.

    :param device: as torch calls it.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            save_pipeline(shape, Path(folder), device)
            bench = Bench(shape.name, Path(folder), device)
        except EngineFailed as failure:
            yield from not_measured(shape, plan, str(failure))
            return
        try:
            for job, why_not in plan.jobs(shape):
                yield bench.time(job, plan.runs) if why_not is None else Row(job, why_not=why_not)
            yield from search(bench, shape, plan, device)
        finally:
            bench.close()


def not_measured(shape: Shape, plan: Plan, why_not: str) -> Iterator[Row | RuleRow]:
    """Yield the same rows without figures."""
    for job, _ in plan.jobs(shape):
        yield Row(job, why_not=why_not)
    for maximum in shape.maxima:
        yield RuleRow(shape.name, maximum, why_not=why_not)


def search(bench: Bench, shape: Shape, plan: Plan, device: str) -> Iterator[RuleRow]:
    """Yield for each maximum how many images fit, there and where the rule takes it for granted."""
    why_not = plan.search_left_out()
    if not device.startswith("cuda"):
        why_not = "only the memory of a CUDA or ROCm GPU is searched for its end"
    known: dict[int, int] = {}

    def largest(side: int) -> int:
        if side not in known:
            known[side] = largest_fitting(lambda images: bench.fits(probe(shape, side, images)))
        return known[side]

    for maximum in shape.maxima:
        if why_not is not None:
            yield RuleRow(shape.name, maximum, why_not=why_not)
            continue
        try:
            at_a_third, at_maximum = largest(side_of_a_third(maximum)), largest(maximum)
        except EngineFailed as failure:
            yield RuleRow(shape.name, maximum, why_not=str(failure))
        else:
            yield RuleRow(shape.name, maximum, at_a_third, at_maximum)
