"""What is installed in a ComfyUI: its nodes, and the files that they list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.engines.comfyui.graph.nodes import Input


@dataclass(frozen=True, slots=True)
class InstalledNodes:
    """The answer of ``GET /object_info``, read as far as the graphs need it."""

    nodes: Mapping[str, Any]
    embeddings: frozenset[str] = frozenset()
    """Names of the textual inversions."""

    def has(self, *kinds: str) -> bool:
        """Whether all these classes of nodes are there."""
        return all(kind in self.nodes for kind in kinds)

    def first_of(self, *kinds: str) -> str | None:
        """Return the first of these classes that is there."""
        return next((kind for kind in kinds if kind in self.nodes), None)

    def choices(self, kind: str, name: str) -> tuple[str, ...]:
        """Return what may be chosen for an input, such as the files that a loader lists."""
        return _choices(self._inputs(kind).get(name))

    def completed(self, kind: str, **inputs: Input) -> dict[str, Input]:
        """Return the inputs with what is missing filled in as the node itself would have it.

        Nodes that operators install differ from version to version in the inputs that they require.
        """
        declared = self._required(kind)
        filled: dict[str, Input] = {
            name: default
            for name, declaration in declared.items()
            if (default := _default(declaration)) is not None
        }
        return filled | {
            name: value for name, value in inputs.items() if name in self._inputs(kind)
        }

    def _required(self, kind: str) -> Mapping[str, Any]:
        return self._section(kind, "required")

    def _inputs(self, kind: str) -> Mapping[str, Any]:
        return {**self._section(kind, "optional"), **self._required(kind)}

    def _section(self, kind: str, section: str) -> Mapping[str, Any]:
        node = self.nodes.get(kind)
        inputs = node.get("input") if isinstance(node, Mapping) else None
        found = inputs.get(section) if isinstance(inputs, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def _choices(declaration: Any) -> tuple[str, ...]:
    """Read a list of choices, which stands first, or within the options of a ``COMBO``."""
    if not isinstance(declaration, list) or not declaration:
        return ()
    listed = declaration[0]
    if listed == "COMBO" and len(declaration) > 1 and isinstance(declaration[1], Mapping):
        listed = declaration[1].get("options")
    if not isinstance(listed, list):
        return ()
    return tuple(choice for choice in listed if isinstance(choice, str))


def _default(declaration: Any) -> Input | None:
    if not isinstance(declaration, list) or not declaration:
        return None
    options = declaration[1] if len(declaration) > 1 else None
    if isinstance(options, Mapping):
        default = options.get("default")
        if isinstance(default, (str, int, float, bool)):
            return default
    choices = _choices(declaration)
    return choices[0] if choices else None
