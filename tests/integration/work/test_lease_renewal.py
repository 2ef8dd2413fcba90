"""A worker that shows progress keeps its job for longer, though not for ever."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from domain.jobs.image_ids import job_of
from domain.jobs.leases import LEASES_IN_A_ROW
from projections.following.rebuild import verify
from tests.integration.api_client import Api
from tests.kudos_world import refusal_of

LEASE = timedelta(seconds=150)


def owner(api: Api) -> UUID:
    """Return the account of the worker."""
    entry = api.hoard.inline.directory.account_by_name("owner")
    assert entry is not None
    return entry.account_id


def test_a_renewed_lease_holds_from_the_renewal_on(api: Api) -> None:
    request_id = api.asked()
    job = api.popped()
    job_id = job_of(UUID(job["id"]))
    api.clock.advance(LEASE * 2 / 3)
    ends_at = api.hoard.ledger.jobs.renew_lease(job_id, owner_id=owner(api))
    assert ends_at == api.clock.now() + LEASE
    api.clock.advance(LEASE * 2 / 3)
    assert api.hoard.inline.queue.due_leases(api.clock.now(), 10) == []
    api.hoard.ledger.jobs.expire_lease(job_id)
    api.hoard.ledger.jobs.may_upload(UUID(job["id"]))
    assert api.submit(job["id"]).status == 200
    assert api.status(request_id)["done"]
    assert not verify(
        api.hoard.inline.queue, api.hoard.storage.log, api.hoard.storage.ledger_database
    ).differences


def test_a_renewed_lease_still_ends(api: Api) -> None:
    api.asked()
    job_id = job_of(UUID(api.popped()["id"]))
    api.clock.advance(LEASE / 2)
    api.hoard.ledger.jobs.renew_lease(job_id, owner_id=owner(api))
    api.clock.advance(LEASE)
    assert list(api.hoard.inline.queue.due_leases(api.clock.now(), 10)) == [job_id]
    refused = refusal_of(api.hoard.ledger.jobs.renew_lease, job_id, owner_id=owner(api))
    assert refused is not None
    assert refused.code.name == "AbortedGen"
    api.hoard.ledger.jobs.expire_lease(job_id)
    assert api.pop().body["id"]


def test_progress_for_ever_is_not_enough(api: Api) -> None:
    api.asked()
    batched_at = api.clock.now()
    job_id = job_of(UUID(api.popped()["id"]))
    ends_at = batched_at
    for _ in range(2 * LEASES_IN_A_ROW - 1):
        api.clock.advance(LEASE / 2)
        ends_at = api.hoard.ledger.jobs.renew_lease(job_id, owner_id=owner(api))
    assert ends_at == batched_at + LEASES_IN_A_ROW * LEASE


def test_only_its_own_worker_renews(api: Api) -> None:
    api.asked()
    job_id = job_of(UUID(api.popped()["id"]))
    refused = refusal_of(api.hoard.ledger.jobs.renew_lease, job_id, owner_id=UUID(int=1))
    assert refused is not None
    assert refused.code.name == "WrongCredentials"


def test_a_job_that_is_over_is_not_renewed(api: Api) -> None:
    request_id = api.asked()
    job_id = job_of(UUID(api.popped()["id"]))
    api.call("DELETE", f"/generate/status/{request_id}")
    refused = refusal_of(api.hoard.ledger.jobs.renew_lease, job_id, owner_id=owner(api))
    assert refused is not None
    assert refused.code.name == "AbortedGen"
