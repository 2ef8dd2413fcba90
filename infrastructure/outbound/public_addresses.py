"""Distinguishes public IP addresses from those that clients must not make Hoard call."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The IANA special-purpose registries, where Python's answer depends on its version.
_SPECIAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        # Where Azure answers its own machines, from a public range.
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_LOW_32_BITS = 0xFFFF_FFFF

# RFC 5214, section 6.1: what an interface id of ISATAP begins with, but for its bit "universal".
_ISATAP, _ISATAP_BITS = 0x0000_5EFE, 0xFDFF_FFFF


def address_from(text: str) -> Address:
    """Read an IP address, leaving out the interface that an IPv6 address may name (``%eth0``).

    :raises ValueError: when it is none.
    """
    return ip_address(text.partition("%")[0])


def is_public(address: Address) -> bool:
    """Whether an address, and any IPv4 address inside it, is a host's on the public internet."""
    return all(_is_public(each) for each in _with_embedded(address))


def is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether one of the networks holds the address, written as it is or as IPv4 in IPv6."""
    plain = (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
    return any(plain.version == network.version and plain in network for network in networks)


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not is_within(address, _SPECIAL)
    )


def _with_embedded(address: Address) -> Iterator[Address]:
    """Yield the address that decides, or both where a gateway may send it on as IPv4."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
            return
        if address.sixtofour is not None:
            yield address.sixtofour
        if address in _NAT64:
            # What DNS64 answers on networks without IPv4: as public as what is inside.
            yield IPv4Address(int(address) & _LOW_32_BITS)
            return
        if int(address) >> 32 & _ISATAP_BITS == _ISATAP:
            yield IPv4Address(int(address) & _LOW_32_BITS)
    yield address
