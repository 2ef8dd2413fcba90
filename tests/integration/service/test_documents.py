"""The operators' terms, privacy policy and sponsors, from files in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.v2.service.documents import NAMES
from tests.integration.api_client import Api, serving


def document(api: Api, name: str, form: str | None = None) -> Any:
    answered = api.call("GET", f"/documents/{name}" + (f"?format={form}" if form else ""))
    assert answered.status == 200, answered
    return answered.body


@pytest.mark.parametrize("name", NAMES)
def test_without_a_file_a_document_is_empty(tmp_path: Path, name: str) -> None:
    with serving(tmp_path) as api:
        assert document(api, name) == {"html": ""}
        assert document(api, name, "html") == {"html": ""}
        assert document(api, name, "markdown") == {"markdown": ""}


@pytest.mark.parametrize("name", NAMES)
def test_a_document_is_what_the_operator_wrote(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.md").write_text("# Rules\n\n1 < 2", "utf-8")
    with serving(tmp_path) as api:
        assert document(api, name, "markdown") == {"markdown": "# Rules\n\n1 < 2"}
        assert document(api, name) == {"html": "<pre># Rules\n\n1 &lt; 2</pre>"}
    (tmp_path / f"{name}.html").write_text("<h1>Rules</h1>", "utf-8")
    with serving(tmp_path) as api:
        assert document(api, name) == {"html": "<h1>Rules</h1>"}


def test_a_document_that_there_is_not(tmp_path: Path) -> None:
    with serving(tmp_path) as api:
        assert api.call("GET", "/documents/imprint").rc == "NotFound"
        assert api.call("GET", "/documents/terms?format=pdf").rc == "BadRequest"
