"""The state of the whole: performance, modes and news."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api_client import Api, serving


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path, follow=True) as served:
        yield served


def test_performance_counts_what_waits_who_is_there_and_what_was_made(
    api: Api, tmp_path: Path
) -> None:
    api.pop(threads=3)
    api.pop(name="another worker", models=["another model"])
    api.asked(n=2)
    api.deliver(api.popped(threads=3)["ids"])
    api.asked(n=4, params={"steps": 10})
    # Another process has nothing in mind that was so a second ago.
    with serving(tmp_path) as other:
        answered = other.call("GET", "/status/performance")
    assert answered.status == 200
    assert answered.body == {
        "queued_requests": 4,
        "queued_text_requests": 0,
        "worker_count": 2,
        "text_worker_count": 0,
        "thread_count": 4,
        "text_thread_count": 0,
        "queued_megapixelsteps": pytest.approx(4 * 10 * 512 * 512 / 1e6, abs=0.01),
        "past_minute_megapixelsteps": pytest.approx(2 * 30 * 512 * 512 / 1e6, abs=0.01),
        "queued_forms": 0,
        "interrogator_count": 0,
        "interrogator_thread_count": 0,
        "queued_tokens": 0,
        "past_minute_tokens": 0,
    }


def test_nobody_is_in_any_mode_at_first(api: Api) -> None:
    answered = api.call("GET", "/status/modes")
    assert answered.status == 200
    assert answered.body == {"maintenance_mode": False, "invite_only_mode": False}


def test_moderators_change_modes_and_are_told_of_raids(api: Api) -> None:
    moderator, user = api.key("moderator", moderator=True), api.key("user")
    changed = api.call(
        "PUT",
        "/status/modes",
        key=moderator,
        json={"invite_only_mode": True, "raid_mode": True, "maintenance_mode": None},
    )
    expected = {"maintenance_mode": False, "invite_only_mode": True, "raid_mode": True}
    assert (changed.status, changed.body) == (200, expected)
    assert api.call("GET", "/status/modes", key=moderator).body == expected
    for key in (user, None):
        told = api.call("GET", "/status/modes", key=key).body
        assert told == {"maintenance_mode": False, "invite_only_mode": True}


def test_admins_put_the_service_into_maintenance_and_back(api: Api) -> None:
    admin = api.key("admin", admin=True)
    for wanted in (True, False):
        body = {"maintenance_mode": wanted}
        changed = api.call("PUT", "/status/modes", key=admin, json=body)
        assert changed.status == 200
        assert changed.body["maintenance_mode"] is wanted
        assert api.call("GET", "/status/modes").body["maintenance_mode"] is wanted


@pytest.mark.parametrize(
    ("roles", "body", "status", "rc"),
    [
        ({}, {"raid_mode": True}, 403, "NotModerator"),
        ({"trusted": True}, {}, 403, "NotModerator"),
        ({"moderator": True}, {"maintenance_mode": True}, 403, "NotAdmin"),
        ({"moderator": True}, {"maintenance_mode": True, "raid_mode": True}, 403, "NotAdmin"),
        ({"moderator": True}, {}, 400, "NoHordeModSelected"),
        ({"admin": True}, {"raid_mode": None}, 400, "NoHordeModSelected"),
        ({"admin": True}, {"raid_mode": "yes"}, 400, "BadRequest"),
    ],
)
def test_who_may_not_change_modes(
    api: Api, roles: dict[str, bool], body: dict[str, object], status: int, rc: str
) -> None:
    answered = api.call("PUT", "/status/modes", key=api.key("somebody", **roles), json=body)
    assert (answered.status, answered.rc) == (status, rc)
    assert api.call("GET", "/status/modes").body == {
        "maintenance_mode": False,
        "invite_only_mode": False,
    }


def test_a_key_that_nobody_has_is_told_no_modes(api: Api) -> None:
    answered = api.call("GET", "/status/modes", key="k" * 22)
    assert (answered.status, answered.rc) == (401, "InvalidAPIKey")


def test_modes_outlive_the_process(tmp_path: Path) -> None:
    with serving(tmp_path) as first:
        admin = first.key("admin", admin=True)
        first.call("PUT", "/status/modes", key=admin, json={"maintenance_mode": True})
    with serving(tmp_path) as second:
        assert second.call("GET", "/status/modes").body["maintenance_mode"] is True


def test_news_are_told_the_latest_first(tmp_path: Path) -> None:
    (tmp_path / "news.toml").write_text(
        "[[news]]\npublished = 2026-11-01\ntitle = 'Open'\ntext = 'Come in.'\n"
        "[[news]]\npublished = 2026-11-20\ntitle = 'More'\ntext = '**Four** GPUs.'\n"
        "importance = 'Workers'\ntags = ['gpu']\nmore_info_urls = ['https://example.org']\n"
    )
    with serving(tmp_path) as api:
        answered = api.call("GET", "/status/news")
    assert answered.status == 200
    assert answered.body == [
        {
            "date_published": "2026-11-20",
            "newspiece": "**Four** GPUs.",
            "importance": "Workers",
            "tags": ["gpu"],
            "title": "More",
            "more_info_urls": ["https://example.org"],
        },
        {
            "date_published": "2026-11-01",
            "newspiece": "Come in.",
            "importance": "Information",
            "tags": [],
            "title": "Open",
            "more_info_urls": [],
        },
    ]


def test_no_news_is_an_empty_list(api: Api) -> None:
    assert api.call("GET", "/status/news").body == []
