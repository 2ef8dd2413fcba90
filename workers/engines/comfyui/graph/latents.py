"""Latents: what a batch starts from, each image with its batch index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.models.catalogue import Baseline
from workers.engines.comfyui.graph.nodes import Graph, Output

GROWN_BY = 6
"""Pixels by which a mask is widened where what it covers is blanked out: ComfyUI's own figure."""


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """A batch's source image in ComfyUI's folders, already of the batch's size."""

    image: str
    """Its name as ``LoadImage`` takes it."""
    mask: str | None = None
    """That of the mask, white where the image is drawn anew; None to draw all of it anew."""


@dataclass(frozen=True, slots=True)
class SourceNodes:
    """The nodes that a source image comes out of."""

    pixels: Output
    mask: Output | None


def load_source(graph: Graph, files: SourceFiles) -> SourceNodes:
    """Add the loaders of the source image and its mask."""
    pixels = graph.add("LoadImage", image=files.image)
    if files.mask is None:
        return SourceNodes(pixels, None)
    return SourceNodes(pixels, graph.add("LoadImageMask", image=files.mask, channel="red"))


def empty_latent(
    graph: Graph, *, width: int, height: int, family: Baseline, indices: Sequence[int]
) -> Output:
    """Add a batch that starts from noise alone.

    :param width: pixels, a multiple of 8.
    :param height: pixels, a multiple of 8.
    """
    kind = "EmptySD3LatentImage" if family is Baseline.FLUX else "EmptyLatentImage"
    whole = graph.add(kind, width=width, height=height, batch_size=_run_up_to(indices))
    return _at_indices(graph, whole, indices)


def source_latent(
    graph: Graph, source: SourceNodes, vae: Output, *, denoise: float, indices: Sequence[int]
) -> Output:
    """Add a batch that starts from a source image.

    What a mask covers is blanked out when nothing of it shall be left.

    :param denoise: how much is drawn anew, above 0 to 1.
    """
    if source.mask is not None and denoise >= 1:
        one = graph.add(
            "VAEEncodeForInpaint",
            pixels=source.pixels,
            vae=vae,
            mask=source.mask,
            grow_mask_by=GROWN_BY,
        )
    else:
        one = graph.add("VAEEncode", pixels=source.pixels, vae=vae)
        if source.mask is not None:
            one = graph.add("SetLatentNoiseMask", samples=one, mask=source.mask)
    whole = graph.add("RepeatLatentBatch", samples=one, amount=_run_up_to(indices))
    return _at_indices(graph, whole, indices)


def _run_up_to(indices: Sequence[int]) -> int:
    return indices[-1] + 1


def _at_indices(graph: Graph, whole: Output, indices: Sequence[int]) -> Output:
    """Take the images at these indices out of a batch; each keeps the noise that it has in it."""
    if tuple(indices) == tuple(range(_run_up_to(indices))):
        return whole
    parts = [
        graph.add("LatentFromBatch", samples=whole, batch_index=index, length=1)
        for index in indices
    ]
    joined = parts[0]
    for part in parts[1:]:
        joined = graph.add("LatentBatch", samples1=joined, samples2=part)
    return joined
