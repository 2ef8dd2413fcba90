"""What a front-end sends when it asks for an image that was made before."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.bodies import Body
from api.v2.schemas.fields import WebhookAddress, WebhookEvents


class ReplicationInput(Body):
    """An image that was made before, to be made again as it was."""

    replicate: Annotated[str, Field(description="The id of the image, as its status told it.")]
    exact: Annotated[
        bool,
        Field(
            description="Run the whole batch again, so that the same bits come out of the same "
            "engine, model and device. Without it only this image is drawn, which is quicker, and "
            "differs from the first one by rounding at most."
        ),
    ] = False
    slow_workers: Annotated[
        bool, Field(description="Refusing them needs kudos up front, and costs 1.2 times as much.")
    ] = True
    trusted_workers: bool = False
    r2: Annotated[bool, Field(description="Answer with addresses of images, not base64.")] = True
    shared: bool = False
    dry_run: Annotated[bool, Field(description="Only say what it would cost.")] = False
    webhook: WebhookAddress | None = None
    webhook_events: WebhookEvents | None = None
