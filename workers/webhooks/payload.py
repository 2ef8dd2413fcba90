"""The body of a delivery: made anew for each attempt from the history of its request.

It is the same each time, except for the signature in the address of an image.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import orjson

from domain.images.addresses import Signer, image_address
from domain.webhooks.delivery import WebhookDelivery
from projections.status.fold import Generation
from projections.tracking.history import RequestHistory
from projections.tracking.notifications import IMAGE, notification_data, notification_of

TEST_TYPE = "endpoint.test"


class NotificationNotFound(LookupError):
    """The log lacks the event that a delivery is about, as after it was restored in part."""


class Blobs(Protocol):
    """Where images are kept by their SHA-256."""

    def get(self, digest: str) -> bytes:
        """Return the bytes.

        :raises LookupError: when there are none, or they are no longer what they were.
        """


class Payloads:
    """Makes bodies."""

    def __init__(self, blobs: Blobs, signer: Signer, *, root: str, lifetime: timedelta) -> None:
        """Make the addresses of images with a signer.

        :param root: what they start with, without a slash at its end.
        :param lifetime: how long they count, at least.
        """
        self._blobs = blobs
        self._signer = signer
        self._root = root
        self._lifetime = lifetime

    def body(self, delivery: WebhookDelivery, history: RequestHistory | None) -> bytes:
        """Return the JSON that is posted.

        For a request's own webhook an image has the body of the v2 API. Everything else is in an
        envelope that says what it is.

        :param history: of its request; None for a test.
        :raises NotificationNotFound: when the history lacks the event.
        """
        if history is None:
            return _enveloped(TEST_TYPE, delivery, {"endpoint": delivery.endpoint_id})
        data = self._data(delivery, history)
        if delivery.kind == IMAGE and delivery.endpoint_id is None:
            return orjson.dumps(data)
        return _enveloped(f"request.{delivery.kind}", delivery, data)

    def _data(self, delivery: WebhookDelivery, history: RequestHistory) -> dict[str, Any]:
        wanted = (delivery.kind, delivery.about, delivery.step)
        so_far = RequestHistory(history.submitted)

        def image_of(made: Generation) -> str:
            if delivery.endpoint_id is None and not history.submitted.r2:
                return self._encoded(made.digest)
            return self._address(history.request_id, made.image_id)

        for record in history.records:
            so_far.add(record)
            found = notification_of(record.event, history.request_id)
            if found and (found.kind, found.about, found.step) == wanted:
                return notification_data(record, so_far, image_of)
        raise NotificationNotFound

    def _address(self, request_id: UUID, image_id: UUID) -> str:
        return image_address(self._signer, self._root, request_id, image_id, self._lifetime)

    def _encoded(self, digest: str) -> str:
        try:
            return base64.b64encode(self._blobs.get(digest)).decode("ascii")
        except LookupError:
            # The facts about an image outlive it.
            return ""


def _enveloped(type_: str, delivery: WebhookDelivery, data: dict[str, Any]) -> bytes:
    envelope = {"type": type_, "timestamp": delivery.happened_at, "data": data}
    return orjson.dumps(envelope, option=orjson.OPT_UTC_Z)
