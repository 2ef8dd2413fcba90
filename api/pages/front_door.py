"""What is said above the API's own addresses: what this server is, and where to go on."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.http.answer import Answer
from api.http.errors import RETURN_CODES_PATH
from api.http.languages import weighted
from api.http.methods import allowed_methods
from api.http.swagger import swagger_from
from api.pages.rendering import page

router = APIRouter(include_in_schema=False)

SWAGGER_PATH = "/api/swagger.json"
"""Where programs written for the AI Horde look for the description of the API."""

_API = "/api/v2"
_OPENAPI = f"{_API}/openapi.json"

_LINKS = {
    "The API as OpenAPI 3, for programs": _OPENAPI,
    "The API as Swagger 2, for programs": SWAGGER_PATH,
    "Every return code, with advice": RETURN_CODES_PATH,
    "The return codes, for programs": f"{_API}/return_codes",
    "Open an account, or replace its key": "/register",
    "News of the operators": f"{_API}/status/news",
    "Models that are served now": f"{_API}/status/models",
    "How much waits, and for whom": f"{_API}/status/performance",
}
"""What leads on, in words. What an application does not serve is not shown."""

_SHORT = "A server of the AI Horde v2 API, as far as it is about images."
_VARIES = {"vary": "Accept"}
_DESCRIPTION_KEPT = {"cache-control": "public, max-age=300"}


@router.get("/")
@router.get("/api")
@router.get("/api/")
@router.get(_API)
@router.get(f"{_API}/")
async def front_door(request: Request) -> Response:
    """Say what this is: to a browser in a page, to everybody else in JSON."""
    links = _served_links(request)
    weights = weighted(request.headers.get("accept", ""))
    version = request.app.version
    if weights.get("text/html", 0) > weights.get("application/json", 0):
        return page("front_door.html", headers=_VARIES, short=_SHORT, version=version, links=links)
    body = {
        "name": "Hoard",
        "version": version,
        "description": _SHORT,
        "api": _API,
        "openapi": _OPENAPI,
        "links": links,
    }
    return Answer(body, headers=_VARIES)


def _served_links(request: Request) -> dict[str, str]:
    state = request.app.state
    # Looked for once: routes do not change while an application serves.
    if not hasattr(state, "front_door_links"):
        state.front_door_links = {
            words: address
            for words, address in _LINKS.items()
            if allowed_methods(request.app.router, {**request.scope, "path": address})
        }
    links: dict[str, str] = state.front_door_links
    return links


@router.get(SWAGGER_PATH)
@router.get(f"{_API}/swagger.json")
def swagger(request: Request) -> Response:
    """Describe the API as Swagger 2.0, once made for as long as the application serves."""
    state = request.app.state
    if not hasattr(state, "swagger"):
        state.swagger = swagger_from(request.app.openapi())
    return Answer(state.swagger, headers=_DESCRIPTION_KEPT)
