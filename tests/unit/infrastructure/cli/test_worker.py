"""What ``hoard worker run`` turns into."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from infrastructure.cli.app import run
from infrastructure.settings.environment import load_settings


class Became(Exception):
    """This process would be another one now."""


class Worker:
    """The process that the command became."""

    command: Sequence[str] = ()
    environment: Mapping[str, str] = {}

    def take_over(
        self, _path: str, command: Sequence[str], environment: dict[str, str]
    ) -> NoReturn:
        self.command, self.environment = command, environment
        raise Became


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Worker:
    """A place where the command can run, with a broker of its own."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    monkeypatch.setenv("HOARD_DATA", str(tmp_path))
    monkeypatch.setenv("HOARD_BROKER_URL", "redis://broker")
    became = Worker()
    monkeypatch.setattr(os, "execve", became.take_over)
    return became


def run_worker(*options: str) -> None:
    with pytest.raises(Became):
        run(["worker", "run", *options])


def test_it_becomes_a_worker_process_with_the_settings_of_its_options(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    run_worker(
        *("--engine", "comfyui", "--url", "http://127.0.0.1:9999/"),
        *("--comfyui-folder", str(tmp_path), "--amount", "4", "--gpu", "1"),
    )

    assert worker.command[-2:] == ("infrastructure.processes", "worker")
    assert worker.environment["CUDA_VISIBLE_DEVICES"] == "1"
    for name, value in worker.environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.worker_engine == "comfyui"
    assert settings.worker_comfyui_url == "http://127.0.0.1:9999"
    assert settings.worker_comfyui_folder == tmp_path
    assert settings.worker_amount == 4
    assert settings.worker_drain_seconds is None
    assert settings.worker_name == f"{socket.gethostname()} comfyui GPU 1"[:100]


def test_without_a_gpu_of_its_own_it_sees_those_that_it_is_given(worker: Worker) -> None:
    run_worker()
    assert worker.environment["CUDA_VISIBLE_DEVICES"] == "5"
    assert worker.environment["HOARD_WORKER_NAME"] == f"{socket.gethostname()} diffusers"[:100]


@pytest.mark.parametrize("options", [(), ("--name", "mine")])
def test_the_name_is_the_operators(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("HOARD_WORKER_NAME", "theirs")
    run_worker(*options)
    assert worker.environment["HOARD_WORKER_NAME"] == ("mine" if options else "theirs")


def test_several_models_are_told_apart(worker: Worker, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text("{}")
    run_worker("--model", str(tmp_path / "one"), "--model", f"Second={tmp_path / 'two'}")
    given = f"one={tmp_path / 'one'};Second={tmp_path / 'two'}"
    assert worker.environment["HOARD_WORKER_MODELS"] == given
