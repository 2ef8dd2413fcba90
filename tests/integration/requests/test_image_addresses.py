"""The addresses of images: signed, for one image, and for half an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.api_client import Api, picture, serving

NOBODYS_ID = "11111111-1111-4111-8111-111111111111"
LIFETIME = timedelta(minutes=30)
REPEATED = timedelta(minutes=5)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path) as api:
        yield api


def delivered(api: Api, n: int = 1) -> tuple[str, list[str]]:
    """Have images made; return the request and the addresses of its images."""
    request_id = api.asked(n=n)
    api.deliver(api.popped()["ids"])
    return request_id, [made["img"] for made in api.status(request_id)["generations"]]


def refused(response: Any, status: int, rc: str) -> str:
    assert (response.status_code, response.json()["rc"]) == (status, rc)
    return str(response.json()["message"])


def test_an_address_serves_its_image_to_anybody(api: Api) -> None:
    _, (address,) = delivered(api)
    response = api.http.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/webp"
    assert response.content == picture()
    etag = response.headers["etag"]
    again = api.http.get(address, headers={"if-none-match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


def test_an_address_ends(api: Api) -> None:
    request_id, (address,) = delivered(api)
    api.clock.advance(LIFETIME - timedelta(seconds=1))
    assert api.http.get(address).status_code == 200
    api.clock.advance(REPEATED + timedelta(seconds=1))
    headers = {"if-none-match": "*"}
    assert "expired" in refused(api.http.get(address, headers=headers), 403, "Forbidden")
    (renewed,) = api.status(request_id)["generations"]
    assert api.http.get(renewed["img"]).status_code == 200


def test_who_asks_again_soon_gets_the_same_address(api: Api) -> None:
    request_id, addresses = delivered(api, n=2)
    assert len(set(addresses)) == 2
    api.clock.advance(timedelta(seconds=30))
    again = [made["img"] for made in api.status(request_id)["generations"]]
    # On a boundary of five minutes once, and never twice.
    api.clock.advance(timedelta(seconds=30))
    once_more = [made["img"] for made in api.status(request_id)["generations"]]
    assert once_more == again


def test_an_address_without_its_signature_serves_nothing(api: Api) -> None:
    _, (one, other) = delivered(api, n=2)
    bare, _, query = one.partition("?")
    expires = parse_qs(query)["expires"][0]
    swapped = f"{urlsplit(one)._replace(query=urlsplit(other).query).geturl()}"
    for wrong in (
        bare,
        f"{bare}?expires={expires}",
        f"{bare}?expires={int(expires) + 1}&{query.partition('&')[2]}",
        f"{one}A",
        swapped,
    ):
        assert "wrong" in refused(api.http.get(wrong), 403, "Forbidden"), wrong


def test_what_is_no_image_is_not_found(api: Api) -> None:
    request_id, _ = delivered(api)
    for name in ("nothing", "%00", "..%2f..", "ünïcode", "a" * 999):
        response = api.http.get(f"/api/v2/generate/images/{name}/{NOBODYS_ID}.webp")
        assert response.status_code == 404
        assert response.json()["rc"] in {"RequestNotFound", "NotFound"}
    for unknown in (f"{NOBODYS_ID}/{NOBODYS_ID}", f"{request_id}/{NOBODYS_ID}"):
        query = api.hoard.secrets.signer.sign("image", unknown, LIFETIME)
        response = api.http.get(f"/api/v2/generate/images/{unknown}.webp?{query}")
        refused(response, 404, "RequestNotFound")


def test_an_image_that_is_kept_no_longer_is_gone(api: Api) -> None:
    _, (address,) = delivered(api)
    digest = api.http.get(address).headers["etag"].strip('"')
    api.hoard.storage.blobs.delete(digest)
    assert "no longer" in refused(api.http.get(address), 410, "RequestExpired")


def test_another_installation_does_not_know_the_signature(api: Api, tmp_path: Path) -> None:
    _, (address,) = delivered(api)
    with serving(tmp_path / "other") as other:
        refused(other.http.get(address), 403, "Forbidden")


@pytest.mark.parametrize("seconds", [60, 7200])
def test_how_long_an_address_counts_is_a_setting(tmp_path: Path, seconds: int) -> None:
    with serving(tmp_path / "set", image_address_seconds=seconds) as api:
        _, (address,) = delivered(api)
        api.clock.advance(timedelta(seconds=seconds - 1))
        assert api.http.get(address).status_code == 200
        api.clock.advance(REPEATED + timedelta(seconds=1))
        refused(api.http.get(address), 403, "Forbidden")
