"""Unsafe networks: workers may refuse requests that come from there."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from infrastructure.keys.address_digests import normal_address
from infrastructure.outbound.public_addresses import Network


class UnsafeNetworks:
    """The networks of open proxies and anonymisers, as the operator lists them."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        """Take the networks, of either kind."""
        self._networks = tuple(networks)

    def __contains__(self, address: object) -> bool:
        """Whether an address lies in one of them; what is no address does not."""
        if not self._networks or not isinstance(address, str):
            return False
        try:
            found = ip_address(normal_address(address))
        except ValueError:
            return False
        return any(found in network for network in self._networks)
