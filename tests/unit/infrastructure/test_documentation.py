"""The pages name settings, files and pages that exist; ``mkdocs --strict`` checks the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from infrastructure.settings.environment import Settings
from tests.paths import ROOT

PAGES = sorted(
    page
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if "decisions" not in page.parts  # a decision names what was there when it was taken
)
ROOMS = "api|benchmarks|domain|infrastructure|projections|tests|translations|workers"
PATH = re.compile(rf"`((?:{ROOMS})/[\w/.-]*)")
MODULE = re.compile(rf"(?<![\w/.])((?:{ROOMS})(?:\.(?!md\b)\w+)+)")


def found(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """What the pages say that matches, each with the name of its page."""
    for page in PAGES:
        for name in pattern.findall(page.read_text(encoding="utf-8")):
            yield page.name, name


def exists(name: str) -> bool:
    """Whether this is a package, a module, or may be something in a module."""
    path = ROOT / name.replace(".", "/")
    return (
        path.is_dir()
        or path.with_suffix(".py").is_file()
        or path.parent.with_suffix(".py").is_file()
    )


def test_every_path_that_a_page_names_exists() -> None:
    named = list(found(PATH))
    assert len(named) > 50
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []


def test_every_module_that_a_page_names_exists() -> None:
    named = list(found(MODULE))
    assert len(named) > 3
    assert [(page, name) for page, name in named if not exists(name)] == []


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
