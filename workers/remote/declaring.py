"""What a worker says of itself when it asks a server for work."""

from __future__ import annotations

from typing import Any

from domain.workers.bridges import Feature
from domain.workers.matching import Capabilities

_LARGEST_PIXELS = 3072 * 3072
_MOST_MODELS = 300
_SHORTEST_MODEL_NAME = 3
_LONGEST_MODEL_NAME = 255


def pop_body(name: str, worker: Capabilities) -> dict[str, Any]:
    """Return the body of ``POST /generate/pop``; the bounds are the v2 API's.

    ``features`` is Hoard's own: other servers go by the name of the software. Making one image of
    a batch again is never among them, since no payload can ask for it.
    """
    return {
        "name": name,
        "models": [
            model
            for model in worker.models
            if _SHORTEST_MODEL_NAME <= len(model) <= _LONGEST_MODEL_NAME
        ][:_MOST_MODELS],
        "amount": worker.amount,
        "max_pixels": min(worker.max_pixels, _LARGEST_PIXELS),
        "threads": worker.threads,
        "nsfw": worker.nsfw,
        "bridge_agent": worker.bridge_agent,
        "blacklist": list(worker.blacklist),
        "priority_usernames": [],
        "extra_slow_worker": worker.extra_slow,
        "require_upfront_kudos": worker.require_upfront_kudos,
        "limit_max_steps": worker.limit_max_steps,
        "allow_img2img": worker.img2img,
        "allow_painting": worker.painting,
        "allow_unsafe_ipaddr": worker.unsafe_ip,
        "allow_post_processing": worker.post_processing,
        "allow_controlnet": worker.controlnet,
        "allow_sdxl_controlnet": worker.sdxl_controlnet,
        "allow_lora": worker.lora,
        "features": [name for name in worker.features if name != Feature.REPLICATION],
    }
