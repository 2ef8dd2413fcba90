"""Samplers and seeds: what a sampler costs, and which seed a job gets."""

from __future__ import annotations

SEED_RANGE = 2**32
"""Seeds are integers from 0 to one below this."""

SAMPLERS = frozenset(
    {
        "DDIM",
        "dpmsolver",
        "k_dpm_2",
        "k_dpm_2_a",
        "k_dpm_adaptive",
        "k_dpm_fast",
        "k_dpmpp_2m",
        "k_dpmpp_2s_a",
        "k_dpmpp_sde",
        "k_euler",
        "k_euler_a",
        "k_heun",
        "k_lms",
        "lcm",
    }
)
"""Sampler names of the AI Horde v2 API."""

SECOND_ORDER_SAMPLERS = frozenset({"k_heun", "k_dpm_2", "k_dpm_2_a", "k_dpmpp_2s_a", "k_dpmpp_sde"})
"""Samplers that run the denoiser twice a step."""

ADAPTIVE_SAMPLER_STEPS = 40
"""What ``k_dpm_adaptive`` counts as, since it chooses its own number of steps."""


def counted_steps(sampler: str, steps: int) -> int:
    """Return the denoiser passes that a sampler makes in ``steps`` steps (1 to 500)."""
    if sampler == "k_dpm_adaptive":
        return ADAPTIVE_SAMPLER_STEPS
    return steps * 2 if sampler in SECOND_ORDER_SAMPLERS else steps


def seed_from_text(text: str) -> int:
    """Turn the seed that a client wrote into an integer below 2^32.

    Digits are read as a number; any other text as a little-endian number of its UTF-8 bytes, the
    AI Horde's rule, so that the same words give the same picture there and here.
    """
    if text.isascii() and text.isdigit() and len(text) <= 4000:
        return int(text) % SEED_RANGE
    return int.from_bytes(text.encode(errors="replace"), "little") % SEED_RANGE


def seed_of_job(first_seed: int, variation: int, job_number: int) -> int:
    """Return the seed of a request's job number ``job_number`` (0 for the first).

    :param first_seed: the request's seed, 0 to 2^32 - 1.
    :param variation: what each further job adds, 1 to 1000.
    """
    return (first_seed + variation * job_number) % SEED_RANGE
