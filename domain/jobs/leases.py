"""Leases: how long one holds, how often it is renewed; and how long a request waits for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from domain.images.settings import ImageSettings
from domain.models.catalogue import Baseline

_LEASE_START_SECONDS = 30
_REFERENCE_PIXELS = 512 * 512
_SECONDS_PER_REFERENCE_STEP = 2
_CONTROL_FACTOR = 2
_TRANSFORMER_FACTOR = 3
_TRANSFORMERS = frozenset({Baseline.FLUX, Baseline.QWEN, Baseline.Z_IMAGE})
_EXTRA_SLOW_FACTOR = 3

LEASES_IN_A_ROW = 10
"""How many times its first lease a worker may have a job at most, however much progress it shows:
a slow device is given its time, and a batch that crawls for ever still goes to another worker."""

LOSSES_PER_IMAGE = 3
"""A request whose images were lost more often than this, on average, is given up as faulted."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The operator's choices about time; the defaults are the AI Horde's."""

    minimum_lease: timedelta = timedelta(seconds=150)
    """No lease is shorter than this."""
    request: timedelta = timedelta(minutes=20)
    """A request that nothing happens to for this long expires."""
    extra_slow_request: timedelta = timedelta(minutes=60)
    """The same for a request that allows extra slow workers."""

    def lease(
        self,
        settings: ImageSettings,
        *,
        family: Baseline = Baseline.SD_1,
        extra_slow_worker: bool = False,
    ) -> timedelta:
        """Return how long a worker may take for one batch, whatever the number of its images.

        :param family: that of the model that the worker draws with.
        """
        work = settings.steps * _SECONDS_PER_REFERENCE_STEP * settings.pixels / _REFERENCE_PIXELS
        seconds = timedelta(seconds=round(_LEASE_START_SECONDS + work))
        lease = max(self.minimum_lease, seconds)
        if settings.control_type is not None:
            lease *= _CONTROL_FACTOR
        if family in _TRANSFORMERS:
            lease *= _TRANSFORMER_FACTOR
        return lease * _EXTRA_SLOW_FACTOR if extra_slow_worker else lease

    def waiting(self, *, extra_slow_workers: bool) -> timedelta:
        """Return how long a request may wait after its last activity."""
        return self.extra_slow_request if extra_slow_workers else self.request
