"""Every event class there ever was, by the name under which the log knows it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from eventsourcing.domain import Aggregate

from domain.accounts.account import Account
from domain.accounts.shared_key import SharedKey
from domain.jobs.job import Job
from domain.requests.request import Request
from domain.service.modes import Horde
from domain.webhooks.delivery import WebhookDelivery
from domain.webhooks.endpoint import WebhookEndpoint
from domain.webhooks.secret import WebhookSecret
from domain.workers.worker import Worker

_PUBLISHED: tuple[type[Aggregate.Event], ...] = (
    Request.Submitted,
    Request.Sliced,
    Request.JobReturned,
    Request.Completed,
    Request.Cancelled,
    Request.Expired,
    Request.Faulted,
    Job.Batched,
    Job.ImageGenerated,
    Job.ImageFaulted,
    Job.LeaseRenewed,
    Job.Progressed,
    Job.Completed,
    Job.Failed,
    Job.LeaseExpired,
    Job.Cancelled,
    Worker.Registered,
    Worker.CapabilitiesDeclared,
    Worker.MaintenanceChanged,
    Worker.PauseChanged,
    Worker.Renamed,
    Worker.InfoChanged,
    Worker.FlaggedForMaintenance,
    Worker.Deleted,
    Account.Opened,
    Account.KeyRegenerated,
    Account.RolesChanged,
    Account.Renamed,
    Account.ContactChanged,
    Account.LimitsChanged,
    Account.WorkersPublished,
    Account.CommentChanged,
    Account.KudosAwarded,
    Account.KudosSent,
    Account.Deleted,
    Account.Restored,
    SharedKey.Issued,
    SharedKey.Changed,
    SharedKey.Revoked,
    Horde.Founded,
    Horde.ModesChanged,
    WebhookEndpoint.Registered,
    WebhookEndpoint.FilterChanged,
    WebhookEndpoint.Disabled,
    WebhookEndpoint.Enabled,
    WebhookEndpoint.Deleted,
    WebhookSecret.Kept,
    WebhookSecret.Rotated,
    WebhookDelivery.Scheduled,
    WebhookDelivery.Attempted,
    WebhookDelivery.Delivered,
    WebhookDelivery.Abandoned,
    WebhookDelivery.Resent,
)


def name_of(event: type[Aggregate.Event]) -> str:
    """Return the name under which the log knows an event class, such as ``Request.Sliced``."""
    return str(vars(event)["TOPIC"])


EVENT_CLASSES: Mapping[str, type[Aggregate.Event]] = MappingProxyType(
    {name_of(event): event for event in _PUBLISHED}
)
"""Published event classes by name; a name is never taken out and never means something else."""
