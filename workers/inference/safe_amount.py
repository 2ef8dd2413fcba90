"""The safe amount: how many images at once an engine's memory was found to hold."""

from __future__ import annotations


class SafeAmount:
    """What a worker may declare after its device ran out of memory; for one thread.

    It only ever falls, by half each time, and a new process starts without it: what has filled the
    memory may be gone by then, and trying again and again while it works would cost whole batches.
    """

    def __init__(self) -> None:
        """Nothing went wrong yet."""
        self._most: int | None = None

    def of(self, amount: int) -> int:
        """Return how many images to declare, of the ``amount`` that was set up, 1 or more."""
        return amount if self._most is None else min(amount, self._most)

    def lower(self, amount: int, images: int) -> int | None:
        """Note that a batch did not fit; return what is declared from now on, None if no less.

        A single image that does not fit, or a batch that is larger than what was declared, says
        nothing about the amount.

        :param amount: images per batch that the worker was set up for.
        :param images: how many the batch had.
        """
        declared = self.of(amount)
        if not 1 < images <= declared:
            return None
        self._most = declared // 2
        return self._most
