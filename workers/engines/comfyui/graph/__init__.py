"""The node graphs that ComfyUI runs, put together from small pieces."""

from __future__ import annotations
