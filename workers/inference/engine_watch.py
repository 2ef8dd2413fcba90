"""The engine watch: an engine that went away is asked again and again until it answers."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from domain.backoff import Backoff
from workers.engines.protocol import Engine, EngineAway

_log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_LOOK_EVERY_SECONDS = 1.0


def wait_until_back(
    engine: Engine, *, stop: Callable[[], bool], pause: Callable[[float], None]
) -> bool:
    """Return whether the engine answers again; False when it was time to stop before.

    The pause between two questions doubles, from one second to half a minute.

    :param stop: whether to wait no longer; looked at every second.
    :param pause: waits a number of seconds.
    """
    backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
    while True:
        seconds = backoff.next_pause()
        waited = 0.0
        while not stop() and waited < seconds:
            pause(_LOOK_EVERY_SECONDS)
            waited += _LOOK_EVERY_SECONDS
        if stop():
            return False
        try:
            engine.abilities()
        except EngineAway:
            continue
        _log.info("the engine is back", engine=engine.name)
        return True
