"""The words of LoRAs that a request wants put into its prompt."""

from __future__ import annotations

from collections.abc import Sequence

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
