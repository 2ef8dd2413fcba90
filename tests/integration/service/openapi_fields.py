"""Reads an OpenAPI description: which fields a schema has, however it is composed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Described:
    """The description of an API, with its references looked up."""

    def __init__(self, description: dict[str, Any]) -> None:
        """Read ``description``, an OpenAPI 3.1 document."""
        self._description = description

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """Return what is said of a method at a path, whatever the path's parts are called."""
        for each, methods in self._description["paths"].items():
            if _anonymous(each) == _anonymous(path) and method.lower() in methods:
                found: dict[str, Any] = methods[method.lower()]
                return found
        return None

    def body(self, operation: dict[str, Any]) -> set[str]:
        """Return the fields of the JSON body that an operation takes, dotted, [] for entries."""
        content = operation.get("requestBody", {}).get("content", {})
        return set(self._fields(content.get("application/json", {}).get("schema", {})))

    def answer(self, operation: dict[str, Any]) -> set[str]:
        """Return the fields of all successful JSON answers of an operation."""
        return {
            field
            for status, answer in operation["responses"].items()
            if status.startswith("2")
            for field in self._fields(
                answer.get("content", {}).get("application/json", {}).get("schema", {})
            )
        }

    def _fields(
        self, schema: dict[str, Any], prefix: str = "", seen: tuple[str, ...] = ()
    ) -> Iterator[str]:
        reference = schema.get("$ref")
        if reference is not None:
            if reference not in seen:
                yield from self._fields(self._at(reference), prefix, (*seen, reference))
            return
        for composed in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(composed, ()):
                yield from self._fields(part, prefix, seen)
        if "items" in schema:
            yield from self._fields(schema["items"], f"{prefix}[]", seen)
        for name, inner in schema.get("properties", {}).items():
            field = f"{prefix}.{name}" if prefix else name
            yield field
            yield from self._fields(inner, field, seen)

    def _at(self, reference: str) -> dict[str, Any]:
        found = self._description
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return found


def _anonymous(path: str) -> list[str]:
    return ["{}" if part.startswith("{") else part for part in path.split("/")]
