"""Safety: a port for a content checker, and what is submitted instead of what it holds back."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from domain.images.metadata import GenerationMetadata, MetadataType, MetadataValue
from domain.jobs.job import ImageState

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY = (128, 128, 128)


class InspectorInvalid(Exception):
    """No content checker can be had by that name; the message says why."""


class Inspector(Protocol):
    """A content checker: an operator's own one, or :mod:`workers.inference.open_nsfw`.

    It runs in the worker's process, once for every picture. When it raises, nothing of the batch is
    submitted: a picture that could not be checked is not one that was found to be fine.
    """

    def inspect(self, picture: Image, *, censor_nsfw: bool) -> ImageState:
        """Return whether a picture may be submitted.

        :param censor_nsfw: whether the requester wants adult content held back.
        :returns: ``OK``; ``CENSORED``, and a plain picture is submitted instead; or ``CSAM``,
            where nothing of the picture leaves the process, no digest either.
        """


def load_inspector(name: str) -> Inspector:
    """Return what ``module:factory`` makes when called without arguments.

    :raises InspectorInvalid: when there is no such thing, or it makes nothing that inspects.
    """
    module, _, factory = name.partition(":")
    try:
        made: Inspector = getattr(import_module(module), factory)()
    except Exception as error:
        raise InspectorInvalid(f"{name} cannot be loaded: {type(error).__name__}") from error
    if not callable(getattr(made, "inspect", None)):
        raise InspectorInvalid(f"{name} makes nothing that inspects pictures")
    return made


def placeholder(picture: Image) -> Image:
    """Return a plain grey picture of the same size."""
    from PIL import Image

    return Image.new("RGB", picture.size, _GREY)


def censorship_of(state: ImageState) -> tuple[GenerationMetadata, ...]:
    """Return the metadata of an image in this state."""
    if state is ImageState.OK:
        return ()
    value = MetadataValue.CSAM if state is ImageState.CSAM else MetadataValue.NSFW
    return (GenerationMetadata(MetadataType.CENSORSHIP, value),)
