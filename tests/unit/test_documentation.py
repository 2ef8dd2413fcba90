"""The pages name settings, files and pages that exist; ``mkdocs --strict`` checks the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "decisions" not in page.parts  # a decision names what was there when it was taken
)
NAMED = re.compile(
    r"`((?:api|benchmarks|domain|infrastructure|projections|tests|translations|workers)/[\w/.-]*)"
)


def named_paths() -> Iterator[tuple[str, str]]:
    """The paths of this repository that the pages name, each with the name of its page."""
    for page in PAGES:
        for path in NAMED.findall(page.read_text(encoding="utf-8")):
            yield page.name, path


def test_every_path_that_a_page_names_exists() -> None:
    named = list(named_paths())
    assert len(named) > 50
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []


def test_every_link_of_the_readme_leads_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", readme)
    local = [link for link in links if "://" not in link]
    assert len(local) > 10
    assert [link for link in local if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_its_row(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert any(f"`HOARD_{name.upper()}`" in row.split(" | ")[0] for row in rows)
