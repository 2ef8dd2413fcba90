"""The whole training, from nothing to a pipeline folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from workers.scenes.autoencoder import build_autoencoder, centre_latents, train_autoencoder
from workers.scenes.decoder import train_decoder
from workers.scenes.denoiser import build_denoiser, build_scheduler, train_denoiser
from workers.scenes.drawing import draw, scene_at
from workers.scenes.latents import encode_shares
from workers.scenes.parallel import run_together, share_weights
from workers.scenes.pipeline import assemble, save_pipeline
from workers.scenes.text import build_text_encoder, build_tokenizer
from workers.scenes.text_training import train_text_encoder

_TEXT_SHARE: Final = 0.1
_AUTOENCODER_SHARE: Final = 0.2
_DENOISER_SHARE: Final = 0.5
_DECODER_SHARE: Final = 0.1
"""The rest of the time goes into drawing and encoding scenes."""
_SCENES_PER_MINUTE: Final = 300
_CENTRING_SEED_STEP: Final = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; see :func:`train`."""

    out: Path
    seed: int = 1
    minutes: float = 90.0
    """Wall-clock minutes for the whole training, on two cores or about as many."""
    processes: int = 2
    scenes: int | None = None
    """Scenes to encode for the denoiser; ``None`` derives the number from the minutes."""
    most_steps: int | None = None
    """At most so many steps per part, for trying things out."""


def train(plan: Plan) -> None:
    """Train all parts and write the pipeline to ``plan.out``."""
    run_together(_train, plan.processes, plan)


def _train(rank: int, plan: Plan) -> None:
    torch.manual_seed(plan.seed)
    vae, tokenizer, unet = build_autoencoder(), build_tokenizer(), build_denoiser()
    text_encoder = build_text_encoder(tokenizer)
    limits: dict[str, Any] = {"seed": plan.seed, "rank": rank, "most_steps": plan.most_steps}
    train_text_encoder(text_encoder, tokenizer, minutes=plan.minutes * _TEXT_SHARE, **limits)
    train_autoencoder(vae, minutes=plan.minutes * _AUTOENCODER_SHARE, **limits)
    if rank == 0:
        # Scenes of another seed than the one whose scenes the denoiser learns from.
        centring_seed = plan.seed + _CENTRING_SEED_STEP
        centre_latents(vae, [draw(scene_at(centring_seed, i), 256, 256) for i in range(64)])
    share_weights(vae)
    scenes = plan.scenes or round(plan.minutes * _SCENES_PER_MINUTE)
    data = encode_shares(vae, seed=plan.seed, scenes=scenes, rank=rank, ranks=plan.processes)

    averaged = train_denoiser(
        unet, text_encoder, tokenizer, data, minutes=plan.minutes * _DENOISER_SHARE, **limits
    )
    # Last, since the denoiser needs only the encoder, which stays as it is from here on.
    train_decoder(vae, data, minutes=plan.minutes * _DECODER_SHARE, **limits)
    if rank == 0:
        parts = (vae, text_encoder, tokenizer, averaged, build_scheduler())
        save_pipeline(assemble(*parts), plan.out)
