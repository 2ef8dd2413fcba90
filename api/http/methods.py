"""The methods that an address takes."""

from __future__ import annotations

from starlette.routing import Match, Router
from starlette.types import Scope

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""Those that routes are made for; HEAD and OPTIONS follow from them."""


def allowed_methods(router: Router, scope: Scope) -> tuple[str, ...]:
    """Return the methods that an address takes; none where there is nothing."""
    found = [
        method
        for method in METHODS
        if any(
            route.matches({**scope, "method": method})[0] is Match.FULL for route in router.routes
        )
    ]
    if not found:
        return ()
    return (*found, *(("HEAD",) if "GET" in found else ()), "OPTIONS")
