"""Tensors of a neural network's layers, filled at random but to a scale."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Filling:
    """Collects the tensors of layers under their names; the same seed gives the same tensors."""

    def __init__(self, seed: int) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._generator = torch.Generator().manual_seed(seed)

    def normal(self, name: str, *shape: int, std: float) -> None:
        """Add a tensor of normally distributed numbers."""
        self.tensors[name] = torch.randn(shape, generator=self._generator) * std

    def linear(
        self, name: str, inputs: int, outputs: int, *, gain: float = 1.0, bias: bool = True
    ) -> None:
        """Add a linear layer that gives ``gain`` times the spread that it is given."""
        self.normal(f"{name}.weight", outputs, inputs, std=gain / math.sqrt(inputs))
        if bias:
            self.tensors[f"{name}.bias"] = torch.zeros(outputs)

    def convolution(
        self, name: str, inputs: int, outputs: int, *, size: int = 3, gain: float = 1.0
    ) -> None:
        """Add a convolution that gives ``gain`` times the spread that it is given."""
        std = gain / (size * math.sqrt(inputs))
        self.normal(f"{name}.weight", outputs, inputs, size, size, std=std)
        self.tensors[f"{name}.bias"] = torch.zeros(outputs)

    def norm(self, name: str, channels: int) -> None:
        """Add a group or layer norm that changes nothing afterwards."""
        self.tensors[f"{name}.weight"] = torch.ones(channels)
        self.tensors[f"{name}.bias"] = torch.zeros(channels)
