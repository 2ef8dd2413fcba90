"""Tiling: images whose edges fit together, by nodes that an operator has to install.

They are those of ``ComfyUI-seamless-tiling``: convolutions that go on at the opposite edge.
"""

from __future__ import annotations

from workers.engines.comfyui.graph.nodes import Graph, Output
from workers.engines.comfyui.installed import Installed

_MODEL_NODE = "SeamlessTile"
_DECODER_NODE = "CircularVAEDecode"


def can_tile(installed: Installed) -> bool:
    """Whether the nodes are there."""
    return installed.has(_MODEL_NODE, _DECODER_NODE)


def with_tiling(graph: Graph, model: Output, installed: Installed) -> Output:
    """Return the model with its edges joined."""
    inputs = installed.completed(
        _MODEL_NODE, model=model, tiling="enable", copy_model="Make a copy"
    )
    return graph.add(_MODEL_NODE, **inputs)


def decode_tiling(graph: Graph, latent: Output, vae: Output, installed: Installed) -> Output:
    """Add a decoder that joins the edges as well."""
    inputs = installed.completed(_DECODER_NODE, samples=latent, vae=vae, tiling="enable")
    return graph.add(_DECODER_NODE, **inputs)
