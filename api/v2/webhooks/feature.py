"""What the routes about webhooks need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.v2.webhooks.targets import WebhookKeys, WebhookTargets
from domain.ledger.webhooks import Webhooks as WebhooksLedger
from domain.ports import Clock
from domain.sealing import Sealer
from projections.view import Log
from projections.webhooks.due.reader import DueDeliveries
from projections.webhooks.history.reader import DeliveryHistoryReader


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhooksFeature:
    """Webhooks: an account's endpoints and secrets, and what was sent."""

    authentication: Authentication
    ledger: WebhooksLedger
    log: Log
    records: DeliveryHistoryReader
    deliveries: DueDeliveries
    targets: WebhookTargets
    keys: WebhookKeys
    sealer: Sealer
    clock: Clock


Webhooks = Annotated[WebhooksFeature, Depends(installed(WebhooksFeature))]
"""A handler's parameter: what it needs."""
