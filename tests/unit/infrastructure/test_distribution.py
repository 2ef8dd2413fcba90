from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from infrastructure import distribution
from tests.paths import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def locked() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_the_version_is_that_of_the_distribution_in_pyproject(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    project = PYPROJECT["project"]
    folder = tmp_path / f"{project['name'].replace('-', '_')}-7.8.9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: 7.8.9\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert distribution.installed_version() == "7.8.9"


def test_without_an_installation_there_is_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "DISTRIBUTION", "hoard-that-nobody-installs")
    assert distribution.installed_version() is None


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_that_ships_says_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_the_lock_holds_every_pin_of_pyproject() -> None:
    project = PYPROJECT["project"]
    pinned = [
        Requirement(line)
        for line in (
            *project["dependencies"],
            *project["optional-dependencies"]["dev"],
            *PYPROJECT["build-system"]["requires"],
        )
    ]
    lock = locked()
    assert {
        str(each): lock.get(canonicalize_name(each.name))
        for each in pinned
        if not each.specifier.contains(lock.get(canonicalize_name(each.name), Version("0")))
    } == {}


def test_the_lock_names_exact_versions_that_any_build_of_a_release_satisfies() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    odd = [line for line in lines if not re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line)]
    assert odd == []
