"""Sharpens the decoder once the latents are fixed, on whole pictures and slightly wrong latents."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from workers.scenes.autoencoder import restoration_losses, to_tensor
from workers.scenes.drawing import draw
from workers.scenes.latents import Encoded
from workers.scenes.parallel import agree, share_gradients, share_weights

_LEARNING_RATE: Final = 1e-3
_PIXELS_PER_BATCH: Final = 2 * 256 * 256
_MOST_NOISE: Final = 0.3


def train_decoder(
    vae: Any,
    data: Sequence[Encoded],
    *,
    seed: int,
    rank: int = 0,
    minutes: float,
    most_steps: int | None = None,
    save: Callable[[Any], None] | None = None,
) -> int:
    """Train the decoder alone until the minutes or the steps are used up; returns the steps made.

    The latents get a little noise, since a denoiser's latents are never quite right either.
    """
    rng, shared_rng = Random(f"decoder:{seed}:{rank}"), Random(f"decoder:{seed}")
    torch.manual_seed(seed * 1000 + rank)
    vae.to(memory_format=torch.channels_last).train()
    share_weights(vae)
    parameters = [*vae.post_quant_conv.parameters(), *vae.decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, betas=(0.9, 0.98))
    began, step, logged_at, average = time.monotonic(), 0, 0.0, 0.0
    while True:
        done = (time.monotonic() - began) / (60.0 * minutes)
        if most_steps is not None:
            done = max(done, step / most_steps)
        done = agree(done)
        if done >= 1.0:
            return step
        for group in optimiser.param_groups:
            warm = min(1.0, (step + 1) / 50)
            group["lr"] = _LEARNING_RATE * warm * 0.5 * (1.02 + 0.98 * math.cos(math.pi * done))
        encoded = shared_rng.choices(data, weights=[len(item.scenes) for item in data])[0]
        loss = _loss(vae, encoded, rng)
        optimiser.zero_grad()
        loss.backward()
        share_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        value = float(loss.detach())
        average = value if step == 1 else 0.97 * average + 0.03 * value
        if rank == 0 and time.monotonic() - logged_at > 20:
            logged_at = time.monotonic()
            print(f"decoder step {step} done {done:.2f} loss {average:.4f}", flush=True)
            if save is not None:
                save(vae)


def _loss(vae: Any, encoded: Encoded, rng: Random) -> Tensor:
    width, height = encoded.size
    count = max(1, _PIXELS_PER_BATCH // (width * height))
    picks = [rng.randrange(len(encoded.scenes)) for _ in range(count)]
    pictures = to_tensor(np.stack([draw(encoded.scenes[i], width, height) for i in picks]))
    latents = encoded.latents[picks].float()
    noise = torch.rand(count, 1, 1, 1) * _MOST_NOISE
    latents = latents + noise * torch.randn_like(latents)
    with torch.autocast("cpu", torch.bfloat16):
        restored = vae.decoder(vae.post_quant_conv(latents))
    colour, edge = restoration_losses(restored.float(), pictures)
    return colour + edge
