"""The benchmark of batches: the shapes, the sums, and rows that were not measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer import Typer
from typer.testing import CliRunner

from benchmarks.gpu_batch import __main__ as program
from benchmarks.gpu_batch.largest import RuleRow, largest_fitting, side_of_a_third
from benchmarks.gpu_batch.measuring import measure, not_measured, search
from benchmarks.gpu_batch.pipelines import build_pipeline, save_pipeline
from benchmarks.gpu_batch.plan import COUNTS, Part, Plan
from benchmarks.gpu_batch.rows import Job, Row, price_of_extra, prices, row_as_json
from benchmarks.gpu_batch.shapes import REAL, TINY
from benchmarks.gpu_batch.tables import batches_tables, largest_table
from benchmarks.gpu_batch.timing import Bench
from tests.diffusers_batches import ENGINE_MARKS, on_one_thread
from workers.engines.diffusers.passes import plan_passes

PUBLISHED = {
    "sd15": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sdxl": {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    },
}
"""Numbers of parameters of the published models."""


def job(images: int = 1, **changes: Any) -> Job:
    return Job(
        **{
            "shape": "sd15",
            "side": 512,
            "sampler": "k_euler_a",
            "steps": 30,
            "cfg_scale": 7.5,
            "images": images,
            **changes,
        }
    )


def printed(*tables: Any) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        for table in tables:
            console.print(table)
    return capture.get()


@pytest.mark.parametrize("family", sorted(REAL))
def test_real_shapes_have_the_parameters_of_the_published_models(family: str) -> None:
    pipeline = build_pipeline(REAL[family], "meta", torch.float16)

    counted = {
        part: sum(parameter.numel() for parameter in getattr(pipeline, part).parameters())
        for part in PUBLISHED[family]
    }
    assert counted == PUBLISHED[family]


@pytest.mark.parametrize("shape", [*REAL.values(), *TINY.values()], ids=lambda shape: shape.name)
def test_a_shape_is_measured_in_one_pass_at_its_own_size(shape: Any) -> None:
    for planned, _ in Plan().jobs(shape):
        native = shape.unet["sample_size"] * 8
        (only,) = plan_passes(planned.settings, native_side=native)
        assert (only.width, only.height, native) == (shape.side, shape.side, shape.side)
        assert only.steps == planned.steps


def test_an_extra_image_is_priced_in_per_cent_of_the_first() -> None:
    assert price_of_extra(2.0, 2.0, 8) == 0
    assert price_of_extra(2.0, 40.0, 20) == pytest.approx(100)
    assert price_of_extra(2.0, 2.3, 2) == pytest.approx(15)
    with pytest.raises(ValueError, match="no extra image"):
        price_of_extra(2.0, 2.0, 1)


def test_a_batch_is_priced_by_the_median_and_by_an_image_made_the_same_way() -> None:
    first = Row(job(1), (2.0, 9.0, 1.0))
    batch = Row(job(5), (6.0,))
    in_few_steps = Row(job(5, steps=4), (1.0,))
    failed = Row(job(8), why_not="out of memory")

    assert prices([first, batch, in_few_steps, failed]) == {job(5): pytest.approx(50)}


def test_a_row_that_was_not_measured_says_so_and_why() -> None:
    row = Row(job(20), why_not="out of memory")
    rule = RuleRow("sd15", 2048, why_not="no GPU here")

    assert row_as_json(row, None)["not_measured"] == "out of memory"
    assert row_as_json(row, None)["seconds"] is None
    assert rule.as_json()["rule_holds"] is None
    shown = printed(*batches_tables("SD 1.5", [Row(job(1), (2.0,)), row]))
    assert shown.count("not measured: out of memory") == 1
    assert "not measured: no GPU here" in printed(largest_table("SD 1.5", [rule]))


def test_without_a_gpu_every_real_row_is_there_unmeasured() -> None:
    rows = list(not_measured(REAL["sdxl"], Plan(), "no GPU here"))

    batches = [row.job for row in rows if isinstance(row, Row)]
    assert tuple(job.images for job in batches if job.sampler == "k_euler_a") == COUNTS
    assert {(job.images, job.side, job.steps) for job in batches if job.sampler == "lcm"} == {
        (1, 1024, 4),
        (20, 1024, 4),
    }
    assert [row.maximum for row in rows if isinstance(row, RuleRow)] == [1024, 1536, 2048, 3072]
    assert {row.why_not for row in rows} == {"no GPU here"}


def test_what_a_plan_leaves_out_says_so() -> None:
    plan = Plan(parts=frozenset({Part.BATCHES}), counts=(1, 2))

    left_out = {
        (job.sampler, job.images): why for job, why in plan.jobs(REAL["sdxl"]) if why is not None
    }
    assert left_out == {
        ("k_euler_a", 4): "left out by --images",
        ("k_euler_a", 8): "left out by --images",
        ("k_euler_a", 20): "left out by --images",
        ("lcm", 1): "left out by --only",
        ("lcm", 20): "left out by --only",
    }
    assert plan.search_left_out() == "left out by --only"


@pytest.mark.parametrize("most", [1, 2, 5, 20])
def test_the_search_finds_every_end_of_the_memory_from_below(most: int) -> None:
    for end in range(most + 1):
        tried: list[int] = []

        assert largest_fitting(_noting(tried, end), most) == end
        assert tried[0] == 1
        assert max(tried) <= min(most, max(2 * end, 1))


def _noting(tried: list[int], end: int) -> Callable[[int], bool]:
    def fits(images: int) -> bool:
        tried.append(images)
        return images <= end

    return fits


def test_the_rule_is_held_against_what_fits() -> None:
    assert side_of_a_third(1024) == 576
    assert side_of_a_third(3072) == 1728
    # Eight at a third are 2.67 at the maximum, which the rule rounds up.
    assert RuleRow("sdxl", 1024, at_a_third=8, at_maximum=3).holds is True
    assert RuleRow("sdxl", 1024, at_a_third=8, at_maximum=2).holds is False
    assert RuleRow("sdxl", 1024, at_a_third=8, at_maximum=2).handed_out == 3
    nothing_fits = RuleRow("sdxl", 1024, at_a_third=0, at_maximum=0)
    assert (nothing_fits.handed_out, nothing_fits.holds) == (None, None)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    save_pipeline(TINY["sd15"], tmp_path, "cpu")
    bench = Bench("tiny-sd15", tmp_path, "cpu")
    with on_one_thread():
        yield bench
    bench.close()


def end_memory_at(bench: Bench, latents: int) -> None:
    """Let the U-Net fail as it does where memory ends, with more latents than that in a batch."""
    warm = bench._engine._loaded
    assert warm is not None

    def check(_: Any, given: Any) -> None:
        images, _, height, width = given[0].shape
        if images * height * width > latents:
            raise MemoryError

    warm[1].text.unet.register_forward_pre_hook(check)


class TestOnTheCpu:
    pytestmark = ENGINE_MARKS

    def test_the_largest_batches_are_found_where_memory_ends(self, bench: Bench) -> None:
        end_memory_at(bench, latents=2 * 2 * (128 // 8) ** 2)
        shape = replace(TINY["sd15"], maxima=(128, 256))

        assert list(search(bench, shape, Plan(), "cuda")) == [
            RuleRow("tiny-sd15", 128, at_a_third=8, at_maximum=2),
            RuleRow("tiny-sd15", 256, at_a_third=2, at_maximum=0),
        ]
        why_not = "only the memory of a CUDA or ROCm GPU is searched for its end"
        assert {row.why_not for row in search(bench, shape, Plan(), "cpu")} == {why_not}

    def test_a_batch_that_does_not_fit_is_a_row_that_says_so(self, bench: Bench) -> None:
        end_memory_at(bench, latents=2 * 2 * (128 // 8) ** 2)
        planned = job(3, shape="tiny-sd15", side=128, steps=1)

        row = bench.time(planned, runs=1)
        assert (row.seconds, row.why_not) == (
            None,
            "out of memory with 3 images of 128x128 pixels",
        )
        assert len(bench.time(planned.alone, runs=2).runs) == 2

    def test_a_tiny_batch_is_measured_with_the_engine(self) -> None:
        plan = Plan(parts=frozenset({Part.BATCHES}), counts=(1, 2), steps=1, is_quick=True)
        with on_one_thread():
            rows = list(measure(TINY["sd15"], plan, "cpu"))

        assert [row.job.images for row in rows if isinstance(row, Row) and row.runs] == [1, 2]
        assert {row.why_not for row in rows} == {None, "left out by --images"}
        assert all(row.remark is None for row in rows if isinstance(row, Row))

    def test_the_program_prints_json_lines_for_the_machine_and_every_row(self) -> None:
        app = Typer()
        app.command()(program.main)
        arguments = ["--json", "--tiny", "--quick", "--device", "cpu", "--shape", "sd15"]
        with on_one_thread():
            result = CliRunner().invoke(app, [*arguments, "--images", "1", "--steps", "1"])

        assert result.exit_code == 0, result.output
        machine, *rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert machine["kind"] == "machine"
        assert machine["device"].startswith("cpu")
        measured = [row for row in rows if row["not_measured"] is None]
        assert [(row["shape"], row["images"]) for row in measured] == [("tiny-sd15", 1)]
        unmeasured = [row for row in rows if row["not_measured"] == "no GPU here"]
        assert {row["kind"] for row in unmeasured} == {"batch", "largest"}
        assert {row["shape"] for row in unmeasured} == {"sd15"}
