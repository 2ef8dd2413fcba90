"""Webhooks: the bodies in which accounts set them up, and those that describe deliveries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from api.http.bodies import Body
from api.http.fields import WebhookAddress, WebhookEvent, WebhookEvents, WholeNumber
from domain.webhooks.attempts import Problem
from domain.webhooks.backoff import AbandonReason
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.endpoint import DisableReason
from domain.webhooks.notification import TEST
from domain.webhooks.secret import LONGEST_OVERLAP, OVERLAP
from projections.tracking.notifications import WEBHOOK_KINDS


def _in_utc(moment: datetime) -> datetime:
    """Take a time without a zone for UTC, and refuse what no clock in UTC can show."""
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("no_time", "is too far away") from None


Since = Annotated[
    datetime,
    AfterValidator(_in_utc),
    # A body's strictness would refuse text.
    Field(strict=False, description="ISO 8601; UTC where it names no zone."),
]


class EndpointInput(Body):
    """An address for notifications."""

    url: WebhookAddress
    events: WebhookEvents | None = None


class EndpointChange(Body):
    """What to change about an endpoint."""

    events: WebhookEvents | None = None
    enabled: Annotated[
        bool | None, Field(description="Whether anything but tests is sent there.")
    ] = None


class EndpointDetails(BaseModel):
    """An address for notifications, and how it has answered lately."""

    id: str
    url: Annotated[
        str | None, Field(description="Null where the account was forgotten, and the address too.")
    ]
    events: list[WebhookEvent]
    enabled: bool
    disabled_because: Annotated[
        DisableReason | None,
        Field(description="`gone`: it answered 410; `dead`: nothing arrived there for days."),
    ]
    notice: Annotated[
        str | None, Field(description="What is wrong with it, and what to do; null for nothing.")
    ]
    failures: Annotated[
        int, Field(description="Attempts that failed in a row, up to the last one.")
    ]
    resting_until: Annotated[str | None, Field(description="Until when only tests are sent there.")]
    created: str


class TestScheduled(BaseModel):
    """A test is on its way."""

    delivery_id: Annotated[str, Field(description="The delivery that shows its outcome.")]


class DeliverySummary(BaseModel):
    """One notification for one webhook, and its outcome."""

    id: Annotated[str, Field(description="The `webhook-id` of every attempt.")]
    event: Annotated[str, Field(json_schema_extra={"enum": [*WEBHOOK_KINDS, TEST]})]
    request: Annotated[str | None, Field(description="Null for a test.")]
    about: Annotated[
        str,
        Field(
            description="The image, the job for a start or progress, the request for an end; for a "
            "test an id of its own."
        ),
    ]
    step: Annotated[int | None, Field(description="For progress, how far the job was.")]
    endpoint: Annotated[str | None, Field(description="Null for the request's own webhook.")]
    state: DeliveryState
    happened_at: Annotated[str, Field(description="When what it is about happened.")]
    scheduled_at: str
    due_at: Annotated[
        str | None, Field(description="When the next attempt is due; null once it is over.")
    ]
    give_up_at: Annotated[
        str, Field(description="When it is abandoned at the latest, attempted or not.")
    ]
    attempts: Annotated[int, Field(description="How many there were in all.")]
    last_status: Annotated[
        int | None, Field(description="The status of the last answer; null where none came.")
    ]
    last_problem: Annotated[
        Problem | None, Field(description="Why the last attempt got no answer.")
    ]
    last_attempt_at: str | None
    last_seconds: Annotated[float | None, Field(description="How long the last attempt took.")]
    given_up_because: AbandonReason | None
    given_up_at: str | None


class DeliveryTry(BaseModel):
    """One attempt of a delivery."""

    number: int
    at: Annotated[str, Field(description="When it ended.")]
    status: Annotated[int | None, Field(description="Null where no answer came.")]
    problem: Annotated[Problem | None, Field(description="Why no answer came.")]
    seconds: Annotated[float, Field(description="How long it took.")]
    answer: Annotated[
        str | None, Field(description="How the answer's body began; null for an empty one.")
    ]
    retry_after: Annotated[
        float | None, Field(description="The seconds that the answer asked to wait.")
    ]
    again_at: Annotated[
        str | None, Field(description="When the next attempt was due; null when this was the last.")
    ]


class DeliveryDetails(DeliverySummary):
    """A delivery with all its attempts."""

    tries: list[DeliveryTry]


class ResendInput(Body):
    """Which abandoned deliveries to send again."""

    since: Since
    endpoint: Annotated[
        str | None, Field(description="Only those for this endpoint; left out, all of yours.")
    ] = None


class DeliveryResent(BaseModel):
    """A delivery is due again."""

    delivery_id: str


class DeliveriesResent(BaseModel):
    """Deliveries are due again."""

    resent: Annotated[int, Field(description="How many.")]
    more: Annotated[bool, Field(description="Whether some are left: call again.")]


class RotationInput(Body):
    """How long the present secret still signs."""

    overlap_seconds: Annotated[
        WholeNumber,
        Field(
            ge=0,
            le=round(LONGEST_OVERLAP.total_seconds()),
            description="For how long the secret that you have still signs beside the new one; 0 "
            "where it leaked.",
        ),
    ] = round(OVERLAP.total_seconds())


class WebhookSecrets(BaseModel):
    """What an account's deliveries are verified with."""

    secrets: Annotated[
        list[str],
        Field(
            description="`whsec_…`, the newest first: two while the one before still signs. None "
            "for anonymous."
        ),
    ]
    public_key: Annotated[str, Field(description="`whpk_…`, for the ed25519 signatures.")]
