"""Signed addresses: they hold for one purpose, one subject and a while."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from domain.return_codes import Refused
from infrastructure.keys.signing import AddressSigner
from tests.world import ManualClock

KEY = bytes(range(32))
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def signer(clock: ManualClock) -> AddressSigner:
    return AddressSigner(KEY, clock)


def parts_of(query: str) -> tuple[str, str]:
    fields = parse_qs(query, strict_parsing=True)
    assert set(fields) == {"expires", "signature"}
    return fields["expires"][0], fields["signature"][0]


def refused(
    signer: AddressSigner, purpose: str, subject: str, *, expires: str, signature: str
) -> str:
    with pytest.raises(Refused) as caught:
        signer.verify(purpose, subject, expires=expires, signature=signature)
    assert caught.value.code.name == "Forbidden"
    return caught.value.message


def test_a_signed_address_counts_until_it_ends(signer: AddressSigner, clock: ManualClock) -> None:
    expires, signature = parts_of(signer.sign("image", "a/b", MINUTE))
    clock.advance(MINUTE - timedelta(seconds=1))
    signer.verify("image", "a/b", expires=expires, signature=signature)
    clock.advance(timedelta(seconds=1))
    assert "expired" in refused(signer, "image", "a/b", expires=expires, signature=signature)


def test_it_holds_in_every_process_that_has_the_master_key(
    signer: AddressSigner, clock: ManualClock
) -> None:
    expires, signature = parts_of(signer.sign("image", "a", MINUTE))
    AddressSigner(KEY, clock).verify("image", "a", expires=expires, signature=signature)
    other = AddressSigner(bytes(32), clock)
    assert "wrong" in refused(other, "image", "a", expires=expires, signature=signature)


def test_nothing_signed_can_be_changed(signer: AddressSigner) -> None:
    expires, signature = parts_of(signer.sign("image", "a", MINUTE))
    later = str(int(expires) + 1)
    assert "wrong" in refused(signer, "upload", "a", expires=expires, signature=signature)
    assert "wrong" in refused(signer, "image", "b", expires=expires, signature=signature)
    assert "wrong" in refused(signer, "image", "a", expires=later, signature=signature)
    assert "wrong" in refused(signer, "imag", "ea", expires=expires, signature=signature)


@pytest.mark.parametrize("expires", ["", "soon", "-1", "1" * 30, "1e9", "٣"])
@pytest.mark.parametrize("signature", ["", "x", "ü", "\ud800", "A" * 10_000])
def test_whatever_a_client_writes_is_refused(
    signer: AddressSigner, expires: str, signature: str
) -> None:
    assert "missing or wrong" in refused(signer, "image", "a", expires=expires, signature=signature)


def test_a_moment_that_is_none_is_refused_even_when_signed(signer: AddressSigner) -> None:
    signature = signer._signature("image", "a", "never")
    assert "wrong" in refused(signer, "image", "a", expires="never", signature=signature)


def test_the_same_address_is_handed_out_again_for_a_while(
    signer: AddressSigner, clock: ManualClock
) -> None:
    # The clock starts at a full hour, which is where a step of five minutes begins.
    clock.advance(timedelta(seconds=1))
    again = timedelta(minutes=5)
    first = signer.sign("image", "a", MINUTE, repeated=again)
    clock.advance(timedelta(minutes=3))
    assert signer.sign("image", "a", MINUTE, repeated=again) == first
    clock.advance(again)
    second = signer.sign("image", "a", MINUTE, repeated=again)
    assert second != first
    expires, signature = parts_of(second)
    clock.advance(MINUTE - timedelta(seconds=1))
    signer.verify("image", "a", expires=expires, signature=signature)
