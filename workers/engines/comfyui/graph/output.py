"""Output: finished images, saved under a name that no other execution has."""

from __future__ import annotations

from workers.engines.comfyui.graph.nodes import Graph, Output

FOLDER = "hoard"
"""The folder among ComfyUI's outputs that they go to."""


def file_prefix(execution: str) -> str:
    """Return how the names of an execution's files begin, without a folder."""
    return f"{FOLDER}-{execution}"


def save(graph: Graph, images: Output, *, execution: str) -> Output:
    """Add the node that saves the images; its id is what the history lists them under.

    :param execution: an id that no other execution has.
    """
    prefix = f"{FOLDER}/{file_prefix(execution)}"
    return graph.add("SaveImage", images=images, filename_prefix=prefix)
