"""Structured logs: one JSON object a line for machines, coloured text on a terminal.

Everything goes to standard error through the root logger, so that uvicorn, Celery, SQLAlchemy and
the warnings of Python look like Hoard's own entries and pass the same redaction.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from infrastructure.logs.redaction import redact

# Below these levels they log URLs with secrets, or truncated parts of prompts.
_QUIET = {
    "alembic": logging.WARNING,
    "diffusers": logging.ERROR,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "transformers": logging.ERROR,
    "urllib3": logging.WARNING,
}
# These two set their own level and handler when they are imported, unless configured otherwise.
_QUIET_BY_ENVIRONMENT = ("DIFFUSERS_VERBOSITY", "TRANSFORMERS_VERBOSITY")
# These install handlers of their own when they may configure logging.
_ROUTED = ("celery", "celery.task", "celery.redirected", "uvicorn", "uvicorn.access")


class _Handler(logging.StreamHandler[TextIO]):
    """Hoard's handler of the root logger, known by its type."""


def configure_logs(
    level: str = "INFO",
    *,
    json: bool | None = None,
    stream: TextIO | None = None,
    for_good: bool = False,
) -> None:
    """Send every log of this process to standard error (or ``stream``); safe to call again.

    ``level`` is a name of the standard library, ``DEBUG`` to ``CRITICAL``. ``json`` chooses JSON
    lines or text; left out, text on a terminal and JSON elsewhere. ``for_good`` is quicker: loggers
    keep the configuration of their first use.

    The servers must not configure logging after this: uvicorn takes ``log_config=None``, Celery a
    receiver of its signal ``setup_logging``.
    """
    target = sys.stderr if stream is None else stream
    handler = _Handler(target)
    handler.setFormatter(_formatter(target, target.isatty() is False if json is None else json))

    root = logging.getLogger()
    for other in [found for found in root.handlers if isinstance(found, _Handler)]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(level)

    for name in _ROUTED:
        routed = logging.getLogger(name)
        routed.handlers.clear()
        routed.propagate = True
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(least)
    for variable in _QUIET_BY_ENVIRONMENT:
        os.environ[variable] = "error"
    logging.captureWarnings(True)

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_CONTEXT_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=for_good,
    )


_CONTEXT_PROCESSORS: list[Processor] = [
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def _formatter(stream: TextIO, as_json: bool) -> logging.Formatter:
    renderer: Processor
    if as_json:
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty() and "NO_COLOR" not in os.environ,
            # The default shows local variables, and with them prompts and keys.
            exception_formatter=structlog.dev.plain_traceback,
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars, *_CONTEXT_PROCESSORS],
        pass_foreign_args=True,
        processors=[
            _reduce_access_line,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # As plain text: a structured traceback shows local variables.
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
    )


def _reduce_access_line(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace uvicorn's access line, which names the client and its query, by the bare facts."""
    arguments = entry.pop("positional_args", None)
    if entry.get("logger") == "uvicorn.access" and arguments and len(arguments) == 5:
        _client, method, target, _version, status = arguments
        entry.update(
            event="answered", method=method, path=str(target).partition("?")[0], status=status
        )
    return entry
