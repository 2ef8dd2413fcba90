"""The documentation's pages that are made from data: the return codes, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus

from api.v2.service.left_out import LEFT_OUT
from domain.return_codes import RETURN_CODES, ReturnCode
from translations import Translation

_INTRODUCTION = """\
# Return codes

<!-- Made by `hoard return-codes docs` from domain/return_codes.toml; do not edit. -->

Every error has an HTTP status and a body:

```json
{"message": "Width and height must be multiples of 64 from 64 to 3072.", "rc": "InvalidSize"}
```

Programs compare `rc`: the names never change. People read `message`: its wording may change. Where
fields are wrong, `errors` says by field what is wrong with them.

- A client that sends `Accept: application/problem+json` gets problem details (RFC 9457) instead,
  with `rc` and `errors` beside their own fields. Their `type` is the address of the code's entry on
  the page `/return-codes` of the server.
- `Accept-Language` chooses the language of `message`; `Content-Language` names it. Besides English
  there are: {languages}. Messages that only developers meet are in English.
- `GET /api/v2/return_codes` lists the codes as JSON, `hoard return-codes list` on a terminal.
- An error without a code of its own is `BadRequest`. Its status may then also be 413 (the body is
  too large) or 415 (the body is compressed).
"""

_KEPT = """\
## Reserved names

Names of the AI Horde for features that Hoard does not have. No error has them.

"""

_FAMILIES = """\
## Families

Names for what several codes have in common. No error has them.

"""

_LEFT_OUT = """\
# Features not served

<!-- Made by `hoard return-codes docs` from api/v2/service/left_out.py; do not edit. -->

Hoard serves the part of the AI Horde v2 API that is about images. These addresses of the API answer
501 with the return code `NotServed`, for every method that the AI Horde accepts there.

| feature | instead | addresses below `/api/v2` |
| --- | --- | --- |
"""


def return_codes_page(languages: Mapping[str, Translation]) -> str:
    """Return ``docs/reference/return-codes.md``."""
    named = ", ".join(f"{each.language} (`{tag}`)" for tag, each in languages.items())
    codes = RETURN_CODES.values()
    met = sorted({code.status for code in codes if code.may_be_raised})
    return "".join(
        (
            _INTRODUCTION.replace("{languages}", named or "none"),
            *(part for status in met for part in _section(status)),
            "\n",
            _FAMILIES,
            *_short(code for code in codes if code.base),
            "\n",
            _KEPT,
            *_short(code for code in codes if code.reserved),
        )
    )


def left_out_page() -> str:
    """Return ``docs/reference/left-out.md``."""
    rows = (
        f"| {each.feature} | {each.instead} | {_addresses(each.paths)} |\n" for each in LEFT_OUT
    )
    return _LEFT_OUT + "".join(rows)


def _section(status: int) -> Iterator[str]:
    yield f"\n## {status} {HTTPStatus(status).phrase}\n\n"
    yield "| rc | message | when | what to do |\n| --- | --- | --- | --- |\n"
    for code in RETURN_CODES.values():
        if code.may_be_raised and code.status == status:
            yield (
                f'| <a id="{code.name}"></a>`{code.name}` | {code.message} | {code.when} '
                f"| {code.advice} |\n"
            )


def _short(codes: Iterable[ReturnCode]) -> Iterator[str]:
    yield "| rc | status | message |\n| --- | --- | --- |\n"
    for code in codes:
        yield f"| `{code.name}` | {code.status} | {code.message} |\n"


def _addresses(paths: Mapping[str, tuple[str, ...]]) -> str:
    return "<br>".join(f"`{' '.join(methods)} {path}`" for path, methods in paths.items())
