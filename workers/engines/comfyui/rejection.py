"""Why ComfyUI refuses a graph, told without what the graph says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def why_rejected(answer: Mapping[str, Any], graph: Mapping[str, object]) -> str:
    """Say which node is wrong and how, in the API's own fixed words.

    The ``details`` quote what went into the node, which may be the prompt, so they stay out; the
    input's name is taken where it stands by itself.
    """
    errors = answer.get("node_errors")
    for node, found in errors.items() if isinstance(errors, dict) else ():
        if not isinstance(found, dict):
            continue
        kind = _text(found.get("class_type")) or _kind_of(graph, node)
        for each in _objects(found.get("errors")):
            extra = each.get("extra_info")
            name = _text(extra.get("input_name")) if isinstance(extra, dict) else ""
            where = f"{kind}.{name}" if name else kind
            return f"ComfyUI rejects the graph: {where}: {_text(each.get('type'))}"
    error = answer.get("error")
    kind = _text(error.get("type")) if isinstance(error, dict) else ""
    return f"ComfyUI rejects the graph: {kind or 'for no reason that it gives'}"


def _objects(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _kind_of(graph: Mapping[str, object], node: str) -> str:
    found = graph.get(node)
    return _text(found.get("class_type")) if isinstance(found, dict) else ""
