from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.images.metadata import MetadataType, MetadataValue
from domain.images.provenance import LoraIdentity
from domain.images.source_images import SourceProcessing
from domain.models.loras import InjectionTarget, Lora, TextualInversion
from tests.unit.workers.comfyui.comfyui_batches import (
    MODEL,
    SHA256,
    batch,
    checkpoint,
    lora_file,
)
from tests.unit.workers.comfyui.comfyui_double import ComfyUIDouble, colour, comfyui
from tests.unit.workers.comfyui.test_sources import picture
from workers.engines.comfyui.engine import ComfyUIEngine
from workers.engines.comfyui.execution import mark_of
from workers.engines.comfyui.graph.sampling import NOISE_NODE
from workers.engines.protocol import EngineAway, EngineFailed, OutOfMemory, Progress, Source
from workers.models.checkpoints import CheckpointFile
from workers.models.downloads import OnDownloaded
from workers.models.lora_versions import LoraFile, LoraUnavailable


class OneModel:
    def names(self) -> Collection[str]:
        return (MODEL,)

    def file_of(self, model: str) -> CheckpointFile | None:
        return checkpoint() if model == MODEL else None


class SomeLoras:
    """Has every LoRA but one."""

    def fetch(self, lora: Lora, on_bytes: OnDownloaded) -> LoraFile:
        on_bytes(1, 2)
        if lora.name == "gone":
            raise LoraUnavailable("it is not there any more")
        return lora_file(f"hoard-{lora.name}.safetensors")


class LeaseLost(Exception):
    pass


@pytest.fixture
def double() -> Iterator[ComfyUIDouble]:
    with comfyui(ComfyUIDouble()) as server:
        yield server


@pytest.fixture
def engine(double: ComfyUIDouble) -> Iterator[ComfyUIEngine]:
    made = ComfyUIEngine(double.url, OneModel(), loras=SomeLoras())
    yield made
    made.close()


def ignore(_progress: Progress) -> None:
    pass


def lose_lease(_progress: Progress) -> None:
    raise LeaseLost


def test_a_batch_comes_back_in_order_with_how_it_was_made(engine: ComfyUIEngine) -> None:
    progress: list[Progress] = []
    wanted = batch(3, steps=4)
    made = engine.generate(wanted, progress.append)
    assert [image.image_id for image in made.images] == list(wanted.image_ids)
    assert [image.batch_index for image in made.images] == [0, 1, 2]
    assert [image.picture.getpixel((0, 0)) for image in made.images] == [
        colour(0),
        colour(1),
        colour(2),
    ]
    assert progress == [Progress(step, 4) for step in (1, 2, 3, 4)]
    assert made.engine == "ComfyUI 0.3.75, torch 2.13.0+cu130"
    assert made.device == "cuda NVIDIA H100 80GB HBM3"
    assert made.model_sha256 == SHA256
    assert engine.loaded_model == MODEL


