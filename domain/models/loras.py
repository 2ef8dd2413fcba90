"""LoRAs and textual inversions: what a request may load, and the trigger words of LoRAs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MOST_LORAS = 5
MOST_TIS = 20

LONGEST_NAME = 255
LONGEST_TRIGGER = 30
STRENGTHS = (-5.0, 5.0)
"""Lowest and highest strength of a LoRA or a textual inversion."""

LCM_LORA_MODEL_IDS = frozenset({"195519", "216190", "324115"})
"""CivitAI model ids of LoRAs that make a model a latent consistency model (AI Horde's list)."""

LCM_LORA_VERSION_IDS = frozenset(
    {"219782", "225222", "243643", "246747", "247778", "268475", "363353"}
)
"""CivitAI version ids of the same."""


class InjectionTarget(StrEnum):
    """Where the worker writes the word that a textual inversion listens to."""

    PROMPT = "prompt"
    NEGATIVE_PROMPT = "negprompt"


@dataclass(frozen=True, slots=True)
class Lora:
    """A LoRA as a request names it."""

    name: str
    """A CivitAI model's name or id, 1 to 255 characters, which means its latest version; with
    ``is_version`` the id of one exact version."""
    model: float = 1.0
    """How strongly it changes the denoiser, -5 to 5."""
    clip: float = 1.0
    """How strongly it changes the text encoder, -5 to 5."""
    inject_trigger: str | None = None
    """Which of its trigger words is put into the prompt, 1 to 30 characters, or ``any``."""
    is_version: bool = False
    """Whether ``name`` is the id of a version (CivitAI's ``modelVersions[#].id``)."""


@dataclass(frozen=True, slots=True)
class TextualInversion:
    """A textual inversion as a request names it."""

    name: str
    """A CivitAI model's name or id, 1 to 255 characters."""
    inject_ti: InjectionTarget | None = None
    """Where its word is put; None leaves that to the prompt as it was written."""
    strength: float = 1.0
    """How much its word counts where it is put, -5 to 5."""


@dataclass(frozen=True, slots=True)
class ResolvedLora:
    """The exact version that a LoRA of a request means."""

    model_id: str
    """CivitAI's id of the model, digits."""
    version_id: str
    """CivitAI's id of the version, digits."""
    name: str
    """The model's name."""
    sha256: str | None
    """SHA-256 of the version's file, 64 lower-case hexadecimal digits; None if unknown."""
    base_model: str
    """What the version was trained on, in CivitAI's words, such as ``SDXL 1.0``."""
    trigger_words: tuple[str, ...] = ()
    nsfw: bool = False
    """Whether CivitAI marks the model as adult content."""


class LoraVersions(Protocol):
    """Finds out, as a port, which exact version a LoRA means."""

    def resolve(self, lora: Lora) -> ResolvedLora | None:
        """Return the version; None when it cannot be found now; the worker gets what was asked.

        Never raises, and never keeps its caller waiting for another server.
        """


def is_civitai_id(text: str) -> bool:
    """Whether a text is written as CivitAI's ids are: ASCII digits only."""
    return text.isascii() and text.isdigit()


def is_lcm_lora(lora: Lora) -> bool:
    """Whether it is one of the known LoRAs that need about a tenth of the steps."""
    return lora.name in (LCM_LORA_VERSION_IDS if lora.is_version else LCM_LORA_MODEL_IDS)


ANY_TRIGGER = "any"
"""Means whichever trigger word there is."""


def trigger_of(wanted: str | None, known: Sequence[str]) -> str | None:
    """Return the trigger word that is put into the prompt, as the LoRA's author writes it.

    ``any`` means the first one; any other text the trigger that is the same but for case, else the
    first that has the text in it. None when nothing is wanted, or the LoRA has no such trigger.
    """
    if wanted is None or not known:
        return None
    if wanted == ANY_TRIGGER:
        return known[0]
    folded = wanted.casefold()
    same = [trigger for trigger in known if trigger.casefold() == folded]
    holding = [trigger for trigger in known if folded in trigger.casefold()]
    return next(iter(same + holding), None)


def with_triggers(prompt: str, triggers: Sequence[str]) -> str:
    """Return the prompt with those trigger words at its end that it does not have yet."""
    for trigger in triggers:
        if trigger.casefold() not in prompt.casefold():
            prompt = f"{prompt}, {trigger}" if prompt.strip() else trigger
    return prompt
