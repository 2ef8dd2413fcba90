"""Uploads in any order: late, wrong and repeated ones change nothing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.jobs.image_ids import job_of
from tests.integration.api_client import picture, serving

PICTURES = [picture(shade) for shade in range(3)]
LEASE = timedelta(seconds=150)


@dataclass
class Place:
    """What the model knows of one image."""

    image_id: str
    address: str
    job: int
    uploaded: bytes | None = None
    submitted: bool = False


class Uploading(RuleBasedStateMachine):
    """A worker that brings what it likes to whichever address it likes, whenever it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.serving = serving(Path(self.folder.name))
        self.places: list[Place] = []
        self.ends_at: list[timedelta] = []
        self.over: set[int] = set()
        self.time = timedelta(0)

    @initialize()
    def serve(self) -> None:
        self.api = self.serving.__enter__()
        self.requests: list[str] = []

    @precondition(lambda self: len(self.ends_at) < 3)
    @rule(images=st.integers(1, 3))
    def pop(self, images: int) -> None:
        self.requests.append(self.api.asked(n=images, models=[f"model {len(self.ends_at)}"]))
        job = self.api.popped(models=[f"model {len(self.ends_at)}"])
        for image_id, address in zip(job["ids"], job["r2_uploads"], strict=True):
            self.places.append(Place(image_id, address, len(self.ends_at)))
        self.ends_at.append(self.time + LEASE)

    @precondition(lambda self: self.places)
    @rule(data=st.data(), shade=st.integers(0, 3), tamper=st.booleans())
    def upload(self, data: st.DataObject, shade: int, tamper: bool) -> None:
        place = data.draw(st.sampled_from(self.places))
        body = PICTURES[shade] if shade < len(PICTURES) else b"no picture"
        address = place.address
        if tamper:
            other = data.draw(st.sampled_from(self.places))
            query = other.address.partition("?")[2]
            address = f"{place.address.partition('?')[0]}?{query if other != place else ''}"
        status = self.api.http.put(address, content=body).status_code
        good = not tamper and self.is_awaited(place)
        if good and place.uploaded is None and body != b"no picture":
            place.uploaded = body
        taken = good and place.uploaded == body
        assert (status == 200) is taken

    @precondition(lambda self: self.places)
    @rule(data=st.data())
    def submit(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(self.places))
        status = self.api.submit(place.image_id, generation="R2").status
        taken = place.uploaded is not None and not place.submitted and place.job not in self.over
        assert (status == 200) is taken
        place.submitted = place.submitted or taken

    @rule(seconds=st.sampled_from([1, 100, 149, 150]))
    def wait(self, seconds: int) -> None:
        self.time += timedelta(seconds=seconds)
        self.api.clock.advance(timedelta(seconds=seconds))

    @rule()
    def sweep(self) -> None:
        for job, ends_at in enumerate(self.ends_at):
            places = [place for place in self.places if place.job == job]
            if self.time >= ends_at and not all(place.submitted for place in places):
                self.api.hoard.ledger.jobs.expire_lease(job_of(UUID(places[0].image_id)))
                self.over.add(job)
        self.api.hoard.storage.uploads.delete_expired()

    @precondition(lambda self: self.ends_at)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.integers(0, len(self.ends_at) - 1))
        self.api.call("DELETE", f"/generate/status/{self.requests[job]}")
        self.over.add(job)

    def is_awaited(self, place: Place) -> bool:
        """Whether an upload may still be taken."""
        return (
            place.job not in self.over
            and not place.submitted
            and self.time < self.ends_at[place.job]
        )

    @invariant()
    def only_what_was_submitted_is_there(self) -> None:
        submitted = [place for place in self.places if place.submitted]
        for number, request_id in enumerate(getattr(self, "requests", [])):
            known: Any = self.api.hoard.views.status.status(UUID(request_id))
            made = {str(image.image_id): image.digest for image in known.generations}
            assert made == {
                place.image_id: sha256(place.uploaded or b"").hexdigest()
                for place in submitted
                if place.job == number
            }

    def teardown(self) -> None:
        if hasattr(self, "api"):
            self.serving.__exit__(None, None, None)
        self.folder.cleanup()


TestUploading = Uploading.TestCase
TestUploading.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
