"""A POST that is sent again under the same Idempotency-Key makes one request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.requests.request import Request
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from infrastructure.requests.idempotency import REPEATED_COMMAND
from tests.integration.api_client import Answered, Api, in_base64, picture

BODY = {"prompt": "a very private prompt", "params": {"n": 2, "steps": 7}}


def post(api: Api, repeat: str, key: str = ANONYMOUS_KEY, **options: Any) -> Answered:
    options.setdefault("json", BODY)
    headers = {"Idempotency-Key": repeat}
    return api.call("POST", "/generate/async", key=key, headers=headers, **options)


def waiting(api: Api) -> int:
    """Return how many requests there are."""
    records = api.hoard.storage.log.after(0, 10_000)
    return sum(isinstance(record.event, Request.Submitted) for record in records)


def remembered(api: Api) -> int:
    with api.hoard.storage.ledger_database.reading() as connection:
        return connection.execute(select(func.count()).select_from(REPEATED_COMMAND)).scalar_one()


def refused(answered: Answered) -> str:
    assert (answered.status, answered.rc) == (400, "BadRequest")
    assert set(answered.body["errors"]) == {"Idempotency-Key"}
    return str(answered.body["message"])


def test_the_same_is_answered_with_the_same_request(api: Api) -> None:
    first, second = post(api, "one"), post(api, "one")
    assert (first.status, second.status) == (202, 202)
    assert second.body["id"] == first.body["id"]
    assert second.body["kudos"] == first.body["kudos"]
    assert waiting(api) == 1
    assert post(api, "another").body["id"] != first.body["id"]
    assert waiting(api) == 2


def test_spaces_and_the_order_of_fields_do_not_matter(api: Api) -> None:
    first = post(api, "one", json={"prompt": "a", "nsfw": True})
    again = post(api, "one", json=None, content=b'{ "nsfw" : true,\n "prompt": "\\u0061" }')
    assert again.body["id"] == first.body["id"]


def test_another_body_under_the_same_key_is_refused(api: Api) -> None:
    first = post(api, "one")
    assert "another body" in refused(post(api, "one", json={**BODY, "nsfw": True}))
    assert waiting(api) == 1
    assert post(api, "one").body["id"] == first.body["id"]


def test_a_key_is_its_accounts_own(api: Api) -> None:
    mine, yours = (post(api, "one", api.key(name)) for name in ("me", "you"))
    anonymous = post(api, "one")
    assert len({mine.body["id"], yours.body["id"], anonymous.body["id"]}) == 3


def test_a_key_is_for_one_day(api: Api) -> None:
    first = post(api, "one")
    api.clock.advance(timedelta(hours=24) - timedelta(seconds=1))
    assert post(api, "one").body["id"] == first.body["id"]
    api.clock.advance(timedelta(seconds=1))
    later = post(api, "one", json={"prompt": "something else"})
    assert later.status == 202
    assert later.body["id"] != first.body["id"]


def test_what_is_over_is_thrown_away(api: Api) -> None:
    post(api, "one")
    api.clock.advance(timedelta(hours=12))
    post(api, "two")
    repeats = api.hoard.storage.idempotency
    assert repeats.delete_expired(api.clock.now()) == 0
    api.clock.advance(timedelta(hours=12))
    assert repeats.delete_expired(api.clock.now()) == 1
    assert remembered(api) == 1


def test_what_was_refused_is_tried_anew(api: Api) -> None:
    key = api.key("somebody")
    body = {**BODY, "disable_batching": True}
    assert post(api, "one", key, json=body).rc == "RequiresTrust"
    assert remembered(api) == 0
    trusted = api.key("trusted", trusted=True)
    assert post(api, "one", trusted, json=body).status == 202


def test_a_dry_run_uses_no_key_up(api: Api) -> None:
    assert post(api, "one", json={**BODY, "dry_run": True}).status == 200
    assert remembered(api) == 0
    assert post(api, "one").status == 202


def test_what_is_no_key_is_refused(api: Api) -> None:
    for repeat in ("", "k" * 256, "a\tb"):
        assert "printable" in refused(post(api, repeat))
    assert waiting(api) == 0


def test_only_digests_are_kept_that_nobody_else_can_make(api: Api) -> None:
    post(api, "my secret key")
    with api.hoard.storage.ledger_database.reading() as connection:
        (row,) = connection.execute(select(REPEATED_COMMAND)).all()
    assert "secret" not in str(row)
    assert "private" not in str(row)
    digest = api.hoard.secrets.keyed_digest
    assert digest(b"a", b"b") != digest(b"ab", b"")
    assert len(row.key) == len(row.content) == 64


@pytest.mark.parametrize("who", ["anonymous", "registered"])
def test_all_at_once_make_one_request(api: Api, who: str) -> None:
    key = ANONYMOUS_KEY if who == "anonymous" else api.key("somebody")
    at_once = 8
    for round_number in range(3):
        together = Barrier(at_once)

        def send(name: str = f"round {round_number}", together: Barrier = together) -> Answered:
            together.wait(60)
            return post(api, name, key)

        with ThreadPoolExecutor(at_once) as pool:
            answers = [each.result() for each in [pool.submit(send) for _ in range(at_once)]]
        assert [each.status for each in answers] == [202] * at_once
        assert len({each.body["id"] for each in answers}) == 1
        assert len({each.body["kudos"] for each in answers}) == 1
        assert waiting(api) == round_number + 1


def test_a_source_image_is_a_part_of_the_body(api: Api) -> None:
    body = {**BODY, "source_image": in_base64(picture(1))}
    first = post(api, "one", json=body)
    assert post(api, "one", json=body).body["id"] == first.body["id"]
    refused(post(api, "one", json={**BODY, "source_image": in_base64(picture(2))}))
