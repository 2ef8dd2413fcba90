"""The denoiser: a small U-Net over latents, conditioned on the text encoder's states."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import torch
from diffusers import EulerAncestralDiscreteScheduler, UNet2DConditionModel
from torch import Tensor, nn

from workers.scenes.autoencoder import LATENT_CHANNELS
from workers.scenes.captions import caption
from workers.scenes.latents import Encoded
from workers.scenes.parallel import agree, share_gradients, share_weights
from workers.scenes.text import TEXT_WIDTH, encode_texts
from workers.scenes.text_training import scramble

_WIDTHS: Final = (48, 96, 160)
_LEARNING_RATE: Final = 1e-3
_NO_TEXT_SHARE: Final = 0.1
_POSITIONS_PER_BATCH: Final = 4096
_MOST_PER_BATCH: Final = 64
_EMA_DECAY: Final = 0.998


def build_denoiser() -> Any:
    """An untrained U-Net for the latents of :mod:`workers.scenes.autoencoder`."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=_WIDTHS,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> Any:
    """The noise schedule; it ends in nearly pure noise, so that plain colours come out plain."""
    return EulerAncestralDiscreteScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.016,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        steps_offset=1,
    )


def train_denoiser(
    unet: Any,
    text_encoder: Any,
    tokenizer: Any,
    data: Sequence[Encoded],
    *,
    seed: int,
    rank: int = 0,
    minutes: float,
    most_steps: int | None = None,
    save: Callable[[Any], None] | None = None,
) -> Any:
    """Train until the minutes or the steps are used up and return the averaged U-Net.

    The text encoder stays as it is. Small pictures come first, since they are cheap and teach
    what the words look like; the share of big ones grows with time.
    """
    rng, shared_rng = Random(f"denoiser:{seed}:{rank}"), Random(f"denoiser:{seed}")
    torch.manual_seed(seed * 1000 + rank)
    share_weights(unet)
    averaged = copy.deepcopy(unet).requires_grad_(False).eval()
    unet.train()
    optimiser = torch.optim.AdamW(
        unet.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.01
    )
    signal = build_scheduler().alphas_cumprod.float().sqrt()
    began, step, logged_at = time.monotonic(), 0, 0.0
    averages: dict[str, float] = {}
    while True:
        done = (time.monotonic() - began) / (60.0 * minutes)
        if most_steps is not None:
            done = max(done, step / most_steps)
        done = agree(done)
        if done >= 1.0:
            return averaged
        for group in optimiser.param_groups:
            group["lr"] = _LEARNING_RATE * min(1.0, (step + 1) / 200) * _decay(done)
        encoded = shared_rng.choices(data, weights=[_weight(item, done) for item in data])[0]
        loss = _loss(unet, encoded, rng, text_encoder, tokenizer, signal)
        optimiser.zero_grad()
        loss.backward()
        share_gradients(unet.parameters())
        nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimiser.step()
        step += 1
        follow(averaged, unet, min(_EMA_DECAY, step / (step + 20)))
        name = "x".join(map(str, encoded.size))
        value = float(loss.detach())
        averages[name] = 0.97 * averages.get(name, value) + 0.03 * value
        if rank == 0 and time.monotonic() - logged_at > 30:
            logged_at = time.monotonic()
            figures = " ".join(f"{name} {value:.4f}" for name, value in averages.items())
            print(f"denoiser step {step} done {done:.2f} {figures}", flush=True)
            if save is not None:
                save(averaged)


def draw_batch(
    encoded: Encoded, rng: Random, text_encoder: Any, tokenizer: Any
) -> tuple[Tensor, Tensor]:
    """Random latents of one size with the states of the text encoder for their captions."""
    positions = encoded.latents.shape[-1] * encoded.latents.shape[-2]
    count = min(_MOST_PER_BATCH, max(1, _POSITIONS_PER_BATCH // positions))
    picks = [rng.randrange(len(encoded.scenes)) for _ in range(count)]
    texts = [
        "" if rng.random() < _NO_TEXT_SHARE else caption(encoded.scenes[pick], rng)
        for pick in picks
    ]
    tokens = scramble(encode_texts(tokenizer, texts), rng, tokenizer)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        states = text_encoder(tokens).last_hidden_state
    return encoded.latents[picks].float(), states.float()


def follow(averaged: Any, unet: Any, decay: float) -> None:
    """Move the averaged weights a little towards the trained ones."""
    with torch.no_grad():
        torch._foreach_lerp_(
            list(averaged.parameters()), [p.detach() for p in unet.parameters()], 1.0 - decay
        )


def _loss(
    unet: Any, encoded: Encoded, rng: Random, text_encoder: Any, tokenizer: Any, signal: Tensor
) -> Tensor:
    latents, states = draw_batch(encoded, rng, text_encoder, tokenizer)
    count = latents.shape[0]
    # One time from each of as many equal intervals: the same on average, with less noise.
    times = ((torch.arange(count) + torch.rand(count)) / count * len(signal)).long()
    clean = signal[times][:, None, None, None]
    dirty = (1.0 - clean.square()).sqrt()
    noise = torch.randn_like(latents)
    with torch.autocast("cpu", torch.bfloat16):
        guess = unet(clean * latents + dirty * noise, times, states, return_dict=False)[0]
    loss: Tensor = (guess.float() - (clean * noise - dirty * latents)).square().mean()
    return loss


def _weight(encoded: Encoded, done: float) -> float:
    """How often a size comes when the share ``done`` of the training lies behind."""
    side = max(encoded.size)
    if side < 256:
        return 0.03
    if side == 256:
        return 1.0 - 0.8 * min(1.0, done / 0.7)
    return (0.1 + 0.9 * done) * (1.0 if encoded.size[0] == encoded.size[1] else 0.1)


def _decay(done: float) -> float:
    return 0.02 + 0.98 * min(1.0, (1.0 - done) / 0.5)
