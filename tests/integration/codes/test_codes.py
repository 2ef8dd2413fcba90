"""Each return code that is not only kept can be met through HTTP, as the catalogue says."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.return_codes import RETURN_CODES
from tests.integration.api_client import serving
from tests.integration.codes.provoking import Provocation, all_provocations

PROVOCATIONS = all_provocations()


@pytest.mark.parametrize("provocation", PROVOCATIONS, ids=str)
def test_the_code_is_met(provocation: Provocation, tmp_path: Path) -> None:
    with serving(tmp_path, **provocation.settings) as api:
        answered = provocation.provoke(api)
    code = RETURN_CODES[provocation.code]
    assert (answered.status, answered.rc) == (code.status, code.name)
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["content-language"] == "en"
    assert set(answered.body) - {"errors"} == {"message", "rc"}
    assert answered.body["message"]
    assert "{" not in answered.body["message"]
    assert all(isinstance(text, str) for text in answered.body.get("errors", {}).values())


def test_every_code_that_clients_can_meet_is_provoked() -> None:
    met = {name for name, code in RETURN_CODES.items() if code.may_be_raised}
    assert sorted(met - {each.code for each in PROVOCATIONS}) == []
