"""A Hoard whose webhooks are sent for real, to receivers on this machine, when we want it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from domain.accounts.roles import Roles
from domain.images.settings import ImageSettings
from domain.ledger.webhooks import PlannedDelivery
from domain.requests.specification import Requester, RequestSpecification, SubmitRequest
from domain.webhooks.delivery import WebhookDelivery
from domain.webhooks.notification import NotificationKind
from domain.webhooks.webhook import WebhookTarget
from domain.workers.matching import Requirements
from infrastructure.processes.webhooks import sender_of
from infrastructure.webhooks.posts import WebhookPosts
from projections.tracking import notifications
from projections.tracking.history import RequestHistory
from projections.tracking.notifications import notification_of
from tests.view_world import ViewWorld
from tests.webhook_receiver import Posted, Receiver
from workers.webhooks.sender import WebhookSender

LOOPBACK = "127.0.0.0/8"
HERE = "127.0.0.1"


class WebhookWorld(ViewWorld):
    """One whose clock starts at the present: receivers refuse what was signed at another time."""

    def __init__(self, folder: Path, ledger_url: str | None = None, **settings: Any) -> None:
        super().__init__(folder, ledger_url, **{"permit_networks": LOOPBACK, **settings})
        self.clock.time = datetime.now(UTC)
        self.integrator = self.hoard.ledger.accounts.open("integrator", "1" * 64, Roles())

    def trust(self, receiver: Receiver) -> None:
        """Send to a receiver with a certificate of its own, from now on."""
        posts = WebhookPosts(
            permitted=self.hoard.settings.permitted_networks, ssl_context=receiver.trusting()
        )
        self.hoard.sending.posts.close()
        self.hoard = replace(self.hoard, sending=replace(self.hoard.sending, posts=posts))

    def sender(self) -> WebhookSender:
        """Return what sends deliveries, with nothing remembered."""
        return sender_of(self.hoard)

    def ask(
        self,
        images: int = 1,
        *,
        address: str | None = None,
        kinds: tuple[NotificationKind, ...] = notifications.DEFAULT_KINDS,
        account_id: UUID | None = None,
    ) -> UUID:
        """Ask for images, to be told of at an address of the request's own."""
        account_id = self.integrator if account_id is None else account_id
        wish = None
        if address is not None:
            destination = self.hoard.sending.keys.destination(account_id, address)
            wish = WebhookTarget(address, destination, kinds)
        request_id, _ = self.hoard.ledger.requests.submit(
            SubmitRequest(
                Requester(account_id),
                RequestSpecification(
                    prompt="a red square",
                    negative_prompt="",
                    settings=ImageSettings(64, 64, 2, "k_euler", 5.0, True, 1),
                    requirements=Requirements((), 64 * 64, False, False, True, False),
                    images=images,
                    webhook=wish,
                ),
            )
        )
        return request_id

    def make(self, images: int = 1, **asked: Any) -> UUID:
        """Ask for images and let a worker make them all."""
        request_id = self.ask(images, **asked)
        self.deliver(self.pop())
        return request_id

    def endpoint(
        self, address: str, kinds: Sequence[NotificationKind] = notifications.WEBHOOK_KINDS
    ) -> UUID:
        """Register an endpoint of the integrator's."""
        return self.hoard.ledger.webhooks.register_endpoint(
            self.integrator, address=address, kinds=kinds
        )

    def planned_deliveries(
        self, request_id: UUID, endpoint_id: UUID | None = None
    ) -> list[PlannedDelivery]:
        """Return all that is to be told of what happened to a request so far, at its own address
        or at an endpoint, in order."""
        history = RequestHistory.read(self.hoard.storage.log, request_id)
        assert history is not None
        own = history.submitted.webhook
        if endpoint_id is None:
            assert own is not None
            destination, kinds = own.destination, own.kinds
        else:
            destination, kinds = endpoint_id, self.hoard.ledger.webhooks.endpoint(endpoint_id).kinds
        return [
            PlannedDelivery(tracking, history.submitted.account_id, endpoint_id, destination)
            for record in history.records
            if (tracking := notification_of(record.event, request_id)) and tracking.kind in kinds
        ]

    def schedule(self, request_id: UUID, endpoint_id: UUID | None = None) -> list[UUID]:
        """Have all that told; return the deliveries' ids."""
        planned_deliveries = self.planned_deliveries(request_id, endpoint_id)
        self.hoard.ledger.webhooks.schedule(planned_deliveries)
        return [planned_delivery.delivery_id for planned_delivery in planned_deliveries]

    def delivery(self, delivery_id: UUID) -> WebhookDelivery:
        """Return a delivery as it stands."""
        return self.hoard.ledger.webhooks.delivery(delivery_id)

    def why_given_up(self, delivery_id: UUID) -> str | None:
        """Return why a delivery was given up, if it was."""
        for event in reversed(self.history(delivery_id)):
            if isinstance(event, WebhookDelivery.Abandoned):
                return event.reason.value
        return None

    def history(self, delivery_id: UUID) -> list[Any]:
        """Return the events of a delivery."""
        return [record.event for record in self.hoard.storage.log.tails({delivery_id: 0})]

    def tries(self, delivery_id: UUID) -> list[WebhookDelivery.Attempted]:
        """Return each try of a delivery."""
        return [
            event
            for event in self.history(delivery_id)
            if isinstance(event, WebhookDelivery.Attempted)
        ]


def ids(receiver: Receiver) -> list[UUID]:
    """Return the ``webhook-id`` of all that came, in order."""
    return [UUID(posted.headers["webhook-id"]) for posted in receiver.posted]


def is_signed_by_secret(posted: Posted, secret: str) -> bool:
    """Whether the package of Standard Webhooks lets something pass under a secret."""
    try:
        Webhook(secret).verify(posted.body, posted.headers)
    except WebhookVerificationError:
        return False
    return True


def is_signed_by_key(posted: Posted, public_key: str) -> bool:
    """Whether one of the ed25519 signatures is by the owner of a public key (``whpk_…``)."""
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    headers = posted.headers
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + posted.body
    for signature in headers["webhook-signature"].split(" "):
        version, value = signature.split(",")
        if version == "v1a":
            try:
                public.verify(base64.b64decode(value), said)
            except InvalidSignature:
                continue
            return True
    return False


def schemes(posted: Posted) -> list[str]:
    """Return the schemes of the signatures, in order."""
    return [each.split(",")[0] for each in posted.headers["webhook-signature"].split(" ")]
