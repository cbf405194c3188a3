"""Schemas of the bodies of requests, from their fields, with meanings and examples."""

from collections.abc import Iterator
from typing import Any

from apispec import APISpec
from marshmallow import RAISE

from datastorage.platform.web.characters import FREE_TEXT
from datastorage.platform.web.contract import ArrayContract, Contract
from datastorage.platform.web.fields import JSON_OBJECT, JSON_VALUE


def component_name(schema: Any) -> str:
    """Return what ``schema``, a class or an instance, is called in the document."""
    cls = schema if isinstance(schema, type) else type(schema)
    name: str = cls.__name__
    return name.removesuffix("Schema")


def add_components(spec: APISpec) -> None:
    """Add the schemas that payloads refer to."""
    spec.components.schema(
        "JsonObject",
        {
            "type": "object",
            "description": "Any JSON object without U+0000 in a name or a string.",
            "propertyNames": {"pattern": FREE_TEXT.pattern},
            "additionalProperties": JSON_VALUE,
        },
    )
    any_value = [
        {"type": "string", "pattern": FREE_TEXT.pattern},
        {"type": ["number", "boolean", "null"]},
        {"type": "array", "items": JSON_VALUE},
        JSON_OBJECT,
    ]
    spec.components.schema("JsonValue", {"anyOf": any_value})


def reference(spec: APISpec, reader: Any) -> dict[str, Any]:
    """Return the schema of a request body, a reference to a component that is added on first use."""
    if isinstance(reader, ArrayContract):
        items = reference(spec, reader.item)
        return {"type": "array", "items": items, "minItems": 1, "maxItems": reader.maximum}
    name = component_name(reader)
    if name not in spec.components.schemas:
        spec.components.schema(name, _object(reader))
    return {"$ref": f"#/components/schemas/{name}"}


def _object(contract: Contract) -> dict[str, Any]:
    declared: dict[str, Any] = dict(contract.fields)
    renamed = set(contract.aliases.values())
    properties = {name: _member(contract, name) for name in declared}
    for alias, name in contract.aliases.items():
        notes = {"description": f"Older name of `{name}`; {contract.beside_it}.", "deprecated": True}
        properties[alias] = properties[name] | notes
    described: dict[str, Any] = {
        "type": "object",
        "description": _first_line(type(contract)),
        "properties": properties,
        "required": [name for name, field in declared.items() if field.required and name not in renamed],
    }
    if contract.unknown == RAISE:
        described["additionalProperties"] = False
    rules = [*_required_by_any_name(contract), *contract.rules]
    if rules:
        described["allOf"] = rules
    if contract.example is not None:
        described["examples"] = [contract.example]
    return described


def _required_by_any_name(contract: Contract) -> Iterator[dict[str, Any]]:
    for name, field in contract.fields.items():
        older = [alias for alias, current in contract.aliases.items() if current == name]
        if field.required and older:
            yield {"anyOf": [{"required": [each]} for each in (name, *older)]}


def _member(contract: Contract, name: str) -> dict[str, Any]:
    field: Any = contract.fields[name]
    schema = field.openapi() if field.required else _or_null(field.openapi())
    meaning = contract.glossary.get(name)
    return schema | {"description": meaning} if meaning else schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    widened = schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        widened["enum"] = [*schema["enum"], None]
    return widened


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").partition("\n")[0]
