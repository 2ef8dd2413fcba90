from __future__ import annotations

from pathlib import Path

import pytest

from infrastructure.cli.demo.server import fresh_folder
from infrastructure.cli.terminal.errors import CliError


def test_the_first_demo_has_the_folder_itself(tmp_path: Path) -> None:
    folder = fresh_folder(tmp_path / "new" / "demo")
    assert folder == tmp_path / "new" / "demo"
    assert list((folder / "data").iterdir()) == []


def test_a_folder_without_a_demo_keeps_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert fresh_folder(tmp_path) == tmp_path
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_an_earlier_demo_is_left_alone(tmp_path: Path) -> None:
    first = fresh_folder(tmp_path)
    (first / "data" / "ledger.db").write_text("events")
    assert fresh_folder(tmp_path) == tmp_path / "2"
    assert fresh_folder(tmp_path) == tmp_path / "3"
    assert (first / "data" / "ledger.db").read_text() == "events"


@pytest.mark.parametrize("taken", ["demo", "demo/data", "demo/2"])
def test_a_file_in_the_way_is_said(tmp_path: Path, taken: str) -> None:
    if taken == "demo/2":
        fresh_folder(tmp_path / "demo")
    (tmp_path / taken).parent.mkdir(exist_ok=True)
    (tmp_path / taken).write_text("in the way")
    if taken == "demo/data":
        assert fresh_folder(tmp_path / "demo") == tmp_path / "demo" / "2"
    else:
        with pytest.raises(CliError, match="is not a folder"):
            fresh_folder(tmp_path / "demo")
