"""Digests of network addresses: equal for equal addresses, and not readable."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from functools import lru_cache

from infrastructure.keys.master_key import derived_key

_KEY_PURPOSE = b"hoard: digests of network addresses, version 1"
_CACHE_SIZE = 10_000

DIGEST_LENGTH = 40
"""Hexadecimal digits of a digest: as many as the v2 interface has room for in an address."""


class AddressDigests:
    """HMAC-SHA256 under a key from the master key: without it, trying all addresses finds none."""

    def __init__(self, master_key: bytes) -> None:
        """Derive the key, the same in every process of an installation."""
        self._key = derived_key(master_key, _KEY_PURPOSE)
        # Each pop asks for its worker's digest, and normalising an address is slow.
        self._cached = lru_cache(_CACHE_SIZE)(self._digest)

    def __call__(self, address: str) -> str:
        """Return 40 hexadecimal digits; equal ones for two spellings of one address."""
        return self._cached(address)

    def _digest(self, address: str) -> str:
        plain = normal_address(address).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, plain, hashlib.sha256).hexdigest()[:DIGEST_LENGTH]


def normal_address(address: str) -> str:
    """Return the one spelling of an address; an IPv4 address in an IPv6 one is IPv4.

    The zone of a link-local address, which means something on one machine only, is left out. What
    is no network address stays as it is.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
