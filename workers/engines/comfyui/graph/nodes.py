"""A graph of ComfyUI's nodes: who feeds whom, in the form that its API takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool
"""A constant input of a node, rather than another node's output."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a node of the graph."""

    node: str
    """The node's id."""
    slot: int = 0
    """Which of its outputs, from 0."""


Input: TypeAlias = Output | Value


@dataclass(frozen=True, slots=True)
class Node:
    """One node, with what goes into it."""

    kind: str
    """ComfyUI's name of the class."""
    inputs: Mapping[str, Input]


class Graph:
    """Nodes that were added one after another; each can feed those that come later."""

    def __init__(self) -> None:
        """Start without any node."""
        self._nodes: dict[str, Node] = {}

    def add(self, kind: str, **inputs: Input) -> Output:
        """Add a node and return its first output.

        :raises ValueError: when an input comes from a node that is not in the graph.
        """
        for name, value in inputs.items():
            if isinstance(value, Output) and value.node not in self._nodes:
                raise ValueError(f"{kind}.{name} is fed by a node of another graph")
        node = str(len(self._nodes) + 1)
        self._nodes[node] = Node(kind, dict(inputs))
        return Output(node)

    def kind_of(self, node: str) -> str:
        """Return the class of a node; empty when there is no such node."""
        found = self._nodes.get(node)
        return "" if found is None else found.kind

    def of_kind(self, kind: str) -> dict[str, Node]:
        """Return the nodes of one class by their ids."""
        return {key: node for key, node in self._nodes.items() if node.kind == kind}

    def as_prompt(self) -> dict[str, dict[str, object]]:
        """Return the graph as ``POST /prompt`` takes it."""
        return {
            key: {
                "class_type": node.kind,
                "inputs": {name: _as_json(value) for name, value in node.inputs.items()},
            }
            for key, node in self._nodes.items()
        }


def outputs(first: Output, count: int) -> tuple[Output, ...]:
    """Return the first ``count`` outputs of a node, whose first one is given."""
    return tuple(Output(first.node, slot) for slot in range(count))


def _as_json(value: Input) -> object:
    return [value.node, value.slot] if isinstance(value, Output) else value
