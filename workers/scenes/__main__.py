"""Trains the scenes pipeline: ``python -m workers.scenes --out FOLDER``."""

from __future__ import annotations

import argparse
from pathlib import Path

from workers.scenes.training import Plan, train


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m workers.scenes", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the pipeline")
    parser.add_argument("--seed", type=int, default=1, help="what all scenes and weights follow")
    parser.add_argument("--minutes", type=float, default=90.0, help="for the whole training")
    parser.add_argument("--processes", type=int, default=2, help="one per CPU core is right")
    parser.add_argument("--scenes", type=int, help="scenes to encode for the denoiser")
    parser.add_argument("--most-steps", type=int, help="at most so many steps per part")
    given = parser.parse_args()
    train(
        Plan(
            out=given.out,
            seed=given.seed,
            minutes=given.minutes,
            processes=given.processes,
            scenes=given.scenes,
            most_steps=given.most_steps,
        )
    )


if __name__ == "__main__":
    main()
