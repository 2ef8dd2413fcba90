"""The engine that has a ComfyUI server make the images."""

from __future__ import annotations
