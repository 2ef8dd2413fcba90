from __future__ import annotations

import base64
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from domain.service.fetching import FetchFailed, FetchProblem
from workers.remote.images import Submission
from workers.remote.server import Server, ServerAway

ONE, TWO = UUID(int=1), UUID(int=2)
STORE = {ONE: "https://store.example/1", TWO: "https://store.example/2"}
FILE = b"an image"
INLINE = base64.b64encode(FILE).decode()


class Store:
    """A store elsewhere that answers as it is told."""

    def __init__(self, *answers: int | FetchProblem) -> None:
        self.answers = list(answers)
        self.brought: list[tuple[str, bytes]] = []

    def put(self, url: str, data: bytes, *, seconds: float) -> int:
        self.brought.append((url, data))
        answer = self.answers.pop(0)
        if isinstance(answer, FetchProblem):
            raise FetchFailed(answer)
        return answer


@pytest.fixture
def server() -> Iterator[Server]:
    transport = httpx.MockTransport(lambda _request: httpx.Response(500))
    with Server("https://horde.example", "key", agent="a:1:b", transport=transport) as made:
        yield made


def test_an_image_is_brought_to_its_own_address_once(server: Server) -> None:
    store = Store(200, 200)
    submission = Submission(server, store, STORE)
    # A submit that got no answer is tried again.
    assert [submission.generation_of(image, FILE) for image in (ONE, ONE, TWO)] == ["R2"] * 3
    assert store.brought == [(STORE[ONE], FILE), (STORE[TWO], FILE)]


def test_without_an_address_it_travels_within_the_submit(server: Server) -> None:
    assert Submission(server, Store(), {}).generation_of(ONE, FILE) == INLINE


@pytest.mark.parametrize(
    "answer", [FetchProblem.ADDRESS_REFUSED, FetchProblem.ADDRESS_INVALID, 403, 307]
)
def test_an_address_that_never_takes_it_is_left_alone(
    server: Server, answer: int | FetchProblem
) -> None:
    store = Store(answer)
    submission = Submission(server, store, STORE)
    assert submission.generation_of(ONE, FILE) == INLINE
    assert submission.generation_of(ONE, FILE) == INLINE
    assert len(store.brought) == 1


@pytest.mark.parametrize("answer", [FetchProblem.UNREACHABLE, FetchProblem.TOO_SLOW, 429, 503])
def test_what_may_pass_is_tried_three_times(server: Server, answer: int | FetchProblem) -> None:
    store = Store(answer, answer, answer)
    submission = Submission(server, store, STORE)
    for _ in range(2):
        with pytest.raises(ServerAway):
            submission.generation_of(ONE, FILE)
    assert submission.generation_of(ONE, FILE) == INLINE


def test_the_servers_own_address_is_tried_as_long_as_it_is_away(server: Server) -> None:
    submission = Submission(server, Store(), {ONE: "https://horde.example/api/v2/uploads/1"})
    for _ in range(5):
        with pytest.raises(ServerAway):
            submission.generation_of(ONE, FILE)
