"""From templates to pages."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

_HEADERS = {
    # No script runs and nothing is loaded, whatever gets into a page.
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

_templates = Environment(
    loader=PackageLoader("api.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(
    template: str,
    *,
    language: str = "en",
    status: int = 200,
    headers: dict[str, str] | None = None,
    **shown: Any,
) -> HTMLResponse:
    """Return a page.

    :param template: the name of a file in ``templates/``; it extends ``base.html``.
    :param language: the tag of the language of most of its text.
    :param shown: what the template may use. Text is escaped there.
    """
    html = _templates.get_template(template).render(language=language, **shown)
    said = {**_HEADERS, "content-language": language, **(headers or {})}
    return HTMLResponse(html, status, said)
