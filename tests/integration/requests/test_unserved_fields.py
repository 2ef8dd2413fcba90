"""Fields that would change the image are never dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.api_client import Api, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serving(tmp_path_factory.mktemp("fields")) as api:
        yield api


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scheduler", "exponential"),
        ("scheduler", "normal"),
        ("scheduler", 7),
        ("sampler_eta", 0.5),
        ("sampler_s_noise", 1.003),
        ("sampler_s_churn", 2),
        ("sampler_s_tmax", 5),
        ("sampler_solver_type", "heun"),
        ("sampler_order", 3),
        ("sampler_of_next_year", True),
        ("flow_shift", 3.0),
        ("control_strength", 0.5),
        ("post_processing_order", "upscalers_first"),
    ],
)
def test_a_setting_that_nothing_here_serves_is_refused(
    api: Api, field: str, value: object, dry_run: bool
) -> None:
    refused = api.ask(params={field: value}, dry_run=dry_run)
    assert (refused.status, refused.rc) == (501, "NotServed")
    assert refused.body["errors"].keys() == {f"params.{field}"}


@pytest.mark.parametrize(
    "params",
    [
        {"scheduler": None, "sampler_eta": None, "flow_shift": None},
        {"scheduler": "karras"},
        {"scheduler": "karras", "karras": True},
        {"scheduler": "normal", "karras": False},
        {"control_strength": 1.0},
        {"sampler_s_churn": 0.0, "sampler_s_noise": 1, "sampler_s_tmin": 0},
        {"nothing_of_ours": 5},
    ],
    ids=str,
)
def test_a_setting_that_changes_nothing_is_taken(api: Api, params: dict[str, Any]) -> None:
    assert api.ask(params=params).status == 202


def test_templates_are_refused(api: Api) -> None:
    assert api.ask(template_fields={"a": "b"}).rc == "NotServed"
    assert api.ask(template_fields={}).status == 202
