"""Names and texts about accounts and workers: their lengths and the content filter.

The limits are the v2 interface's and the AI Horde's.
"""

from __future__ import annotations

import re

from domain.content_filter import ContentFilter
from domain.return_codes import Refused

LONGEST_USER_NAME = 30
LONGEST_WORKER_NAME = 100
LONGEST_CONTACT = 500
LONGEST_WORKER_INFO = 1000
LONGEST_COMMENT = 500

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)

NUMBER_SIGN = "#"
"""What stands between the name of an account and its number."""


def handle_of(name: str, number: int) -> str:
    """Return what clients know an account by, such as ``somebody#12``."""
    return f"{name}{NUMBER_SIGN}{number}"


def number_from(text: str) -> int | None:
    """Return a text as the number of an account; None when it is not one."""
    return int(text) if _NUMBER.fullmatch(text) else None


def named_and_numbered(handle: str) -> tuple[str, int] | None:
    """Return the name and the number of ``name#number``, None for another text."""
    name, _, number = handle.strip().rpartition(NUMBER_SIGN)
    known = number_from(number)
    return (name, known) if name and known is not None else None


def user_name_from(text: str, content_filter: ContentFilter) -> str:
    """Return the name of an account, 1 to 30 characters, without the spaces around it.

    :raises Refused: ``TooLongUserName``, ``ProfaneUserName`` or ``BadRequest``.
    """
    name = text.strip()
    if len(name) > LONGEST_USER_NAME:
        raise Refused("TooLongUserName")
    _require_printable("username", name)
    if NUMBER_SIGN in name:
        raise Refused(
            "BadRequest",
            f"username: {NUMBER_SIGN} stands between a name and its number, not in a name",
            {"username": f"holds {NUMBER_SIGN}"},
        )
    _require_unblocked(name, content_filter, "ProfaneUserName")
    return name


def worker_name_from(text: str, content_filter: ContentFilter) -> str:
    """Return the name of a worker, 1 to 100 characters, without the spaces around it.

    :raises Refused: ``TooLongWorkerName``, ``ProfaneWorkerName`` or ``BadRequest``.
    """
    name = text.strip()
    if len(name) > LONGEST_WORKER_NAME:
        raise Refused("TooLongWorkerName")
    _require_printable("name", name)
    _require_unblocked(name, content_filter, "ProfaneWorkerName")
    return name


def contact_from(text: str, content_filter: ContentFilter) -> str:
    """Return a checked contact, at most 500 characters; empty for none.

    :raises Refused: ``ProfaneUserContact`` or ``BadRequest``.
    """
    contact = _at_most(LONGEST_CONTACT, "contact", text.strip())
    _require_unblocked(contact, content_filter, "ProfaneUserContact")
    return contact


def worker_info_from(text: str, content_filter: ContentFilter) -> str:
    """Return the checked info of a worker, at most 1,000 characters; empty for none.

    :raises Refused: ``ProfaneWorkerInfo`` or ``BadRequest``.
    """
    info = _at_most(LONGEST_WORKER_INFO, "info", text.strip())
    _require_unblocked(info, content_filter, "ProfaneWorkerInfo")
    return info


def _at_most(longest: int, field: str, text: str) -> str:
    if len(text) > longest:
        raise Refused(
            "BadRequest",
            f"{field}: at most {longest:,} characters are kept",
            {field: f"has more than {longest:,} characters"},
        )
    return text


def _require_printable(field: str, name: str) -> None:
    if not name or not name.isprintable():
        raise Refused(
            "BadRequest",
            f"{field}: choose a name that can be shown",
            {field: "must be text that can be shown"},
        )


def _require_unblocked(text: str, content_filter: ContentFilter, code: str) -> None:
    if content_filter.is_blocked(text):
        raise Refused(code)
