"""What Hoard leaves out of the AI Horde v2 API: every such address says so with ``NotServed``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fastapi import APIRouter
from starlette.responses import Response

from domain.return_codes import Refused


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One feature that is not served."""

    feature: str
    """What it is called."""
    instead: str
    """What to do without it."""
    paths: Mapping[str, tuple[str, ...]]
    """Its addresses below ``/api/v2``, with the methods that the AI Horde takes there."""


def _left_out(feature: str, instead: str, **paths_by_methods: str) -> LeftOut:
    """Return a feature whose addresses are given by their methods: ``get_post="/teams"``."""
    paths = {
        path: tuple(method.upper() for method in methods.split("_"))
        for methods, joined in paths_by_methods.items()
        for path in joined.split()
    }
    return LeftOut(feature, instead, MappingProxyType(paths))


LEFT_OUT = (
    _left_out(
        "Text generation",
        "Hoard serves images only; another server may serve text beside it.",
        post="/generate/text/async /generate/text/pop /generate/text/submit",
        delete_get="/generate/text/status/{id}",
        get="/stats/text/models /stats/text/totals",
    ),
    _left_out(
        "Alchemy (interrogation)",
        "Post-processing is served as part of a request for images.",
        post="/interrogate/async /interrogate/pop /interrogate/submit",
        delete_get="/interrogate/status/{id}",
    ),
    _left_out(
        "Styles",
        "Keep the settings of a style in the front-end and send them with each request.",
        get_post="/styles/image /styles/text",
        delete_patch_get="/styles/image/{style_id} /styles/text/{style_id}",
        post="/styles/image/{style_id}/example",
        delete_patch="/styles/image/{style_id}/example/{example_id}",
        get="/styles/image_by_name/{style_name} /styles/text_by_name/{style_name}",
    ),
    _left_out(
        "Collections of styles",
        "As for styles.",
        get_post="/collections",
        delete_patch_get="/collections/{collection_id}",
        get="/collection_by_name/{collection_name}",
    ),
    _left_out(
        "Teams",
        "Workers belong to accounts; the history shows what each has made.",
        get_post="/teams",
        delete_patch_get="/teams/{team_id}",
    ),
    _left_out(
        "Filters of prompts",
        "What may be asked for is decided by the operators' front-end or proxy.",
        put_get_post="/filters",
        get="/filters/regex",
        delete_patch_get="/filters/{filter_id}",
    ),
    _left_out(
        "Ratings",
        "Front-ends keep ratings themselves.",
        post="/generate/rate/{id}",
    ),
)
"""Every feature that is left out."""

router = APIRouter()


async def _not_served() -> Response:
    raise Refused("NotServed")


for _each in LEFT_OUT:
    for _path, _methods in _each.paths.items():
        # Not in the description: machines that read it should find what works.
        router.add_api_route(_path, _not_served, methods=list(_methods), include_in_schema=False)
