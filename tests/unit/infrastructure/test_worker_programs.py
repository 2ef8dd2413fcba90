"""How worker processes are started: which GPU each one sees, and how long it may take to end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from infrastructure.processes.child_programs import lone_worker_program, worker_program
from infrastructure.processes.gpus import gpu_of, visible_gpus
from infrastructure.processes.shutdown import ShutdownPipe
from infrastructure.settings.environment import Settings, load_settings


@pytest.fixture(autouse=True)
def no_chosen_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def driver_that_tells(folder: Path, lines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


@pytest.mark.parametrize(
    ("given", "gpus"),
    [("0,1", ("0", "1")), (" 3 ", ("3",)), ("", ()), ("-1", ()), ("GPU-8c1e,MIG-2", None)],
)
def test_gpus_that_the_environment_names_are_all_there_are(
    monkeypatch: pytest.MonkeyPatch, given: str, gpus: tuple[str, ...] | None
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus() == (("GPU-8c1e", "MIG-2") if gpus is None else gpus)


def test_gpus_that_the_driver_tells_of_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver_that_tells(tmp_path, r"0\n1\n", monkeypatch)
    assert visible_gpus() == ("0", "1")


def test_a_driver_that_fails_means_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver_that_tells(tmp_path, r"No devices were found\n", monkeypatch)
    assert visible_gpus() == ()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert visible_gpus() == ()


def test_each_worker_sees_one_gpu_and_those_too_many_share(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    seen = [
        worker_program(settings, tmp_path, number, 3, ("0", "1")).environment[
            "CUDA_VISIBLE_DEVICES"
        ]
        for number in (1, 2, 3)
    ]
    assert seen == ["0", "1", "0"]
    assert gpu_of(1, ()) == {}
    assert "CUDA_VISIBLE_DEVICES" not in worker_program(settings, tmp_path, 1, 1).environment


def test_a_supervised_worker_has_ten_seconds_and_a_lone_one_its_lease(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    supervised = worker_program(settings, tmp_path, 1, 1)
    assert supervised.environment["HOARD_WORKER_DRAIN_SECONDS"] == "10.0"
    assert supervised.stop_timeout_seconds == 40
    patient = worker_program(Settings(data=tmp_path, worker_drain_seconds=600), tmp_path, 1, 1)
    assert patient.environment["HOARD_WORKER_DRAIN_SECONDS"] == "600.0"
    assert patient.stop_timeout_seconds == 630
    assert lone_worker_program(settings).environment["HOARD_WORKER_DRAIN_SECONDS"] == ""


def test_a_batch_has_its_lease_unless_somebody_asks_twice() -> None:
    pipe = ShutdownPipe(None)
    assert (pipe.is_requested(), pipe.is_due()) == (False, False)
    pipe.ask()
    assert (pipe.is_requested(), pipe.is_due()) == (True, False)
    pipe.ask()
    assert (pipe.is_requested(), pipe.is_due()) == (True, True)


def test_a_batch_without_grace_is_due_at_once() -> None:
    pipe = ShutdownPipe(0)
    assert not pipe.is_due()
    pipe.ask()
    assert pipe.is_due()


def test_pipelines_are_named_by_the_operator_or_by_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOARD_WORKER_MODELS", "SD XL = pipelines/a ; pipelines/b")
    settings = load_settings()
    assert settings.pipelines == {
        "SD XL": tmp_path / "pipelines" / "a",
        "b": tmp_path / "pipelines" / "b",
    }
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    assert load_settings().pipelines == settings.pipelines


def test_loras_lie_where_comfyui_looks_for_them(tmp_path: Path) -> None:
    assert Settings(data=tmp_path).lora_folder == tmp_path / "loras"
    beside = Settings(data=tmp_path, worker_engine="comfyui", worker_comfyui_folder=tmp_path / "c")
    assert beside.lora_folder == tmp_path / "c" / "models" / "loras"
    chosen = Settings(data=tmp_path, worker_lora_folder=tmp_path / "mine")
    assert chosen.lora_folder == tmp_path / "mine"
