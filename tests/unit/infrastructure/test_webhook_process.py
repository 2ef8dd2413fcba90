"""The process that sends webhooks: what it loads, and how it is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from infrastructure.processes.child_programs import webhooks_program
from infrastructure.settings.environment import Settings

ENGINES = ("torch", "diffusers", "transformers", "numpy", "PIL")
WEB = ("fastapi", "starlette", "uvicorn")


def test_a_sender_loads_neither_engines_nor_a_web_server() -> None:
    loaded = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys, infrastructure.processes.webhooks;"
            f"print([name for name in {ENGINES + WEB} if name in sys.modules])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "[]"


def test_a_supervised_sender_has_the_settings_and_time_to_finish(tmp_path: Path) -> None:
    program = webhooks_program(Settings(data=tmp_path, port=7009), tmp_path / "run")
    assert program.name == "webhooks"
    assert program.command[-2:] == ("infrastructure.processes", "webhooks")
    assert program.environment["HOARD_PORT"] == "7009"
    assert program.environment["HOARD_CHILD"] == "webhooks"
    assert program.stop_timeout_seconds > 5
