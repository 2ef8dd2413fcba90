"""An idle worker keeps showing itself, whatever goes wrong in between."""

from __future__ import annotations

import threading

from workers.inference.workplace import report_presence


def test_it_shows_itself_again_and_again_though_showing_fails() -> None:
    shown = 0
    often = threading.Event()

    def report() -> None:
        nonlocal shown
        shown += 1
        if shown == 3:
            often.set()
        raise OSError("the database is away")

    before = set(threading.enumerate())
    stop = report_presence(report, every_seconds=0.001)
    assert often.wait(30)
    stop.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
