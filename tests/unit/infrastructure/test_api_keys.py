from __future__ import annotations

import base64
import re

from infrastructure.keys.api_keys import ANONYMOUS_KEY, digest_of, new_api_key


def test_a_key_is_22_url_safe_characters() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", new_api_key())


def test_a_key_carries_128_bits() -> None:
    assert len(base64.urlsafe_b64decode(new_api_key() + "==")) * 8 == 128


def test_no_two_keys_are_alike() -> None:
    assert len({new_api_key() for _ in range(1000)}) == 1000


def test_the_anonymous_key_is_never_made() -> None:
    assert ANONYMOUS_KEY == "0000000000"
    assert len(new_api_key()) != len(ANONYMOUS_KEY)


def test_a_digest_is_the_sha256_of_the_key() -> None:
    # The vector of FIPS 180-2, appendix B.1.
    assert digest_of("abc") == ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")


def test_any_text_a_client_sends_has_a_digest() -> None:
    digests = {digest_of(key) for key in ("", "\ud800", "\0", "ключ", "k" * 100_000)}
    assert len(digests) == 5
