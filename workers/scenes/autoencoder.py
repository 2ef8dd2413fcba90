"""The autoencoder: 32 by 32 pixels become one latent of sixteen numbers, and back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.scenes.drawing import draw, sample_scene
from workers.scenes.parallel import agree, share_gradients, share_weights

DOWNSAMPLING: Final = 32
LATENT_CHANNELS: Final = 16
_WIDTHS: Final = (16, 16, 32, 32, 64, 128)
_PASSAGES: Final = ("upsamplers", "downsamplers", "conv_shortcut")
_STAGE_ENDS: Final = (0.4, 0.65)
_KL_WEIGHT: Final = 3e-4
_EDGE_WEIGHT: Final = 1.0
_LEARNING_RATE: Final = 2e-3


def build_autoencoder() -> Any:
    """An untrained autoencoder; sides of images must be multiples of :data:`DOWNSAMPLING`."""
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(_WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(_WIDTHS),
        block_out_channels=_WIDTHS,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        # One group keeps the proportions of colours; more of them learn colours far more slowly.
        norm_num_groups=1,
        sample_size=512,
        scaling_factor=1.0,
        # Attention over all positions would make the cost of big images grow with their square.
        mid_block_add_attention=False,
        force_upcast=False,
    )
    _start_as_passage(vae)
    return vae


def train_autoencoder(
    vae: Any,
    *,
    seed: int,
    rank: int = 0,
    minutes: float,
    most_steps: int | None = None,
    save: Callable[[Any], None] | None = None,
) -> int:
    """Train in place until the minutes or the steps are used up and return the steps made.

    The first stages leave out the outermost levels and work on pictures a quarter and half as
    big: there the geometry is learned at a fraction of the cost, and the outer levels, which start
    as passages, have only edges to sharpen. Most batches are crops, which are full of edges; a
    share that grows towards the end are whole pictures, since the group norms see a whole picture
    at once when it counts.
    """
    rng = Random(f"autoencoder:{seed}:{rank}")
    torch.manual_seed(seed * 1000 + rank)
    share_weights(vae)
    vae.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(vae.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98))
    began, step, logged_at = time.monotonic(), 0, 0.0
    averages: dict[str, float] = {}
    while True:
        done = (time.monotonic() - began) / (60.0 * minutes)
        if most_steps is not None:
            done = max(done, step / most_steps)
        done = agree(done)
        if done >= 1.0:
            return step
        for group in optimiser.param_groups:
            group["lr"] = _LEARNING_RATE * min(1.0, (step + 1) / 100) * _decay(done)
        left_out = sum(done < end for end in _STAGE_ENDS)
        losses = _losses(vae, to_tensor(_pictures(rng, done, left_out)), left_out)
        optimiser.zero_grad()
        losses["total"].backward()
        share_gradients(vae.parameters())
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        step += 1
        for name, loss in losses.items():
            value = float(loss.detach())
            averages[name] = 0.98 * averages.get(name, value) + 0.02 * value
        if rank == 0 and time.monotonic() - logged_at > 20:
            logged_at = time.monotonic()
            figures = " ".join(f"{name} {value:.4f}" for name, value in averages.items())
            print(
                f"autoencoder step {step} done {done:.2f} at 1/{2**left_out} {figures}", flush=True
            )
            if save is not None:
                save(vae)


def centre_latents(vae: Any, pictures: list[NDArray[np.uint8]]) -> None:
    """Fold a shift and one common scale into the 1x1 convolutions around the latents.

    Afterwards every latent channel has mean 0 over ``pictures`` and all together have standard
    deviation 1, which is what the noise schedule expects; ``scaling_factor`` can then stay 1.
    """
    latents = torch.cat([encode(vae, picture[None]) for picture in pictures])
    mean = latents.mean(dim=(0, 2, 3))
    scale = float(((latents - mean[None, :, None, None]) ** 2).mean().sqrt())
    channels = LATENT_CHANNELS
    with torch.no_grad():
        outward, inward = vae.quant_conv, vae.post_quant_conv
        inward.bias += inward.weight[:, :, 0, 0] @ mean
        inward.weight *= scale
        outward.bias[:channels] -= mean
        outward.bias[:channels] /= scale
        outward.weight[:channels] /= scale
        outward.bias[channels:] -= 2 * math.log(scale)


def encode(vae: Any, pictures: NDArray[np.uint8]) -> Tensor:
    """The mean latents of RGB pictures of shape (n, height, width, 3)."""
    vae.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        distribution = vae.encode(to_tensor(pictures)).latent_dist
    mean: Tensor = distribution.mean.float()
    return mean


def _start_as_passage(vae: Any) -> None:
    """Start every layer that changes size or width as a passage for what comes in.

    The blocks in between start by adding nothing. So the mean colour of every 32 by 32 square
    comes through from the first step on, and the training can turn to the edges at once.
    """
    with torch.no_grad():
        for name, layer in vae.named_modules():
            if not isinstance(layer, nn.Conv2d):
                continue
            if name.endswith("conv2"):
                layer.weight.zero_()
                if layer.bias is not None:
                    layer.bias.zero_()
            elif name == "decoder.conv_in" or any(part in name for part in _PASSAGES):
                layer.weight *= 0.1
                for out in range(layer.out_channels):
                    kernel = layer.weight[out, out % layer.in_channels]
                    if "downsamplers" in name:
                        kernel[:2, :2] += 0.25
                    else:
                        kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] += 1.0


def _encode_inside(vae: Any, pictures: Tensor, left_out: int) -> Tensor:
    """The encoder without its first levels, for pictures as much smaller."""
    encoder = vae.encoder
    hidden = encoder.conv_in(pictures)
    for block in encoder.down_blocks[left_out:]:
        hidden = block(hidden)
    hidden = encoder.mid_block(hidden)
    moments: Tensor = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(hidden)))
    return moments


def _decode_inside(vae: Any, latents: Tensor, left_out: int) -> Tensor:
    """The decoder without its last levels; what it makes is as much smaller."""
    decoder = vae.decoder
    hidden = decoder.mid_block(decoder.conv_in(latents))
    last = len(decoder.up_blocks) - 1 - left_out
    for block in decoder.up_blocks[:last]:
        hidden = block(hidden)
    for resnet in decoder.up_blocks[last].resnets:
        hidden = resnet(hidden, None)
    hidden = hidden[:, : _WIDTHS[0]]
    restored: Tensor = decoder.conv_out(decoder.conv_act(decoder.conv_norm_out(hidden)))
    return restored


def _losses(vae: Any, pictures: Tensor, left_out: int) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        moments = vae.quant_conv(_encode_inside(vae, pictures, left_out)).float()
        mean, log_variance = moments.chunk(2, dim=1)
        log_variance = log_variance.clamp(-20.0, 10.0)
        latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        restored = _decode_inside(vae, vae.post_quant_conv(latents), left_out)
    restored = restored.float()
    colour, edge = restoration_losses(restored, pictures)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()
    total = colour + _EDGE_WEIGHT * edge + _KL_WEIGHT * divergence
    return {"total": total, "colour": colour, "edge": edge, "kl": divergence}


def _pictures(rng: Random, done: float, left_out: int) -> NDArray[np.uint8]:
    """One batch; ``done`` is the share of the training that lies behind."""
    scale = 2**left_out
    if rng.random() < (0.15 if left_out else 0.5 * done):
        width, height = rng.choice(((256, 256), (256, 256), (320, 192), (192, 320), (512, 512)))
        count = max(1, 256 * 256 // (width * height)) * scale
        width, height = width // scale, height // scale
        return np.stack([draw(sample_scene(rng), width, height) for _ in range(count)])
    crop, count = (64, 8) if left_out else (96, 8)
    crops: list[NDArray[np.uint8]] = []
    while len(crops) < count:
        side = max(crop, rng.choice((256, 384, 512, 512, 768)) // scale)
        scene = sample_scene(rng)
        picture = draw(scene, side, side)
        for _ in range(2 if left_out else 4):
            x, y = rng.randrange(side - crop + 1), rng.randrange(side - crop + 1)
            if scene.things and rng.random() < 0.7:
                thing = rng.choice(scene.things)
                reach = thing.radius * side
                x = round(thing.x * side + rng.uniform(-reach, reach) - crop / 2)
                y = round(thing.y * side + rng.uniform(-reach, reach) - crop / 2)
                x, y = (min(max(0, start), side - crop) for start in (x, y))
            crops.append(picture[y : y + crop, x : x + crop])
    return np.stack(crops[:count])


def restoration_losses(restored: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """How wrong the colours are, and how wrong the differences between neighbouring pixels."""
    difference = restored - pictures
    colour = difference.abs().mean() + difference.square().mean()
    edge = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    edge = edge + (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    return colour, edge


def to_tensor(pictures: NDArray[np.uint8]) -> Tensor:
    """RGB bytes of shape (n, height, width, 3) as numbers from -1 to 1 with the channels second."""
    values = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2)
    return (values.float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)


def _decay(done: float) -> float:
    return 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * done))
