"""``make bench-gpu``: what a batch costs, with models of the real shapes and random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.gpu_batch.largest import RuleRow
from benchmarks.gpu_batch.machine import describe, limit_memory, use_one_thread
from benchmarks.gpu_batch.measuring import measure, not_measured
from benchmarks.gpu_batch.plan import COUNTS, Part, Plan
from benchmarks.gpu_batch.rows import Row, prices, row_as_json
from benchmarks.gpu_batch.shapes import REAL, TINY, Shape
from benchmarks.gpu_batch.tables import batches_tables, largest_table, machine_line
from domain.jobs.image_ids import MOST_IMAGES
from workers.engines.diffusers.devices import find_device

console = Console()
progress = Console(stderr=True)


class Family(StrEnum):
    """Which models."""

    SD15 = "sd15"
    SDXL = "sdxl"


def main(
    shape: Annotated[list[Family] | None, typer.Option(help="both if left out")] = None,
    only: Annotated[list[Part] | None, typer.Option(help="all if left out")] = None,
    images: Annotated[
        list[int] | None, typer.Option(help="1, 2, 4, 8, 20; all if left out")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="30 if left out; tiny: 8")] = None,
    real: Annotated[
        bool | None,
        typer.Option("--real/--tiny", help="real where there is a GPU, else tiny"),
    ] = None,
    quick: Annotated[bool, typer.Option(help="one run of 4 steps: is it all there?")] = False,
    device: Annotated[str | None, typer.Option(help="as torch calls it, such as cuda:1")] = None,
    memory: Annotated[
        float | None, typer.Option(help="GiB that may be used, as if the GPU were smaller")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
) -> None:
    """Measure the diffusers engine, batch by batch; nothing is fetched from anywhere."""
    found = find_device(device)
    if not set(images or ()) <= set(COUNTS):
        raise typer.BadParameter(f"--images takes {', '.join(map(str, COUNTS))}")
    if memory is not None:
        try:
            limit_memory(found, memory)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    plan = Plan(frozenset(only or Part), tuple(images or COUNTS), steps, quick)
    is_real = found.kind != "cpu" if real is None else real
    if not is_real and found.kind == "cpu":
        found = use_one_thread()
    machine = describe(found, memory)
    if as_json:
        print(json.dumps({"kind": "machine", **machine}), flush=True)
    else:
        console.print(machine_line(machine))
    for family in shape or list(Family):
        chosen = REAL[family] if is_real else TINY[family]
        _show(chosen, measure(chosen, plan, found.name), as_json)
        if not is_real:
            why_not = "no GPU here" if found.kind == "cpu" else "left out by --tiny"
            _show(REAL[family], not_measured(REAL[family], plan, why_not), as_json)


def _show(shape: Shape, measured: Iterator[Row | RuleRow], as_json: bool) -> None:
    """Tell each row as it comes, so that nothing is lost with a run that is cut short."""
    batches: list[Row] = []
    largest: list[RuleRow] = []
    for row in measured:
        if isinstance(row, Row):
            batches.append(row)
            line = row_as_json(row, prices(batches).get(row.job))
        else:
            largest.append(row)
            line = row.as_json()
        if as_json:
            print(json.dumps(line), flush=True)
        elif line["not_measured"] is None:
            progress.print(json.dumps(line), style="dim", soft_wrap=True)
    if as_json:
        return
    for table in batches_tables(shape.title, batches):
        console.print(table)
    if largest:
        console.print(
            largest_table(
                f"{shape.title}: the largest batch, searched up to {MOST_IMAGES}", largest
            )
        )


if __name__ == "__main__":
    typer.run(main)
