"""The settings that make good pictures quickest with the pipeline that ships with Hoard."""

from __future__ import annotations

PROMPT = "a red circle on a blue background"
SAMPLER = "lcm"
STEPS = 8
CFG_SCALE = 1.5

OPTIONS = f"--sampler {SAMPLER} --steps {STEPS} --cfg {CFG_SCALE:g}"
"""The same as options of ``hoard generate``."""
