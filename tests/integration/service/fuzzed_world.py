"""A Hoard in which all kinds of things exist, so that generated calls meet more than nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

from domain.webhooks.attempts import Outcome
from infrastructure.keys.api_keys import ANONYMOUS_KEY
from tests.integration.api_client import MODEL, Api, in_base64, picture

UNKNOWN_KEY = "x" * 22

WEBHOOK = "https://bot.example/hoard"

MODES_OFF = {"maintenance_mode": False, "invite_only_mode": False, "raid_mode": False}


LONGEST_TIMEOUT = timedelta(days=30)
"""For how long an address can be shut out, such as the one that the tests call from."""


@dataclass(frozen=True)
class Known:
    """What exists: keys of all kinds of callers, and values with which things are found."""

    keys: Sequence[str | None]
    """Those who may do most come first: generated choices lean that way."""
    values: dict[str, list[str]]
    bodies: dict[str, dict[str, Any]]
    """For each operation that takes a body one that works."""

    def values_of(self, name: str) -> list[str]:
        """Return known values for a parameter or a field of this name."""
        return self.values.get(name, [])


class World:
    """Makes new things each time: the calls of an operation delete and change what they find."""

    def __init__(self, api: Api) -> None:
        """Make them in a Hoard behind its API."""
        self._api = api
        self._numbers = count(1)

    def renewed(self) -> Known:
        """Open new accounts with workers, requests, a shared key, a message and webhooks.

        All modes are off, and nobody is shut out.
        """
        self._api.clock.advance(LONGEST_TIMEOUT)
        number = next(self._numbers)
        user, moderator = f"user {number}", f"moderator {number}"
        key = self._api.key(user, trusted=True, patron=True)
        moderators = self._api.key(moderator, moderator=True)
        admins = self._api.key(f"admin {number}", moderator=True, admin=True)
        self._found("PUT", "/status/modes", admins, **MODES_OFF)
        user_id = self._found("GET", "/find_user", key)["id"]
        self._found("PUT", f"/users/{user_id}", admins, kudos=100_000)
        shared = self._found("PUT", "/sharedkeys", key, kudos=5000, name="for friends")
        waiting = self._api.asked(key, n=3)
        worker = f"worker {number}"
        job = self._api.pop(key, worker, amount=2).body
        self._api.submit(job["ids"][0], key)
        worker_id = self._found("GET", f"/workers/name/{worker}")["id"]
        message = self._found(
            "POST", "/workers/messages", moderators, worker_id=worker_id, message="Hello, worker"
        )
        endpoint = self._found("POST", "/webhooks/endpoints", key, url=WEBHOOK)
        test = self._found("POST", f"/webhooks/endpoints/{endpoint['id']}/test", key)
        ledger = self._api.hoard.ledger
        ledger.webhooks.record_attempt(
            UUID(test["delivery_id"]), Outcome(status=500), seconds=0.5, answer="No, thank you"
        )
        self._api.catch_up()
        return Known(
            keys=(admins, key, moderators, ANONYMOUS_KEY, None, UNKNOWN_KEY),
            values={
                "id": job["ids"],
                "request_id": [waiting],
                "image_id": job["ids"],
                "replicate": job["ids"],
                "worker_id": [worker_id],
                "worker_name": [worker],
                "workers": [worker_id],
                "user_id": [str(user_id), "0", "1"],
                "username": [f"{user}#{user_id}", "Anonymous#0"],
                "sharedkey_id": [shared["id"]],
                "message_id": [message["id"]],
                "endpoint_id": [endpoint["id"]],
                "endpoint": [endpoint["id"]],
                "delivery_id": [test["delivery_id"]],
                "request": [waiting],
                "webhook": [WEBHOOK],
                "url": [WEBHOOK],
                "model_name": [MODEL],
                "models": [MODEL],
            },
            bodies={
                "POST /generate/async": {"prompt": "a hat", "params": {"n": 2}},
                "POST /generate/pop": {"name": worker, "models": [MODEL], "max_pixels": 1 << 22},
                "POST /generate/submit": {
                    "id": job["ids"][1],
                    "generation": in_base64(picture()),
                    "seed": 1,
                    "state": "ok",
                },
                "POST /kudos/transfer": {"username": f"{moderator}#{user_id + 1}", "amount": 5},
                "POST /kudos/award": {"username": f"{user}#{user_id}", "amount": 5},
                "PUT /users/{user_id}": {"public_workers": True},
                "PUT /workers/{worker_id}": {"info": "a quiet one"},
                "PUT /sharedkeys": {"kudos": 5, "name": "for more friends"},
                "PATCH /sharedkeys/{sharedkey_id}": {"kudos": 6},
                "POST /webhooks/endpoints": {"url": WEBHOOK, "events": ["ended"]},
                "PATCH /webhooks/endpoints/{endpoint_id}": {"enabled": False},
                "POST /webhooks/deliveries/resend": {"since": "2026-01-01T00:00:00Z"},
                "POST /webhooks/secret/rotate": {"overlap_seconds": 60},
                "POST /workers/messages": {"worker_id": worker_id, "message": "Hello again"},
                "PUT /status/modes": MODES_OFF,
                "POST /operations/ipaddr": {"ipaddr": "203.0.113.7", "hours": 1},
                "DELETE /operations/ipaddr": {"ipaddr": "203.0.113.7"},
                "PUT /operations/block_worker_ipaddr/{worker_id}": {"days": 1},
            },
        )

    def _found(self, method: str, path: str, key: str | None = None, **body: Any) -> dict[str, Any]:
        answer = self._api.call(method, path, key=key, **({"json": body} if body else {}))
        assert answer.status < 300, (method, path, answer.body)
        found: dict[str, Any] = answer.body
        return found
