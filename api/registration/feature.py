"""What the routes and the page of registration need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.http.authentication import Authentication
from api.http.features import installed
from api.registration.registrations import Registrations


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFeature:
    """Registration: accounts that are opened, and keys that are replaced."""

    authentication: Authentication
    registrations: Registrations


Registration = Annotated[RegistrationFeature, Depends(installed(RegistrationFeature))]
"""A handler's parameter: what it needs."""
