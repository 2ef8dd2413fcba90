"""The sampler names of the v2 API and the diffusers schedulers that stand behind them.

diffusers has no twin for some of them without further dependencies, so these run on the nearest
scheduler that it does have:

- ``k_lms`` is an Adams-Bashforth solver in sigma; here it is DEIS of third order, the same family
  with exponential weights.
- ``k_dpm_fast`` and ``k_dpm_adaptive`` are single-step DPM-Solver of third and of second order
  with as many steps as asked for; nothing adapts, so that a job's cost stays what it was priced at.
- ``k_dpmpp_2s_a`` is the single-step DPM-Solver++ in its stochastic form.
- ``k_dpmpp_sde`` is the multi-step DPM-Solver++ in its stochastic form.

``k_euler_a``, ``DDIM`` and ``lcm`` ignore the Karras setting, since their schedulers have none.
``k_heun``, ``k_dpm_2`` and ``k_dpm_2_a`` call the model twice for most steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

STEPS_OF_A_TRAINED_LCM: Final = 50


@dataclass(frozen=True, slots=True)
class Sampler:
    """A scheduler class of diffusers by name, with the settings that make it this sampler."""

    scheduler: str
    karras: bool = True
    """Whether the scheduler knows Karras noise levels."""
    settings: dict[str, Any] = field(default_factory=dict)


SAMPLERS: Final[dict[str, Sampler]] = {
    "k_lms": Sampler("DEISMultistepScheduler", settings={"solver_order": 3}),
    "k_heun": Sampler("HeunDiscreteScheduler"),
    "k_euler": Sampler("EulerDiscreteScheduler"),
    "k_euler_a": Sampler("EulerAncestralDiscreteScheduler", karras=False),
    "k_dpm_2": Sampler("KDPM2DiscreteScheduler"),
    "k_dpm_2_a": Sampler("KDPM2AncestralDiscreteScheduler"),
    "k_dpm_fast": Sampler("DPMSolverSinglestepScheduler", settings={"solver_order": 3}),
    "k_dpm_adaptive": Sampler("DPMSolverSinglestepScheduler", settings={"solver_order": 2}),
    "k_dpmpp_2s_a": Sampler(
        "DPMSolverSinglestepScheduler",
        settings={"solver_order": 2, "algorithm_type": "sde-dpmsolver++"},
    ),
    "k_dpmpp_2m": Sampler("DPMSolverMultistepScheduler", settings={"solver_order": 2}),
    "dpmsolver": Sampler("DPMSolverMultistepScheduler", settings={"solver_order": 3}),
    "k_dpmpp_sde": Sampler(
        "DPMSolverMultistepScheduler",
        settings={"solver_order": 2, "algorithm_type": "sde-dpmsolver++"},
    ),
    "DDIM": Sampler("DDIMScheduler", karras=False),
    "lcm": Sampler("LCMScheduler", karras=False),
}
"""Every sampler name that the v2 API allows."""


def build_scheduler(config: Any, sampler: str, *, karras: bool, steps: int) -> Any | None:
    """A fresh scheduler for one batch, made from the configuration of a pipeline's own scheduler.

    Returns ``None`` where the pipeline's own scheduler must stay: flow-matching models have no
    noise schedule that the v2 samplers could run on.

    :raises KeyError: when ``sampler`` is none of :data:`SAMPLERS`.
    """
    import diffusers

    chosen = SAMPLERS[sampler]
    if "beta_start" not in config:
        return None
    # Models distilled for trailing steps say so and keep them. All others get the whole range of
    # noise levels as k-diffusion has it; DDIM would otherwise not start from pure noise.
    own_spacing = config.get("timestep_spacing")
    spacing = "trailing" if own_spacing == "trailing" or sampler == "DDIM" else "linspace"
    settings: dict[str, Any] = {
        "timestep_spacing": spacing,
        "steps_offset": 0,
        "algorithm_type": "dpmsolver++",
        "final_sigmas_type": "zero",
        "use_karras_sigmas": karras and chosen.karras,
        "use_exponential_sigmas": False,
        "use_beta_sigmas": False,
        **chosen.settings,
    }
    if chosen.scheduler == "DEISMultistepScheduler":
        settings["algorithm_type"] = "deis"
    if chosen.scheduler == "DDIMScheduler":
        settings["set_alpha_to_one"] = True
    if chosen.scheduler == "LCMScheduler":
        # It can make at most as many steps as it believes the teacher of the model had.
        settings["original_inference_steps"] = max(
            STEPS_OF_A_TRAINED_LCM, config.get("original_inference_steps", 0), steps
        )
    return getattr(diffusers, chosen.scheduler).from_config(config, **settings)
