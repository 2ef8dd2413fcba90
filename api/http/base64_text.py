"""Base64 as people and programs write it."""

from __future__ import annotations

import base64

_TO_STANDARD = str.maketrans("-_", "+/")


def bytes_from(text: str) -> bytes:
    """Return the bytes of a base64 text.

    A data URL counts as what follows its comma. Line breaks and blanks may be anywhere, padding may
    be missing, and the alphabet may be that of URLs (RFC 4648, 5).

    :raises ValueError: when it is no base64.
    """
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        pass
    plain = "".join(text.split()).rstrip("=").translate(_TO_STANDARD)
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
