"""What the routes about models and statistics need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from api.http.features import installed
from domain.models.catalogue import Models as Catalogue
from projections.models.reader import ModelsReader
from projections.statistics.recent import RecentStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsFeature:
    """Models: what is known of them, who offers them, and what was made with them."""

    catalogue: Catalogue
    records: ModelsReader
    statistics: RecentStatistics


Models = Annotated[ModelsFeature, Depends(installed(ModelsFeature))]
"""A handler's parameter: what it needs."""
