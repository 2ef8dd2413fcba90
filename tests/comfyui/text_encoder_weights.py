"""A randomly filled CLIP-L text encoder: every word of a prompt gets a direction of its own."""

from __future__ import annotations

from torch import Tensor

from tests.comfyui.filling import Filling

_WIDTH = 768
_INNER = 3072
_LAYERS = 12
_WORDS = 49408
_PLACES = 77


def text_encoder_weights(seed: int) -> dict[str, Tensor]:
    """Return the tensors, named as in a checkpoint but without the prefix up to ``text_model.``."""
    filling = Filling(seed)
    filling.normal("embeddings.token_embedding.weight", _WORDS, _WIDTH, std=1.0)
    filling.normal("embeddings.position_embedding.weight", _PLACES, _WIDTH, std=0.3)
    for index in range(_LAYERS):
        layer = f"encoder.layers.{index}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            filling.linear(f"{layer}.self_attn.{part}", _WIDTH, _WIDTH)
        filling.norm(f"{layer}.layer_norm1", _WIDTH)
        filling.norm(f"{layer}.layer_norm2", _WIDTH)
        filling.linear(f"{layer}.mlp.fc1", _WIDTH, _INNER)
        filling.linear(f"{layer}.mlp.fc2", _INNER, _WIDTH)
    filling.norm("final_layer_norm", _WIDTH)
    return filling.tensors
