"""One HTTP request and its answer over a checked connection, with named errors."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import httpcore

from domain.service.fetching import FetchFailed, FetchProblem
from infrastructure.outbound.call_rule import CalledAddress
from infrastructure.outbound.checked_connections import CheckedBackend


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer whose body is still arriving."""

    status: int
    headers: Mapping[str, str]
    """By their lower-case names."""
    chunks: Iterator[bytes]
    """The body; raises :class:`FetchFailed`."""

    @property
    def is_plain(self) -> bool:
        """Whether the body comes as it is, not compressed."""
        return self.headers.get("content-encoding", "identity").strip().lower() == "identity"


@contextmanager
def exchange(
    called: CalledAddress,
    method: str,
    headers: Mapping[str, str],
    content: bytes,
    *,
    accept: str = "*/*",
    backend: CheckedBackend,
    ssl_context: ssl.SSLContext,
) -> Iterator[Streamed]:
    """Send a request and read its answer while the block runs; redirects are not followed.

    :param headers: further ones; the host and the like are set here.
    :raises FetchFailed: saying why there is no answer.
    """
    own = {
        "host": called.authority,
        "user-agent": "Hoard",
        "accept": accept,
        # The size limit counts received bytes: a small body must not decompress into a large one.
        "accept-encoding": "identity",
        "connection": "close",
    }
    request = httpcore.Request(
        method,
        httpcore.URL(
            scheme=called.scheme.encode(),
            host=called.host.encode(),
            port=called.port,
            target=called.path.encode(),
        ),
        headers=[*({name.lower(): value for name, value in headers.items()} | own).items()],
        content=content,
    )
    with httpcore.ConnectionPool(ssl_context=ssl_context, network_backend=backend) as pool:
        with _named_errors():
            response = pool.handle_request(request)
        with closing(response):
            received = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            yield Streamed(response.status, received, _chunks(response))


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException:
        raise FetchFailed(FetchProblem.TOO_SLOW) from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        is_tls = any(isinstance(reason, ssl.SSLError) for reason in error.args)
        raise FetchFailed(
            FetchProblem.NOT_TRUSTED if is_tls else FetchProblem.UNREACHABLE
        ) from None


def _chunks(response: httpcore.Response) -> Iterator[bytes]:
    with _named_errors():
        yield from response.iter_stream()
