"""What can be wrong between a worker and its server, sorted by what helps against it."""

from __future__ import annotations

from domain.return_codes import RETURN_CODES, Refused


class ServerAway(Exception):
    """No usable answer came; asking again may help. The message is safe to log."""


class NoErrorBody(ServerAway):
    """It refused without the v2 API's error body: something else stands there, a proxy perhaps."""


class NotNow(Exception):
    """The server has nothing for this worker just now, and says why; asking later may help."""


class NotAdmitted(Exception):
    """The server will not have this worker as it is: somebody has to change something."""

    def __init__(self, rc: str, message: str) -> None:
        """Say what the server said.

        :param rc: the return code, empty when it gave none.
        """
        super().__init__(f"{message} ({rc})" if rc else message)
        self.rc = rc


_PASSING = frozenset(
    {
        "Locked",
        "MaintenanceMode",
        "TimeoutIP",
        "TooManySameIPs",
        "WorkerFlaggedMaintenance",
        "WorkerInviteOnly",
        "WorkerMaintenance",
    }
)
"""Refusals of a pop that the server's side may lift without anything changing here."""

_KNOWN_BY_WORDS = (
    ("does not exist", "InvalidJobID"),
    ("already submitted", "DuplicateGen"),
    ("Please check your worker speed", "AbortedGen"),
)
"""Servers older than the return codes are told apart by their words, as reGen does."""

_KNOWN_BY_STATUS = {401: "InvalidAPIKey", 404: "InvalidJobID"}


def refusal_from(status: int, rc: str, message: str) -> Refused:
    """Return a server's refusal by its name in the catalogue, ``BadRequest`` where it has none.

    :param status: the HTTP status, 400 to 499.
    :param rc: the return code as the server gave it, perhaps empty.
    """
    code = RETURN_CODES.get(rc)
    if code is not None and code.may_be_raised:
        return Refused(rc, message)
    by_words = (name for words, name in _KNOWN_BY_WORDS if words in message)
    return Refused(next(by_words, _KNOWN_BY_STATUS.get(status, "BadRequest")), message)


def refused_pop(refusal: Refused) -> NotNow | NotAdmitted:
    """Return what a refusal of a pop means for the worker."""
    if refusal.code.name in _PASSING:
        return NotNow(f"{refusal.message} ({refusal.code.name})")
    return NotAdmitted(refusal.code.name, refusal.message)
