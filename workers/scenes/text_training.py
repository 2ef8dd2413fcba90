"""Teaches the text encoder what captions mean, before any picture is involved.

For every caption the scene behind it is known. So the text encoder first learns to predict from the
words what is where: a much smaller task than learning it through a denoiser's loss, and the
denoiser then starts with words that already mean something.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.scenes.captions import caption
from workers.scenes.drawing import COLOURS, LANDSCAPES, SHAPES, SIZES, Scene, sample_scene
from workers.scenes.parallel import agree, share_gradients, share_weights
from workers.scenes.text import TEXT_LENGTH, TEXT_WIDTH, encode_texts

_LEARNING_RATE: Final = 1e-3
_UNKNOWN: Final = -100
_COLOUR_NAMES: Final = tuple(COLOURS)
_BACKGROUNDS: Final = ("plain", "gradient", *LANDSCAPES)
_CELLS: Final = 9
_CHOICES: Final = (
    len(_BACKGROUNDS),
    len(_COLOUR_NAMES),
    len(_COLOUR_NAMES),
    *(choices for _ in range(_CELLS) for choices in (len(SHAPES) + 1, len(COLOURS), len(SIZES))),
)


def scene_facts(scene: Scene) -> list[int]:
    """The scene as one class number per question; -100 where the question makes no sense.

    First the kind and the upper and lower colour of the background, then for each cell of a three
    by three grid: which shape (the last number means none), which colour, which size.
    """
    colours = scene.background.colours
    facts = [
        _BACKGROUNDS.index(scene.background.kind),
        _COLOUR_NAMES.index(colours[0]) if colours else _UNKNOWN,
        _COLOUR_NAMES.index(colours[-1]) if colours else _UNKNOWN,
    ]
    cells = {(thing.column, thing.row): thing for thing in scene.things}
    for row in range(3):
        for column in range(3):
            thing = cells.get((column, row))
            if thing is None:
                facts.extend((len(SHAPES), _UNKNOWN, _UNKNOWN))
            else:
                facts.append(SHAPES.index(thing.shape))
                facts.append(_COLOUR_NAMES.index(thing.colour))
                facts.append(SIZES.index(thing.size))
    return facts


def train_text_encoder(
    text_encoder: Any,
    tokenizer: Any,
    *,
    seed: int,
    rank: int = 0,
    minutes: float,
    most_steps: int | None = None,
    batch: int = 64,
    save: Callable[[Any], None] | None = None,
) -> int:
    """Train in place until the minutes or the steps are used up and return the steps made."""
    rng = Random(f"text:{seed}:{rank}")
    torch.manual_seed(seed)
    questions = nn.Linear(TEXT_WIDTH, sum(_CHOICES))
    share_weights(text_encoder)
    parameters = [*text_encoder.parameters(), *questions.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=_LEARNING_RATE, betas=(0.9, 0.98))
    text_encoder.train()
    began, step, logged_at = time.monotonic(), 0, 0.0
    average = 0.0
    while True:
        done = (time.monotonic() - began) / (60.0 * minutes)
        if most_steps is not None:
            done = max(done, step / most_steps)
        done = agree(done)
        if done >= 1.0:
            text_encoder.eval()
            return step
        for group in optimiser.param_groups:
            warm = min(1.0, (step + 1) / 100)
            group["lr"] = _LEARNING_RATE * warm * 0.5 * (1.0 + math.cos(math.pi * done))
        scenes = [sample_scene(rng) for _ in range(batch)]
        tokens = encode_texts(tokenizer, [caption(scene, rng) for scene in scenes])
        tokens = scramble(tokens, rng, tokenizer)
        facts = torch.tensor([scene_facts(scene) for scene in scenes])
        # Most captions are short, and the positions after a text's end need learning less often.
        tokens = tokens[:, : rng.choice((20, 20, 20, 28, TEXT_LENGTH))]
        whole = (tokens == tokenizer.eos_token_id).any(dim=1)
        loss = _loss(text_encoder, questions, tokens[whole], facts[whole])
        optimiser.zero_grad()
        loss.backward()
        share_gradients(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        average = 0.98 * average + 0.02 * float(loss.detach())
        if rank == 0 and time.monotonic() - logged_at > 20:
            logged_at = time.monotonic()
            print(f"text step {step} done {done:.2f} loss {average:.4f}", flush=True)
            if save is not None:
                save(text_encoder)


def scramble(tokens: Tensor, rng: Random, tokenizer: Any) -> Tensor:
    """Put unknown pieces of words into some of the texts, so that they come to mean nothing."""
    tokens = tokens.clone()
    for row in range(tokens.shape[0]):
        if rng.random() < 0.08:
            end = int((tokens[row] == tokenizer.eos_token_id).int().argmax())
            if 1 < end < TEXT_LENGTH - 6:
                start, count = rng.randrange(1, end + 1), rng.randrange(1, 6)
                tail = tokens[row, start : TEXT_LENGTH - count].clone()
                tokens[row, start + count :] = tail
                # The first 512 tokens are the single bytes, which no known word is made of.
                pieces = [rng.randrange(512) for _ in range(count)]
                tokens[row, start : start + count] = torch.tensor(pieces)
                tokens[row, -1] = tokenizer.eos_token_id
    return tokens


def _loss(text_encoder: Any, questions: nn.Linear, tokens: Tensor, facts: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        states = text_encoder(tokens).last_hidden_state
    ends = (tokens == text_encoder.config.eos_token_id).int().argmax(dim=1)
    # Any position from the end of the text on has read all of it; all are to know the scene.
    spread = torch.rand(tokens.shape[0]) * (tokens.shape[1] - ends)
    positions = ends + spread.long()
    answers = questions(states.float()[torch.arange(tokens.shape[0]), positions])
    losses = [
        functional.cross_entropy(part, facts[:, index], ignore_index=_UNKNOWN, reduction="sum")
        for index, part in enumerate(answers.split(_CHOICES, dim=1))
    ]
    total: Tensor = torch.stack(losses).sum() / tokens.shape[0]
    return total
