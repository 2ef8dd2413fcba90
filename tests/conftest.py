"""Fixtures for all levels of tests."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Iterator

import pytest
import structlog

from tests.prepared import (
    ledger_url,
    postgres_copy,
    postgres_template,
    prepared_postgres_url,
)
from tests.servers import (
    own_redis,
    postgres_database,
    postgres_server,
    postgres_url,
    redis_server,
    redis_url,
)

__all__ = [
    "ledger_url",
    "own_redis",
    "postgres_copy",
    "postgres_database",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "prepared_postgres_url",
    "redis_server",
    "redis_url",
]

# A shell that starts the tests in the background has them ignore SIGINT, and so would every program
# that they start: whether Ctrl-C works could not be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)


if "PYTEST_XDIST_WORKER" in os.environ:
    # There is a process of tests for each core; threads of torch beside them wait by spinning.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores: tests that kill things wait for leases to end."""
    return len(os.sched_getaffinity(0)) + 1


# Nothing is collected while tests are; every collection would walk all that was imported by then.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what was imported by now to the end: every full collection of garbage walked it all."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _log_as_the_standard_library() -> None:
    # structlog's own default prints to standard output, between what a command writes there.
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


_log_as_the_standard_library()


@pytest.fixture(scope="session", autouse=True)
def bare_environment() -> Iterator[None]:
    """Keep the settings of whoever starts the tests out of them, but for where ComfyUI lies."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("HOARD_")]:
            if name != "HOARD_COMFYUI_HOME":
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def undisturbed_logging() -> Iterator[None]:
    """Leave no handler, whose stream is closed by then, and no set-up to the next test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    _log_as_the_standard_library()