def test_the_prompt_stays_neither_in_the_pictures_nor_in_comfyui(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    made = engine.generate(batch(1), ignore)
    assert made.images[0].picture.info == {}
    assert double.forgotten == list(double.graphs)


def test_what_runs_beside_the_wanted_images_is_dropped(engine: ComfyUIEngine) -> None:
    made = engine.generate(batch(indices=(2,), size=4), ignore)
    (image,) = made.images
    assert (image.batch_index, image.picture.getpixel((0, 0))) == (2, colour(2))


def test_one_image_alone_is_the_only_one_that_runs(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    (image,) = engine.generate(batch(indices=(2,)), ignore).images
    assert (image.batch_index, image.picture.getpixel((0, 0))) == (2, colour(0))


def test_two_executions_share_no_names(engine: ComfyUIEngine, double: ComfyUIDouble) -> None:
    engine.generate(batch(1), ignore)
    engine.generate(batch(1), ignore)
    one, other = double.graphs.values()
    assert one != other


def test_source_and_mask_are_uploaded_under_names_of_their_own(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    source = Source(SourceProcessing.INPAINTING, picture("RGB"), picture("L"))
    engine.generate(batch(1, indices=(0,), source=source), ignore)
    (execution,) = double.graphs
    assert set(double.uploads) == {f"hoard-{execution}-source.png", f"hoard-{execution}-mask.png"}
    loaded = {node["class_type"]: node["inputs"] for node in double.graph.values()}
    assert loaded["LoadImage"]["image"] == f"hoard-{execution}-source.png [temp]"


def test_the_files_of_loras_are_told_and_missing_ones_left_out(engine: ComfyUIEngine) -> None:
    loras = (Lora("1", is_version=True), Lora("gone"))
    made = engine.generate(batch(1, loras=loras), ignore)
    assert made.loras == (LoraIdentity("4711", SHA256),)
    (word,) = made.metadata
    assert (word.type, word.value, word.ref) == (
        MetadataType.LORA,
        MetadataValue.DOWNLOAD_FAILED,
        "gone",
    )


def test_textual_inversions_that_are_not_there_are_left_out(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    tis = (TextualInversion("glow", InjectionTarget.PROMPT), TextualInversion("gone"))
    (word,) = engine.generate(batch(1, tis=tis), ignore).metadata
    assert (word.type, word.ref) == (MetadataType.TI, "gone")
    assert "embedding:glow" in str(double.graph)


def test_the_engine_is_another_one_with_its_own_noise(engine: ComfyUIEngine) -> None:
    made = engine.generate(batch(1, sampler="k_euler_a"), ignore)
    assert made.engine.endswith(", noise per image")


def test_without_its_node_noisy_samplers_make_no_image_alone(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    del double.nodes[NOISE_NODE]
    assert "replication" not in engine.abilities().features
    with pytest.raises(EngineFailed, match="only made again exactly"):
        engine.generate(batch(indices=(1,), sampler="lcm"), ignore)
    engine.generate(batch(indices=(1,), size=2, sampler="lcm"), ignore)
    engine.generate(batch(indices=(1,), sampler="k_euler"), ignore)


def test_a_comfyui_without_hoards_node_is_pointed_out_once(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    del double.nodes[NOISE_NODE]
    with capture_logs() as logs:
        engine.abilities()
        engine.generate(batch(1), ignore)
    assert [entry["log_level"] for entry in logs if entry.get("node") == NOISE_NODE] == ["warning"]


@pytest.mark.parametrize("settings", [{"transparent": True}, {"workflow": "qr_code"}])
def test_what_no_graph_draws_is_refused(engine: ComfyUIEngine, settings: dict[str, Any]) -> None:
    with pytest.raises(EngineFailed, match="neither"):
        engine.generate(batch(1, **settings), ignore)


def test_a_batch_that_is_given_up_is_interrupted(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    double.holds = True
    with pytest.raises(LeaseLost):
        engine.generate(batch(2), lose_lease)
    assert double.interrupted == list(double.graphs)
    assert double.forgotten == list(double.graphs)
    double.holds = False
    assert len(engine.generate(batch(2), ignore).images) == 2


def test_a_download_stops_when_nobody_wants_the_batch_any_more(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    with pytest.raises(LeaseLost):
        engine.generate(batch(2, loras=(Lora("1"),)), lose_lease)
    assert double.graphs == {}


def test_another_execution_is_never_interrupted(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    double.forgets = True
    with pytest.raises(LeaseLost):
        engine.generate(batch(2), lose_lease)
    assert double.interrupted == []


def test_what_an_earlier_process_of_the_same_worker_left_is_stopped(double: ComfyUIDouble) -> None:
    own, other = mark_of("worker 1"), mark_of("worker 2")
    double.running, double.pending = [f"{own}1"], [f"{own}2", f"{other}1", "somebody's"]
    with closing(ComfyUIEngine(double.url, OneModel(), owner="worker 1")) as engine:
        engine.abilities()
        assert double.interrupted == [f"{own}1"]
        assert double.unqueued == [f"{own}2"]
        assert double.pending == [f"{other}1", "somebody's"]
        double.pending.clear()
        engine.generate(batch(2), ignore)
    (execution,) = double.graphs
    assert execution.startswith(own)


def test_a_batch_under_way_is_never_taken_for_a_leftover(double: ComfyUIDouble) -> None:
    double.holds = True
    with closing(ComfyUIEngine(double.url, OneModel(), owner="worker 1")) as engine:

        def ask_meanwhile(_progress: Progress) -> None:
            engine._lost()
            engine.abilities()
            assert double.interrupted == []
            raise LeaseLost

        with pytest.raises(LeaseLost):
            engine.generate(batch(2), ask_meanwhile)
    assert double.interrupted == list(double.graphs)


def test_a_batch_that_waits_is_taken_out_of_the_queue(double: ComfyUIDouble) -> None:
    double.waits = True
    engine = ComfyUIEngine(double.url, OneModel(), silence_seconds=0.0)
    with pytest.raises(EngineFailed, match="says nothing"):
        engine.generate(batch(2), ignore)
    engine.close()
    assert double.unqueued == list(double.graphs)
    assert double.pending == double.interrupted == []


def test_messages_that_were_missed_are_looked_up(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    double.silent = True
    assert len(engine.generate(batch(2), ignore).images) == 2


def test_a_server_that_forgot_the_batch_was_away(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    double.forgets = True
    with pytest.raises(EngineAway, match="forgotten"):
        engine.generate(batch(2), ignore)
    assert engine.loaded_model is None


def test_a_connection_that_closes_means_away(engine: ComfyUIEngine, double: ComfyUIDouble) -> None:
    double.hangs_up = True
    with pytest.raises(EngineAway, match="closed the connection"):
        engine.generate(batch(2), ignore)


def test_a_server_that_does_not_answer_is_away_and_comes_back() -> None:
    double = ComfyUIDouble()
    with comfyui(double):
        engine = ComfyUIEngine(double.url, OneModel())
        engine.generate(batch(1), ignore)
    with pytest.raises(EngineAway):
        engine.abilities()
    with pytest.raises(EngineAway):
        engine.generate(batch(1), ignore)
    with comfyui(double, port=int(double.url.rpartition(":")[2])):
        assert engine.abilities().models == (MODEL,)
        engine.generate(batch(1), ignore)
    engine.close()


def test_a_proxy_that_cannot_reach_it_means_away(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    double.unavailable = True
    with pytest.raises(EngineAway, match="502"):
        engine.abilities()


@pytest.mark.parametrize(
    "failure",
    [
        {"exception_type": "torch.OutOfMemoryError", "exception_message": "Allocation failed"},
        {"exception_type": "RuntimeError", "exception_message": "MPS backend out of memory"},
        {
            "exception_type": "RuntimeError",
            "exception_message": "DefaultCPUAllocator: can't allocate memory: you tried …",
        },
    ],
)
def test_out_of_memory_is_told_apart(
    engine: ComfyUIEngine, double: ComfyUIDouble, failure: dict[str, str]
) -> None:
    double.ends_with = ("execution_error", {"node_type": "KSampler", **failure})
    with pytest.raises(OutOfMemory, match="KSampler ran out of memory"):
        engine.generate(batch(8), ignore)
    assert double.interrupted == []


def test_an_error_is_told_without_what_it_quotes(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    error = {
        "node_type": "CLIPTextEncode",
        "exception_type": "ValueError",
        "exception_message": "cannot tokenize a lighthouse",
        "current_inputs": {"text": ["a lighthouse"]},
    }
    double.ends_with = ("execution_error", error)
    with capture_logs() as logs, pytest.raises(EngineFailed) as failure:
        engine.generate(batch(1), ignore)
    assert str(failure.value) == "ComfyUI's CLIPTextEncode failed with ValueError"
    assert not isinstance(failure.value, (EngineAway, OutOfMemory))
    assert "lighthouse" not in str(logs)


def test_somebody_else_interrupts_the_batch(engine: ComfyUIEngine, double: ComfyUIDouble) -> None:
    double.ends_with = ("execution_interrupted", {})
    with pytest.raises(EngineFailed, match="interrupted"):
        engine.generate(batch(1), ignore)


def test_a_rejected_graph_names_the_node_and_not_the_prompt(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    wrong = {
        "class_type": "CLIPTextEncode",
        "errors": [
            {
                "type": "value_not_in_list",
                "message": "Value not in list",
                "details": "text: 'a lighthouse' not in []",
                "extra_info": {"input_name": "text", "received_value": "a lighthouse"},
            }
        ],
    }
    double.refusal = (400, {"error": {"type": "x"}, "node_errors": {"4": wrong}})
    with pytest.raises(EngineFailed) as failure:
        engine.generate(batch(1), ignore)
    assert str(failure.value) == (
        "ComfyUI rejects the graph: CLIPTextEncode.text: value_not_in_list"
    )


def test_a_graph_rejected_as_a_whole(engine: ComfyUIEngine, double: ComfyUIDouble) -> None:
    double.refusal = (400, {"error": {"type": "prompt_no_outputs"}, "node_errors": {}})
    with pytest.raises(EngineFailed, match=r"graph: prompt_no_outputs$"):
        engine.generate(batch(1), ignore)


def _one_less(files: list[dict[str, str]]) -> list[dict[str, str]]:
    return files[:-1]


def _one_more(files: list[dict[str, str]]) -> list[dict[str, str]]:
    return [*files, files[0] | {"filename": f"{files[0]['filename']}x"}]


def _one_twice(files: list[dict[str, str]]) -> list[dict[str, str]]:
    return [files[0], *files[:-1]]


def _anothers(files: list[dict[str, str]]) -> list[dict[str, str]]:
    return [*files[:-1], files[-1] | {"filename": "hoard-another_00001_.png"}]


def _elsewhere(files: list[dict[str, str]]) -> list[dict[str, str]]:
    return [file | {"subfolder": ""} for file in files]


@pytest.mark.parametrize(
    ("listed", "why"),
    [
        (_one_less, "made 2 images instead of 3"),
        (_one_more, "made 4 images instead of 3"),
        (_one_twice, "not of this execution"),
        (_anothers, "not of this execution"),
        (_elsewhere, "lie elsewhere"),
    ],
)
def test_only_exactly_its_own_images_are_taken(
    engine: ComfyUIEngine,
    double: ComfyUIDouble,
    listed: Callable[[list[dict[str, str]]], list[dict[str, str]]],
    why: str,
) -> None:
    double.file_names = listed
    with pytest.raises(EngineFailed, match=why):
        engine.generate(batch(3), ignore)


def test_a_model_that_is_not_there_is_refused(engine: ComfyUIEngine, double: ComfyUIDouble) -> None:
    double.nodes = {
        kind: node for kind, node in double.nodes.items() if kind != "CheckpointLoaderSimple"
    }
    assert engine.abilities().models == ()
    with pytest.raises(EngineFailed, match="does not have the model"):
        engine.generate(batch(1), ignore)


def test_what_is_installed_is_not_asked_before_every_job(
    engine: ComfyUIEngine, double: ComfyUIDouble
) -> None:
    assert engine.abilities() == engine.abilities()
    engine.generate(batch(1), ignore)
    assert double.looks == 1


def test_what_a_batch_leaves_behind_is_deleted(double: ComfyUIDouble, tmp_path: Path) -> None:
    for folder in ("output/hoard", "temp"):
        (tmp_path / folder).mkdir(parents=True)
    others = tmp_path / "output/hoard/hoard-another_00001_.png"
    others.touch()

    def save(files: list[dict[str, str]]) -> list[dict[str, str]]:
        for file in files:
            (tmp_path / "output" / file["subfolder"] / file["filename"]).touch()
        (tmp_path / "temp" / files[0]["filename"].replace("_00001_", "-source")).touch()
        return files

    double.file_names = save
    engine = ComfyUIEngine(double.url, OneModel(), folder=tmp_path)
    engine.generate(batch(3), ignore)
    engine.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [others]
