"""May this worker have this request, and if not, why."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from domain.matching import Candidate, Capabilities, Requirements, SkipReason, model_for, why_not

WORKER_ID = UUID(int=7)
CAPABILITIES = Capabilities(
    models=("A", "B"),
    amount=4,
    max_pixels=512 * 512,
    nsfw=False,
    threads=1,
    extra_slow=False,
    bridge_agent="test:1:nobody",
)
WORKER = Candidate(worker_id=WORKER_ID, capabilities=CAPABILITIES, trusted=False)
ANYTHING = Requirements(
    models=(),
    pixels=512 * 512,
    nsfw=False,
    trusted_workers=False,
    slow_workers=True,
    extra_slow_workers=False,
)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (ANYTHING, None),
        (replace(ANYTHING, models=("B", "C")), None),
        (replace(ANYTHING, models=("C",)), SkipReason.MODELS),
        (replace(ANYTHING, pixels=512 * 512 + 1), SkipReason.MAX_PIXELS),
        (replace(ANYTHING, nsfw=True), SkipReason.NSFW),
        (replace(ANYTHING, trusted_workers=True), SkipReason.UNTRUSTED),
        (replace(ANYTHING, workers=(WORKER_ID,)), None),
        (replace(ANYTHING, workers=(UUID(int=8),)), SkipReason.WORKER_ID),
        (replace(ANYTHING, workers=(WORKER_ID,), worker_blacklist=True), SkipReason.WORKER_ID),
        (replace(ANYTHING, workers=(UUID(int=8),), worker_blacklist=True), None),
    ],
)
def test_the_first_reason_is_named(wanted: Requirements, reason: SkipReason | None) -> None:
    assert why_not(WORKER, wanted) is reason


def test_a_slow_worker_serves_only_who_allows_it() -> None:
    slow = replace(WORKER, slow=True)
    assert why_not(slow, ANYTHING) is None
    assert why_not(slow, replace(ANYTHING, slow_workers=False)) is SkipReason.PERFORMANCE


def test_an_extra_slow_worker_serves_only_who_allows_it() -> None:
    worker = replace(WORKER, capabilities=replace(CAPABILITIES, extra_slow=True))
    assert why_not(worker, ANYTHING) is SkipReason.PERFORMANCE
    assert why_not(worker, replace(ANYTHING, extra_slow_workers=True)) is None


def test_a_trusted_owners_worker_serves_who_wants_trust() -> None:
    assert why_not(replace(WORKER, trusted=True), replace(ANYTHING, trusted_workers=True)) is None


def test_the_model_is_the_workers_first_that_the_request_allows() -> None:
    assert model_for(CAPABILITIES, ()) == "A"
    assert model_for(CAPABILITIES, ("B", "C")) == "B"
    with pytest.raises(ValueError, match="none of the request's models"):
        model_for(CAPABILITIES, ("C",))
