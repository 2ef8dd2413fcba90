"""The catalogue of return codes as a list and as a page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import translations
from domain.return_codes import RETURN_CODES
from tests.integration.api_client import Api, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One Hoard for all of it."""
    with serving(tmp_path_factory.mktemp("return_codes")) as api:
        yield api


def test_the_list_is_the_catalogue(api: Api) -> None:
    answered = api.call("GET", "/return_codes")
    assert answered.status == 200
    assert answered.headers["content-language"] == "en"
    assert {each["rc"]: (each["status"], each["message"]) for each in answered.body} == {
        code.name: (code.status, code.message) for code in RETURN_CODES.values()
    }
    kept = {each["rc"] for each in answered.body if each["reserved"] or each["base"]}
    assert kept == {code.name for code in RETURN_CODES.values() if not code.may_be_raised}


@pytest.mark.parametrize("tag", translations.shipped())
def test_the_list_in_the_language_of_the_client(api: Api, tag: str) -> None:
    answered = api.call("GET", "/return_codes", headers={"accept-language": f"{tag}, en;q=0.5"})
    assert answered.headers["content-language"] == tag
    by_name = {each["rc"]: each for each in answered.body}
    entry = translations.shipped()[tag].entries["KudosUpfront"]
    assert by_name["KudosUpfront"]["message"] == entry.message
    assert by_name["KudosUpfront"]["advice"] == entry.advice
    assert by_name["KudosUpfront"]["detailed"] == entry.detailed
    # What nobody meets is not translated.
    assert by_name["TeamNotFound"]["message"] == RETURN_CODES["TeamNotFound"].message


def test_an_error_reads_as_the_list_says(api: Api) -> None:
    answered = api.call("GET", "/generate/check/nothing", headers={"accept-language": "es"})
    assert answered.headers["content-language"] == "es"
    assert (
        answered.body["message"] == translations.shipped()["es"].entries["RequestNotFound"].message
    )


def test_the_type_of_a_problem_is_an_anchor_of_the_page(api: Api) -> None:
    problem = api.call(
        "GET", "/generate/check/nothing", headers={"accept": "application/problem+json"}
    )
    path, _, anchor = problem.body["type"].partition("#")
    page = api.http.get(path)
    assert page.status_code == 200
    assert f'id="{anchor}"' in page.text


def test_the_page_has_an_anchor_for_every_code(api: Api) -> None:
    page = api.http.get("/return-codes")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert set(re.findall(r'<dt id="([\w.]+)"', page.text)) == RETURN_CODES.keys()


def test_the_page_loads_nothing_and_runs_nothing(api: Api) -> None:
    page = api.http.get("/return-codes")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|src=|https?://", page.text)


def test_the_page_can_be_searched(api: Api) -> None:
    page = api.http.get("/return-codes", params={"q": "multiple OF 64"})
    assert re.findall(r'<dt id="(\w+)"', page.text) == ["InvalidSize"]
    page = api.http.get("/return-codes", params={"q": "xyzzy"})
    assert "No return code has these words" in page.text


def test_what_was_searched_for_is_shown_as_text(api: Api) -> None:
    page = api.http.get("/return-codes", params={"q": '"><script>alert(1)</script>'})
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


def test_the_page_in_another_language(api: Api) -> None:
    chosen = api.http.get("/return-codes", params={"lang": "ja"}, headers={"accept-language": "de"})
    assert '<html lang="ja">' in chosen.text
    assert translations.shipped()["ja"].entries["InvalidSize"].message in chosen.text
    accepted = api.http.get("/return-codes", headers={"accept-language": "de"})
    assert '<html lang="de">' in accepted.text
    unknown = api.http.get("/return-codes", params={"lang": "xx"})
    assert '<html lang="en">' in unknown.text


def test_a_search_that_is_too_long_is_refused(api: Api) -> None:
    page = api.http.get("/return-codes", params={"q": "q" * 101})
    assert (page.status_code, page.json()["rc"]) == (400, "BadRequest")
