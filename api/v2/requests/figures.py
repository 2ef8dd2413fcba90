"""Figures as the v2 API gives them."""

from __future__ import annotations


def whole_kudos(kudos: float) -> int:
    """Return kudos as answers about requests hold them: the nearest whole number.

    The AI Horde gives whole ones there, and clients read them as integers. The history, balances,
    streams and webhooks keep the hundredths.
    """
    return round(kudos)
