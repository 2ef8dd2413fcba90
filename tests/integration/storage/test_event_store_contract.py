"""What every event store promises, asked of the library's own and of ours on each database."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
)

from tests.integration.storage.event_stores import (
    PATIENCE_SECONDS,
    Follower,
    Store,
    event,
    read_all,
)


def test_what_was_appended_is_read_back(recorder: ApplicationRecorder) -> None:
    stream = uuid4()
    events = [
        event(stream, 1, topic="domain.requests.request:Request.Submitted", state=b'{"n":20}'),
        event(stream, 2, topic="é:ü", state=bytes(range(256))),
    ]
    positions = recorder.insert_events(events)
    assert positions is not None
    assert list(recorder.select_events(stream)) == events
    assert [n.id for n in read_all(recorder)] == list(positions)
    assert [
        (n.originator_id, n.originator_version, n.topic, n.state) for n in read_all(recorder)
    ] == [(e.originator_id, e.originator_version, e.topic, e.state) for e in events]


def test_nothing_appended_is_nothing_read(recorder: ApplicationRecorder) -> None:
    assert list(recorder.insert_events([]) or ()) == []
    assert list(recorder.select_events(uuid4())) == []
    assert read_all(recorder) == []
    assert not recorder.max_notification_id()


def test_a_stream_is_read_by_version(recorder: ApplicationRecorder) -> None:
    stream, other = uuid4(), uuid4()
    for version in range(1, 6):
        recorder.insert_events([event(stream, version), event(other, version)])

    def versions(
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[int]:
        found = recorder.select_events(stream, gt=gt, lte=lte, desc=desc, limit=limit)
        assert {e.originator_id for e in found} <= {stream}
        return [e.originator_version for e in found]

    assert versions() == [1, 2, 3, 4, 5]
    assert versions(gt=2) == [3, 4, 5]
    assert versions(lte=2) == [1, 2]
    assert versions(gt=1, lte=4) == [2, 3, 4]
    assert versions(desc=True, limit=2) == [5, 4]
    assert versions(gt=1, limit=2) == [2, 3]


def test_a_version_is_taken_once(recorder: ApplicationRecorder) -> None:
    stream = uuid4()
    recorder.insert_events([event(stream, 1, state=b"first")])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(stream, 1, state=b"second")])
    assert [e.state for e in recorder.select_events(stream)] == [b"first"]


def test_a_save_of_several_streams_is_all_or_nothing(recorder: ApplicationRecorder) -> None:
    taken, fresh = uuid4(), uuid4()
    recorder.insert_events([event(taken, 1)])
    with pytest.raises(IntegrityError):
        recorder.insert_events([event(fresh, 1), event(taken, 1), event(fresh, 2)])
    assert list(recorder.select_events(fresh)) == []
    assert len(read_all(recorder)) == 1
    recorder.insert_events([event(fresh, 1), event(taken, 2)])
    assert len(read_all(recorder)) == 3


def test_each_version_has_one_winner_among_racing_threads(recorder: ApplicationRecorder) -> None:
    stream, threads, rounds = uuid4(), 8, 10
    together = threading.Barrier(threads)

    def race(name: int) -> list[int]:
        won = []
        for version in range(1, rounds + 1):
            together.wait(PATIENCE_SECONDS)
            try:
                recorder.insert_events([event(stream, version, state=str(name).encode())])
            except IntegrityError:
                continue
            won.append(version)
        return won

    with ThreadPoolExecutor(threads) as pool:
        wins = [version for won in pool.map(race, range(threads)) for version in won]
    assert sorted(wins) == list(range(1, rounds + 1))
    assert [e.originator_version for e in recorder.select_events(stream)] == sorted(wins)


def test_the_log_is_read_in_pages(recorder: ApplicationRecorder) -> None:
    for _ in range(10):
        recorder.insert_events([event(uuid4()), event(uuid4())])
    whole = read_all(recorder)
    ids = [n.id for n in whole]
    assert ids == sorted(set(ids))
    assert len(ids) == 20
    follower = Follower(recorder, page=3)
    follower.catch_up()
    assert follower.seen == whole
    assert list(recorder.select_notifications(ids[4], 5)) == whole[4:9]
    assert list(recorder.select_notifications(ids[4], 5, inclusive_of_start=False)) == whole[5:10]
    assert list(recorder.select_notifications(ids[4], 100, ids[7])) == whole[4:8]
    assert list(recorder.select_notifications(None, 2)) == whole[:2]
    assert recorder.max_notification_id() == ids[-1]


def test_the_log_is_filtered_by_topic(recorder: ApplicationRecorder) -> None:
    topics = ["a:A", "b:B", "c:C"]
    for number in range(9):
        recorder.insert_events([event(uuid4(), topic=topics[number % 3])])

    def found(*wanted: str, limit: int = 100) -> list[str]:
        return [n.topic for n in recorder.select_notifications(None, limit, topics=wanted)]

    assert found("b:B") == ["b:B"] * 3
    assert found("a:A", "c:C") == ["a:A", "c:C"] * 3
    assert found("a:A", "c:C", limit=2) == ["a:A", "c:C"]
    assert found("unheard:Of") == []
    assert len(found()) == 9


# --- what ours promises beyond ------------------------------------------------------------------


def test_tails_are_read_in_log_order(store: Store) -> None:
    recorder = store.recorder()
    one, two, other = uuid4(), uuid4(), uuid4()
    for version in range(1, 4):
        recorder.insert_events([event(one, version), event(other, version)])
        recorder.insert_events([event(two, version)])
    tails = recorder.select_tails({one: 2, two: 1, uuid4(): 0})
    assert [(n.originator_id, n.originator_version) for n in tails] == [
        (two, 2),
        (one, 3),
        (two, 3),
    ]
    assert list(tails) == [n for n in read_all(recorder) if n in tails]
    assert list(recorder.select_tails({})) == []


def test_extreme_positions_and_limits_are_harmless(store: Store) -> None:
    recorder, stream = store.recorder(), uuid4()
    recorder.insert_events([event(stream)])
    huge = 10**30
    assert list(recorder.select_notifications(huge, 10)) == []
    assert list(recorder.select_notifications(-huge, huge, huge)) == read_all(recorder)
    assert list(recorder.select_events(stream, gt=huge)) == []
    assert len(recorder.select_events(stream, gt=-huge, lte=huge, limit=huge)) == 1
    assert list(recorder.select_recorded(huge, 1)) == []
    with pytest.raises(ValueError, match="limit"):
        recorder.select_notifications(0, 0)


def test_the_log_records_nothing_but_events(store: Store) -> None:
    with pytest.raises(TypeError, match="tracking"):
        store.recorder().insert_events([event(uuid4())], tracking=object())
