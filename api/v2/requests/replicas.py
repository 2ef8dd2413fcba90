"""Asking for an image that was made before, in the place of a new one."""

from __future__ import annotations

from pydantic_core import from_json

from api.http.answer import Answer
from api.http.bodies import read_body
from api.http.parameters import uuid_from
from api.v2.requests.feature import IntakeFeature
from api.v2.requests.preparing import (
    advice_on_workers,
    body_of_taken,
    told_of_workers,
    with_upfront,
)
from api.v2.requests.requester import Requester
from api.v2.requests.schemas import GenerationInputStable, ReplicationInput
from domain.images.source_images import SourceImages
from domain.requests.commands import ReplicateImage
from domain.return_codes import Refused

_FIELD = "replicate"
_OF_NEW_IMAGES = GenerationInputStable.model_fields.keys() - ReplicationInput.model_fields.keys()


def read_asked(raw: bytes) -> GenerationInputStable | ReplicationInput:
    """Read a body that asks for new images, or for one that was made before.

    :raises Refused: as :func:`api.http.bodies.read_body` does, or ``BadRequest`` when it asks for
        both.
    """
    # Nearly all bodies are told apart without being parsed twice.
    if b'"replicate"' not in raw:
        return read_body(GenerationInputStable, raw)
    try:
        fields = from_json(raw)
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or fields.get(_FIELD) is None:
        return read_body(GenerationInputStable, raw)
    given = read_body(ReplicationInput, raw)
    foreign = sorted(name for name in _OF_NEW_IMAGES if fields.get(name) is not None)
    if foreign:
        raise Refused(
            "BadRequest",
            f"{foreign[0]}: leave it out; an image is made again with all that it was made with.",
            dict.fromkeys(foreign, "does not go with replicate"),
        )
    return given


def replicated(given: ReplicationInput, requester: Requester, feature: IntakeFeature) -> Answer:
    """Answer a request for an image that was made before.

    :raises Refused: ``ImageNotFound``, ``ImageNotGenerated``, ``ImageForgotten``,
        ``WebhookInvalid``, or with whatever a request is refused for its kudos.
    """
    ledger = feature.ledger
    image_id = uuid_from(given.replicate)
    if image_id is None:
        raise Refused("ImageNotFound")
    command = ledger.requests.replicate(
        ReplicateImage(
            account_id=requester.account.account_id,
            shared_key_id=requester.account.shared_key_id,
            image_id=image_id,
            exact=given.exact,
            shared=given.shared,
            r2=given.r2,
            slow_workers=given.slow_workers,
            trusted_workers=given.trusted_workers,
            unsafe_ip=requester.unsafe_ip,
            client_address=requester.address,
            client_agent=requester.agent,
            webhook=feature.webhook_targets.of_request(
                given.webhook, given.webhook_events, account_id=requester.account.account_id
            ),
        )
    )
    if command.source is not None:
        _require_kept(command.source, feature)
    if given.dry_run:
        return Answer({"kudos": ledger.requests.price(command).total})
    request_id, kudos = ledger.requests.submit(with_upfront(command, feature), requester.attempt)
    advice = advice_on_workers(command, feature)
    told = " ".join(told_of_workers(advice)) or None
    return Answer(body_of_taken(request_id, kudos, advice, told), status_code=202)


def _require_kept(source: SourceImages, feature: IntakeFeature) -> None:
    """Require that the images which it started from are there; they count as used now."""
    try:
        for digest in source.digests:
            feature.blobs.get(digest)
    except LookupError:
        raise Refused("ImageForgotten") from None
