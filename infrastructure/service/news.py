"""The news that the operator writes into a file in the data folder."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from api.v2.service.news import NewsItem
from infrastructure.settings.watched_file import WatchedFile

NEWS_FILE = "news.toml"
"""Name of the file in the data folder."""


class _Piece(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    published: date
    title: str
    text: str
    importance: str = "Information"
    tags: tuple[str, ...] = ()
    more_info_urls: tuple[str, ...] = ()


class _News(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    news: tuple[_Piece, ...] = ()


def news_from(text: str) -> Sequence[NewsItem]:
    """Read a file of news; return the latest first.

    :raises ValueError: when it is not valid, saying where.
    """
    try:
        given = _News.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ValueError(
            "; ".join(
                f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
                for detail in error.errors(include_url=False, include_input=False)
            )
        ) from None
    pieces = [NewsItem(**dict(piece)) for piece in given.news]
    return sorted(pieces, key=lambda piece: piece.published, reverse=True)


class NewsFile:
    """The news of an installation. A file that cannot be understood never stops the service."""

    def __init__(self, data: Path) -> None:
        """Read ``news.toml`` in this data folder, again whenever it changes."""
        self._file = WatchedFile[Sequence[NewsItem]](data / NEWS_FILE, news_from, empty=())

    def latest(self) -> Sequence[NewsItem]:
        """Return all news, the latest first."""
        return self._file.content()
