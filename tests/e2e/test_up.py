from __future__ import annotations

import base64
import io
import signal
from pathlib import Path

import httpx
from PIL import Image

from infrastructure.settings.environment import load_settings
from tests.e2e.program import Program, alive
from tests.waiting import wait_until


def leftovers(data: Path) -> set[str]:
    """Sockets below a folder, and processes that are noted there."""
    sockets = {path.name for path in data.rglob("*") if path.is_socket()}
    return sockets | {path.name for path in (data / "run").iterdir()}


def test_what_waits_through_a_restart_is_answered_and_sigterm_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    with Program(tmp_path / "data", workers=0, log_level="DEBUG") as hoard:
        request_id = hoard.ask(3, width=128, height=64, seed="7")
        assert hoard.check(request_id)["waiting"] == 3
        assert hoard.stop() == 0

        hoard.workers = 1
        hoard.start()
        images = hoard.wait_until_done(request_id)["generations"]
        content = b""
        assert len({image["id"] for image in images}) == 3
        for image in images:
            content = httpx.get(image["img"]).content
            picture = Image.open(io.BytesIO(content))
            assert (picture.format, picture.size) == ("WEBP", (128, 64))
            assert image["worker_name"] == "Embedded Worker"

        family = hoard.family()
        assert len(family) >= 6
        assert hoard.stop() == 0

        wait_until(lambda: not alive(family), "all processes to be gone")
        assert leftovers(tmp_path / "data") == set()
        assert "red circle" not in hoard.trouble()
        assert base64.b64encode(content)[:40].decode() not in hoard.trouble()


def test_sigterm_in_mid_batch_returns_the_images_at_once_and_keeps_what_was_made(
    tmp_path: Path,
) -> None:
    with Program(tmp_path / "data", kudos_upfront=False) as hoard:
        made = hoard.ask(2)
        hoard.wait_until_done(made)
        request_id = hoard.ask(20, width=256, height=256, steps=500, sampler_name="k_euler")
        hoard.wait_until_at_work(request_id)
        assert hoard.stop() == 0

        hoard.workers = 0
        hoard.start()
        found = hoard.check(request_id)
        assert (found["waiting"], found["processing"], found["restarted"]) == (20, 0, 20)
        assert len(hoard.status(made)["generations"]) == 2


def test_two_on_one_folder_refuse_with_a_clear_message(served: Program) -> None:
    assert served.process is not None
    second = Program(served.data, workers=0)
    process = second.spawn()
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 1
    second.client.close()
    assert f"another `hoard up` (process {served.process.pid}) works on" in second.trouble()
    assert served.client.get("/status/heartbeat").status_code == 200


def test_a_port_that_is_taken_is_named(served: Program, tmp_path: Path) -> None:
    other = Program(tmp_path / "data", workers=0)
    other.port = served.port
    process = other.spawn()
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 1
    other.client.close()
    assert f"port {served.port}: Address already in use" in other.trouble()


def test_two_workers_share_the_work_under_names_of_their_own(tmp_path: Path) -> None:
    with Program(tmp_path / "data", workers=2, worker_amount=1) as hoard:
        for number in (1, 2):
            hoard.pool_process(f"worker-{number}")
        request_id = hoard.ask(12, width=256, height=256, steps=8)
        images = hoard.wait_until_done(request_id)["generations"]
        assert {image["worker_name"] for image in images} == {
            "Embedded Worker",
            "Embedded Worker 2",
        }


def test_a_deep_data_folder_has_its_socket_elsewhere_and_no_stop_leaves_it(
    tmp_path: Path,
) -> None:
    deep = tmp_path / ("deep" * 20) / "data"
    with Program(deep, workers=0) as hoard:
        socket = load_settings(data=deep).redis_socket
        assert socket.is_socket()
        assert not socket.is_relative_to(deep)
        assert hoard.stop() == 0
        assert not socket.parent.exists()

        hoard.start()
        assert hoard.process is not None
        family = hoard.family()
        hoard.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not alive(family), "all processes to be gone")
        assert leftovers(deep) == set()
        assert not socket.parent.exists()
