"""The news that the operator writes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from api.v2.service.news import NewsItem
from infrastructure.service.news import NewsFile, news_from

NEWS = """
[[news]]
published = 2026-11-01
title = "Open"
text = "The service is **open**."

[[news]]
published = 2026-11-20
title = "More GPUs"
text = "Four of them."
importance = "Workers"
tags = ["gpu"]
more_info_urls = ["https://example.org/gpus"]
"""


def test_the_latest_news_come_first() -> None:
    assert news_from(NEWS) == [
        NewsItem(
            date(2026, 11, 20),
            "More GPUs",
            "Four of them.",
            "Workers",
            ("gpu",),
            ("https://example.org/gpus",),
        ),
        NewsItem(date(2026, 11, 1), "Open", "The service is **open**."),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[news]]\ntitle = 'x'\ntext = 'y'", r"news\.0\.published: Field required"),
        (NEWS + "author = 'me'", r"news\.1\.author"),
        ("news\n", "line 1"),
    ],
)
def test_wrong_news_say_where(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        news_from(text)


def test_no_file_is_no_news_and_a_wrong_one_stops_nothing(tmp_path: Path) -> None:
    assert NewsFile(tmp_path).latest() == ()
    (tmp_path / "news.toml").write_text("nonsense")
    assert NewsFile(tmp_path).latest() == ()
    (tmp_path / "news.toml").write_text(NEWS)
    assert [piece.title for piece in NewsFile(tmp_path).latest()] == ["More GPUs", "Open"]
