"""May this worker have this request, and if not, why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.workers.matching import (
    Candidate,
    Capabilities,
    Requirements,
    SkipReason,
    as_preferred,
    model_for,
    refuses_words,
    why_not,
)

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


def capable(**fields: Any) -> Candidate:
    """Return a worker that does everything, but for these fields of its declaration."""
    declared = replace(
        CAPABILITIES,
        nsfw=True,
        img2img=True,
        painting=True,
        post_processing=True,
        controlnet=True,
        sdxl_controlnet=True,
        lora=True,
        unsafe_ip=True,
    )
    return Candidate(WORKER_ID, replace(declared, **fields), trusted=True)


ABLE = capable()
OLD = capable(bridge_agent="AI Horde Worker reGen:2:nobody")
DEMANDING = replace(
    ANYTHING,
    nsfw=True,
    trusted_workers=True,
    img2img=True,
    painting=True,
    post_processing=True,
    controlnet=True,
    sdxl_controlnet=True,
    lora=True,
    unsafe_ip=True,
    many_steps=True,
    unfunded=True,
    features=("CodeFormers", "lora_versions"),
)

MATRIX = [
    (SkipReason.WORKER_ID, ABLE, replace(ANYTHING, workers=(UUID(int=8),)), ANYTHING),
    (SkipReason.PERFORMANCE, replace(ABLE, slow=True), replace(ANYTHING, slow_workers=False), None),
    (SkipReason.PERFORMANCE, capable(extra_slow=True), ANYTHING, None),
    (SkipReason.NSFW, capable(nsfw=False), replace(ANYTHING, nsfw=True), None),
    (SkipReason.UNTRUSTED, replace(ABLE, trusted=False), DEMANDING, None),
    (SkipReason.MODELS, capable(models=("Z",)), replace(ANYTHING, models=("A",)), None),
    (SkipReason.BRIDGE_VERSION, OLD, replace(ANYTHING, features=("lora_versions",)), None),
    (SkipReason.KUDOS, capable(require_upfront_kudos=True), DEMANDING, None),
    (SkipReason.MAX_PIXELS, capable(max_pixels=64 * 64), ANYTHING, None),
    (SkipReason.STEP_COUNT, capable(limit_max_steps=True), DEMANDING, None),
    (SkipReason.UNSAFE_IP, capable(unsafe_ip=False), DEMANDING, None),
    (SkipReason.IMG2IMG, capable(img2img=False), DEMANDING, None),
    (SkipReason.PAINTING, capable(painting=False), DEMANDING, None),
    (SkipReason.POST_PROCESSING, capable(post_processing=False), DEMANDING, None),
    (SkipReason.LORA, capable(lora=False), DEMANDING, None),
    (SkipReason.CONTROLNET, capable(controlnet=False), DEMANDING, None),
    (SkipReason.CONTROLNET, capable(sdxl_controlnet=False), DEMANDING, None),
]
"""For each reason a worker, a request that it may not have for it, and one (by default any) that
differs in only that; the same request suits the worker that can do everything."""


@pytest.mark.parametrize(
    ("reason", "worker", "wanted", "otherwise"), MATRIX, ids=[str(row[0]) for row in MATRIX]
)
def test_worker_and_request_differ_in_only_that(
    reason: SkipReason, worker: Candidate, wanted: Requirements, otherwise: Requirements | None
) -> None:
    assert why_not(worker, wanted) is reason
    if otherwise is not None:
        assert why_not(worker, otherwise) is None
    else:
        assert why_not(ABLE, replace(wanted, models=())) is None


def test_the_matrix_is_whole() -> None:
    """The blacklist alone cannot be told from what a request requires: prompts are sealed."""
    assert {row[0] for row in MATRIX} == set(SkipReason) - {SkipReason.BLACKLIST}


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("a Zebra in a field", True),
        ("zebras", True),
        ("a horse", False),
        ("", False),
    ],
)
def test_words_of_the_blacklist_are_found_within_words_in_any_case(
    text: str, refused: bool
) -> None:
    declared = replace(CAPABILITIES, blacklist=("zebra",))
    assert refuses_words(declared, "a picture", text) is refused
    assert not refuses_words(CAPABILITIES, text)


@pytest.mark.parametrize(
    ("agent", "declared", "wanted", "reason"),
    [
        ("AI Horde Worker reGen:2:nobody", ("lora_versions",), ("lora_versions", "tiling"), None),
        (
            "AI Horde Worker reGen:2:nobody",
            ("flux",),
            ("lora_versions",),
            SkipReason.BRIDGE_VERSION,
        ),
        ("Hoard in-cluster:1:nobody", ("clip_skip",), ("clip_skip",), None),
        ("Hoard in-cluster:1:nobody", (), ("clip_skip",), SkipReason.BRIDGE_VERSION),
        ("test:1:nobody", (), ("flux", "replication"), SkipReason.BRIDGE_VERSION),
        ("test:1:nobody", ("replication",), ("flux", "replication"), None),
    ],
)
def test_each_feature_is_known_of_the_software_or_declared(
    agent: str, declared: tuple[str, ...], wanted: tuple[str, ...], reason: SkipReason | None
) -> None:
    worker = capable(bridge_agent=agent, features=declared)
    assert why_not(worker, replace(ANYTHING, features=wanted)) is reason


def test_favourites_need_no_kudos_beforehand() -> None:
    worker = capable(require_upfront_kudos=True)
    unfunded = replace(ANYTHING, unfunded=True)
    assert why_not(worker, unfunded) is SkipReason.KUDOS
    assert why_not(as_preferred(worker), unfunded) is None
    assert as_preferred(ABLE) is ABLE


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
