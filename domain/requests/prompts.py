"""Prompts as one text: the prompt, then optionally ``###`` and the negative prompt."""

from __future__ import annotations

_SEPARATOR = "###"
"""Separates a prompt from its negative prompt, in the v2 API."""


def divided_prompt(text: str) -> tuple[str, str]:
    """Return the prompt and the negative prompt of a text, to the blank; empty for none."""
    prompt, _, negative_prompt = text.partition(_SEPARATOR)
    return prompt, negative_prompt


def joined_prompt(prompt: str, negative_prompt: str) -> str:
    """Return both prompts as one text, as workers expect them: the text that was divided."""
    if not negative_prompt:
        return prompt
    return f"{prompt}{_SEPARATOR}{negative_prompt}"
