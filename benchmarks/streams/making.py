"""Requests, and workers that make their images, straight on the ledger in this process."""

from __future__ import annotations

import time
from uuid import UUID

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.roles import Roles
from domain.images.settings import ImageSettings
from domain.jobs.commands import PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Capabilities, Requirements
from infrastructure.bootstrap import Hoard
from infrastructure.keys.api_keys import digest_of, new_api_key

_SIDE = 512
_WORKER = Capabilities(("Bench",), 1, _SIDE * _SIDE, True, 1, False, "bench:1:nobody")


class Maker:
    """Asks for single images and makes them, and notes when each thing was begun to be told."""

    def __init__(self, hoard: Hoard) -> None:
        self.began: dict[tuple[UUID, str], float] = {}
        """When the command was given of which an event was told, by request and event."""
        self._ledger = hoard.ledger
        self._owner_id = hoard.ledger.accounts.open(
            "stream benchmark", digest_of(new_api_key()), Roles(trusted=True)
        )

    def ask(self) -> UUID:
        """Ask for one image; return the request's id."""
        request_id, _ = self._ledger.requests.submit(
            SubmitRequest(
                Requester(ANONYMOUS_ID),
                RequestSpecification(
                    prompt="a red square",
                    negative_prompt="",
                    settings=ImageSettings(_SIDE, _SIDE, 20, "k_euler", 5.0, True, 1),
                    requirements=Requirements((), _SIDE * _SIDE, False, False, True, False),
                    images=1,
                ),
            )
        )
        return request_id

    def make_one(self) -> None:
        """Pop the next request and deliver its image."""
        begun = time.perf_counter()
        job = self._ledger.jobs.pop(PopJob(self._owner_id, True, "stream worker", _WORKER))
        if not isinstance(job, PoppedJob):
            raise RuntimeError("no request waits")
        self.began[job.request_id, "started"] = begun
        begun = time.perf_counter()
        self._ledger.jobs.submit_image(
            job.image_ids[0],
            owner_id=self._owner_id,
            digest="0" * 64,
            seed=1,
            state=ImageState.OK,
        )
        for event in ("image", "ended"):
            self.began[job.request_id, event] = begun
