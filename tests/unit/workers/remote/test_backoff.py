from __future__ import annotations

from workers.remote.serving import ServerBackoff


def test_each_failure_in_a_row_doubles_the_wait_to_a_minute() -> None:
    waits: list[float] = []
    backoff = ServerBackoff(waits.append, random_source=lambda: 0.0)
    for _ in range(8):
        backoff.after_failure()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.after_success()
    backoff.after_failure()
    assert waits[-1] == 1


def test_a_wait_is_cut_by_up_to_a_half_but_never_below_what_the_server_asked_for() -> None:
    waits: list[float] = []
    backoff = ServerBackoff(waits.append, random_source=lambda: 1.0)
    backoff.after_failure()
    backoff.after_failure(at_least=30)
    backoff.while_idle()
    assert waits == [0.5, 30, 1]


def test_being_idle_is_no_failure() -> None:
    waits: list[float] = []
    backoff = ServerBackoff(waits.append, random_source=lambda: 0.0)
    for _ in range(3):
        backoff.while_idle()
    backoff.after_failure()
    assert waits == [2, 2, 2, 1]
