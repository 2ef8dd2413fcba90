"""Hoard assembled for tests of the read side: real stores, and time and chance in our hands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.account import ANONYMOUS_ID
from domain.accounts.roles import Roles
from domain.images.settings import ImageSettings
from domain.jobs.commands import NoJob, PopJob, PoppedJob
from domain.jobs.job import ImageState
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.workers.matching import Capabilities, Requirements
from infrastructure.settings.environment import Settings
from projections.status.fold import RequestStatus
from tests.prepared import assembled
from tests.world import ManualClock, SeededRandomSource

LARGE = Capabilities(("A", "B"), 20, 2048 * 2048, True, 1, False, "test:1:large")


class ViewWorld:
    """A Hoard of which every part can be asked, and short ways to let things happen in it."""

    def __init__(self, folder: Path, ledger_url: str | None = None, **settings: Any) -> None:
        self.clock = ManualClock()
        self.hoard = assembled(
            Settings(data=folder, ledger_url=ledger_url, **settings),
            clock=self.clock,
            random_source=SeededRandomSource(),
        )
        self.owner_id = self.hoard.ledger.accounts.open("owner", "0" * 64, Roles(trusted=True))

    def submit(
        self,
        images: int = 1,
        *,
        side: int = 512,
        models: Sequence[str] = (),
        priority: float = 0.0,
        steps: int = 20,
        nsfw: bool = False,
        account_id: UUID = ANONYMOUS_ID,
    ) -> UUID:
        """Ask for images and return the request's id."""
        request_id, _ = self.hoard.ledger.requests.submit(
            SubmitRequest(
                Requester(account_id),
                RequestSpecification(
                    prompt="a red square",
                    negative_prompt="",
                    settings=ImageSettings(side, side, steps, "k_euler", 5.0, True, 1),
                    requirements=Requirements(tuple(models), side * side, nsfw, False, True, False),
                    images=images,
                ),
                priority=priority,
            )
        )
        return request_id

    def pop(self, worker: str = "worker", capabilities: Capabilities = LARGE) -> PoppedJob:
        """Let a worker take a job that must be there."""
        popped = self.hoard.ledger.jobs.pop(PopJob(self.owner_id, True, worker, capabilities))
        assert not isinstance(popped, NoJob)
        return popped

    def deliver(self, job: PoppedJob, *places: int, seconds: float = 0.0) -> None:
        """Deliver these images of a job, all of them when none is named."""
        self.clock.advance(timedelta(seconds=seconds))
        for place in places or range(len(job.image_ids)):
            self.hoard.ledger.jobs.submit_image(
                job.image_ids[place],
                owner_id=self.owner_id,
                digest=f"{place:064x}",
                seed=place,
                state=ImageState.OK,
            )

    def follow(self) -> None:
        """Let every view catch up with the log."""
        for follower in self.hoard.views.followers:
            while follower.catch_up():
                pass

    def status(self, request_id: UUID) -> RequestStatus:
        """Return the status of a request that must be there."""
        status = self.hoard.views.status.status(request_id)
        assert status is not None
        return status

    def close(self) -> None:
        """Let go of the databases."""
        self.hoard.close()


@pytest.fixture
def world(ledger_url: str | None, tmp_path: Path) -> Iterator[ViewWorld]:
    """A Hoard on SQLite files, and once more on PostgreSQL."""
    made = ViewWorld(tmp_path, ledger_url)
    yield made
    made.close()
