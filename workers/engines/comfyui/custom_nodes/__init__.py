"""Nodes of Hoard's own that operators copy into ComfyUI; each file is one node by itself."""

from __future__ import annotations
