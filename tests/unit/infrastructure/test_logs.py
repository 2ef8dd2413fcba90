from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy
import structlog

from infrastructure.logs.configuration import configure_logs

Entries = Callable[[], list[dict[str, Any]]]

PROMPT = "a red circle on a beach"


@pytest.fixture(autouse=True)
def undisturbed_environment() -> Iterator[None]:
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def entries() -> Entries:
    stream = io.StringIO()
    configure_logs("DEBUG", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_entry_is_one_json_object(entries: Entries) -> None:
    structlog.get_logger("hoard.api").info("request submitted", request="7", images=20)
    (entry,) = entries()
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "request submitted",
        "logger": "hoard.api",
        "level": "info",
        "request": "7",
        "images": 20,
    }


def test_a_line_break_cannot_forge_an_entry(entries: Entries) -> None:
    structlog.get_logger().info("said", text='x\n{"event": "forged"}\u2028\ud800')
    assert [entry["event"] for entry in entries()] == ["said"]


def test_the_standard_library_is_routed_too(entries: Entries) -> None:
    logging.getLogger("celery.worker").warning("lost %s", "the broker")
    (entry,) = entries()
    assert (entry["event"], entry["level"]) == ("lost the broker", "warning")
    assert "positional_args" not in entry


@pytest.mark.filterwarnings("default:old habit")
def test_warnings_are_routed_too() -> None:
    stream = io.StringIO()
    configure_logs(stream=stream)
    warnings.warn("old habit", DeprecationWarning, stacklevel=1)
    entry = json.loads(stream.getvalue())
    assert entry["logger"] == "py.warnings"
    assert "old habit" in entry["event"]


def test_context_is_part_of_every_entry(entries: Entries) -> None:
    with structlog.contextvars.bound_contextvars(request="7", prompt=PROMPT):
        structlog.get_logger().info("ours")
        logging.getLogger("theirs").info("theirs")
    assert [(entry["event"], entry["request"]) for entry in entries()] == [
        ("ours", "7"),
        ("theirs", "7"),
    ]
    assert PROMPT not in str(entries())


def test_private_fields_are_masked(entries: Entries) -> None:
    structlog.get_logger().info("popped", payload={"prompt": PROMPT}, apikey="a key", n=1)
    (entry,) = entries()
    assert entry["payload"] == {"prompt": "[redacted]"}
    assert entry["apikey"] == "[redacted]"
    assert entry["n"] == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_local_variables(as_json: bool) -> None:
    stream = io.StringIO()
    configure_logs(json=as_json, stream=stream)
    prompt = PROMPT
    try:
        int(prompt[:0])
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("theirs").exception("failed")
    written = stream.getvalue()
    assert written.count("test_a_traceback_shows_no_local_variables") == 2
    assert written.count("ValueError") == 2
    assert PROMPT not in written


def test_an_access_line_names_no_client_and_no_query(entries: Entries) -> None:
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "203.0.113.7:1", "GET", "/api/v2/x?apikey=secret", "1.1", 404
    )
    (entry,) = entries()
    assert (entry["event"], entry["method"], entry["path"], entry["status"]) == (
        "answered",
        "GET",
        "/api/v2/x",
        404,
    )
    assert "203.0.113.7" not in str(entry)
    assert "secret" not in str(entry)


def test_sql_statements_are_not_logged(entries: Entries) -> None:
    engine = sqlalchemy.create_engine("sqlite://", hide_parameters=True)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("select :said"), {"said": PROMPT}).all()
    engine.dispose()
    assert entries() == []


@pytest.mark.parametrize("name", ["httpx", "httpcore.http11", "urllib3.connectionpool"])
def test_urls_that_libraries_tell_are_not_logged(entries: Entries, name: str) -> None:
    logging.getLogger(name).info("HTTP Request: POST https://example.org/webhooks/secret")
    logging.getLogger(name).warning("heard")
    assert [entry["event"] for entry in entries()] == ["heard"]


def test_configuring_twice_writes_once() -> None:
    before, stream = io.StringIO(), io.StringIO()
    configure_logs(stream=before)
    configure_logs(stream=stream)
    logging.getLogger("theirs").info("once")
    assert before.getvalue() == ""
    assert len(stream.getvalue().splitlines()) == 1


def test_handlers_of_servers_are_replaced() -> None:
    theirs = io.StringIO()
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(theirs))
    logging.getLogger("uvicorn").propagate = False
    ours = io.StringIO()
    configure_logs(stream=ours)
    logging.getLogger("uvicorn.error").info("started")
    assert theirs.getvalue() == ""
    assert json.loads(ours.getvalue())["event"] == "started"


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_what_lies_below_the_level_is_left_out(level: str) -> None:
    stream = io.StringIO()
    configure_logs(level, stream=stream)
    for said in ("debug", "info", "warning"):
        getattr(structlog.get_logger(), said)("ours")
        getattr(logging.getLogger("theirs"), said)("theirs")
    expected = {"INFO": ["info", "warning"], "WARNING": ["warning"]}[level]
    levels = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert levels == [level for level in expected for _ in ("ours", "theirs")]


PROGRAM = (
    "import structlog\n"
    "from infrastructure.logs.configuration import configure_logs\n"
    "configure_logs()\n"
    "structlog.get_logger().info('started', port=7001)\n"
)


def environment_of_a_child() -> dict[str, str]:
    without = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    return {**without, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"}


def test_off_a_terminal_standard_error_carries_json() -> None:
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        check=True,
        env=environment_of_a_child(),
    )
    assert json.loads(child.stderr)["port"] == 7001
    assert child.stdout == b""


def test_on_a_terminal_standard_error_carries_coloured_text() -> None:
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", PROGRAM], check=True, stderr=theirs, env=environment_of_a_child()
        )
        written = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "\x1b[" in written
    assert "started" in written
    assert not written.startswith("{")


@pytest.mark.parametrize("library", ["diffusers", "transformers"])
def test_engine_libraries_do_not_repeat_a_cut_prompt(library: str) -> None:
    program = (
        "from infrastructure.logs.configuration import configure_logs\n"
        "configure_logs()\n"
        f"from {library}.utils import logging\n"
        f"logging.get_logger('{library}.pipelines').warning('truncated: {PROMPT}')\n"
        f"logging.get_logger('{library}.pipelines').error('heard')\n"
    )
    child = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env=environment_of_a_child(),
        encoding="utf-8",
    )
    assert PROMPT not in child.stderr
    assert "heard" in child.stderr
