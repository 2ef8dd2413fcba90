"""News from the operators for everybody who uses the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NewsItem:
    """One piece of news."""

    published: date
    title: str
    text: str
    """Markdown."""
    importance: str = "Information"
    """A word for how much it matters: ``Information``, ``Workers``, ``Urgent``, …"""
    tags: tuple[str, ...] = ()
    more_info_urls: tuple[str, ...] = ()


class News(Protocol):
    """The port to the news."""

    def latest(self) -> Sequence[NewsItem]:
        """Return all news, the latest first."""
