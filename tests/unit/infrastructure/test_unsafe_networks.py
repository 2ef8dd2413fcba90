"""The networks that an operator calls unsafe."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from infrastructure.service.unsafe_networks import UnsafeNetworks

NETWORKS = UnsafeNetworks([ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")])


@pytest.mark.parametrize(
    ("address", "unsafe"),
    [
        ("203.0.113.7", True),
        ("::ffff:203.0.113.7", True),
        ("2001:db8:1::1", True),
        ("203.0.114.7", False),
        ("2001:db9::1", False),
        ("testclient", False),
        ("", False),
        (None, False),
    ],
)
def test_which_addresses_are_unsafe(address: object, unsafe: bool) -> None:
    assert (address in NETWORKS) is unsafe


def test_none_is_unsafe_where_none_is_named() -> None:
    assert "203.0.113.7" not in UnsafeNetworks()
