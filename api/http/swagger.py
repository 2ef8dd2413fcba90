"""The description of the API as Swagger 2.0, which programs written for the AI Horde read.

Made from the OpenAPI 3.1 document, so both always say the same. What Swagger 2 cannot say (one of
several types) is left open rather than said wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OURS = "#/components/schemas/"
_THEIRS = "#/definitions/"
_BASE = "/api"
_JSON = "application/json"

_NOT_IN_SWAGGER_2 = frozenset({"examples", "prefixItems", "$defs", "propertyNames"})
_OF_PARAMETERS = frozenset({"name", "in", "required", "description"})

_ANY_OBJECT = {"additionalProperties": True, "type": "object"}

Schema = Mapping[str, Any]


def swagger_from(openapi: Schema) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document as Swagger 2.0; its paths are those below ``/api``."""
    return {
        "swagger": "2.0",
        "info": dict(openapi["info"]),
        "basePath": _BASE,
        "consumes": [_JSON],
        "produces": [_JSON],
        "paths": {
            path.removeprefix(_BASE): {
                method: _operation(operation) for method, operation in methods.items()
            }
            for path, methods in openapi["paths"].items()
            if path.startswith(f"{_BASE}/")
        },
        "definitions": {
            name: _schema(schema) for name, schema in openapi["components"]["schemas"].items()
        },
    }


def _operation(operation: Schema) -> dict[str, Any]:
    parameters = [_parameter(each) for each in operation.get("parameters", ())]
    body = operation.get("requestBody")
    if body is not None:
        parameters.append(_body(body))
    kept = {name: operation[name] for name in ("tags", "summary", "description", "operationId")}
    return {
        **kept,
        "parameters": parameters,
        "responses": {
            status: _response(answer) for status, answer in operation["responses"].items()
        },
    }


def _parameter(parameter: Schema) -> dict[str, Any]:
    plain = _schema(parameter.get("schema", {}))
    # A parameter has a simple type, or is an array of such.
    if plain.get("type") not in {"string", "number", "integer", "boolean", "array"}:
        plain = {"type": "string"}
    plain.pop("x-nullable", None)
    return plain | {name: parameter[name] for name in _OF_PARAMETERS if name in parameter}


def _body(body: Schema) -> dict[str, Any]:
    content = body["content"]
    if _JSON in content:
        schema = _schema(content[_JSON]["schema"])
    else:
        schema = {"type": "string", "format": "binary"}
    return {
        "name": "payload",
        "in": "body",
        "required": body.get("required", False),
        "schema": schema,
    }


def _response(answer: Schema) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer["description"]}
    content = answer.get("content", {}).get(_JSON)
    if content is not None and content.get("schema"):
        described["schema"] = _schema(content["schema"])
    return described


def _schema(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict):
        # JSON Schema's true: anything.
        return {}
    if "$ref" in schema:
        return {"$ref": schema["$ref"].replace(_OURS, _THEIRS)}
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices is not None:
        return _chosen(schema, choices)
    made: dict[str, Any] = {}
    for name, value in schema.items():
        match name:
            case "properties":
                made[name] = {field: _schema(each) for field, each in value.items()}
            case "items":
                made[name] = _schema(value)
            case "additionalProperties":
                made[name] = _schema(value) if isinstance(value, dict) else value
            case "const":
                made["enum"] = [value]
            case "exclusiveMinimum" | "exclusiveMaximum":
                made[name.replace("exclusiveM", "m")] = value
                made[name] = True
            case _ if name not in _NOT_IN_SWAGGER_2:
                made[name] = value
    return made


def _chosen(schema: Schema, choices: list[Any]) -> dict[str, Any]:
    """Return a choice of schemas: one of them or null is that one, anything else stays open."""
    real = [each for each in choices if each != {"type": "null"}]
    about = {name: schema[name] for name in ("title", "description", "default") if name in schema}
    about = {name: value for name, value in about.items() if value is not None}
    if len(real) < len(choices):
        about["x-nullable"] = True
    named = [each for each in real if each is not True and "$ref" in each]
    if len(named) == 1 and all(each in (named[0], _ANY_OBJECT) for each in real):
        # A model, or an object of which nothing is said.
        real = named
    if len(real) != 1:
        return about
    only = _schema(real[0])
    # Beside a reference nothing counts.
    return only if "$ref" in only else {**only, **about}
