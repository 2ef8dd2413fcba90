"""Samplers and seeds: what a sampler costs, and which seed a job gets."""

from __future__ import annotations

SEED_RANGE = 2**32
"""Seeds are integers from 0 to one below this."""

_MOST_DIGITS = 4000
"""Python refuses to read longer numbers, in favour of their time."""

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

    Digits are read as a number, any other text as a little-endian number of its UTF-8 bytes. Of a
    number that is too large the low 32 bits are dropped until it fits. This is the AI Horde's
    rule: the same words give the same picture there and here.
    """
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        number = int(text)
    else:
        number = int.from_bytes(text.encode(errors="replace"), "little")
    too_long = max(0, number.bit_length() - 1) // 32
    return number >> 32 * too_long


def seed_of_job(first_seed: int, variation: int, job_number: int) -> int:
    """Return the seed of a request's job number ``job_number`` (from 0).

    :param first_seed: the request's seed, 0 to 2^32 - 1.
    :param variation: what each further job adds, 1 to 1000.
    """
    return (first_seed + variation * job_number) % SEED_RANGE
