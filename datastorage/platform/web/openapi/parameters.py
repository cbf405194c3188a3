"""Parameters: what a path, a query string and the headers of a request may say."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from apispec import APISpec

from datastorage.platform.web.contract import Contract
from datastorage.platform.web.parameters import Parameter
from datastorage.platform.web.requests import CORRELATION_ID, REQUEST_ID

_HEADERS = {
    REQUEST_ID: "Identifies the request in the answer and in the log; replaced when it is malformed.",
    CORRELATION_ID: "Sent back as it came, and part of every log line of the request.",
}


def add_components(spec: APISpec) -> None:
    """Add the header parameters that every operation has."""
    for name, description in _HEADERS.items():
        spec.components.parameter(name, "header", {"description": description, "schema": {"type": "string"}})


def of_headers() -> tuple[str, ...]:
    """Name the components that are header parameters of every operation."""
    return tuple(_HEADERS)


def of_path(names: Sequence[str], contract: Contract | None) -> Iterator[dict[str, Any]]:
    """Describe the variables of a path."""
    for name in names:
        schema = _field(contract, name).openapi() if contract else {"type": "string"}
        glossary = contract.glossary if contract else {}
        yield _parameter("path", name, glossary.get(name, ""), schema=schema, required=True)


def of_query(reader: Any) -> Iterator[dict[str, Any]]:
    """Describe the parameters of a query, their older names after them."""
    if not hasattr(reader, "parameters"):
        yield from _of_contract(reader)
        return
    for each in reader.parameters:
        described = _of_parameter(each, each.name, each.meaning)
        yield described | {"required": True} if each.required else described
    for each in reader.parameters:
        for alias in each.aliases:
            older = f"Older name of `{each.name}`, which wins."
            yield _of_parameter(each, alias, older) | {"deprecated": True}


def _of_parameter(parameter: Parameter, name: str, description: str) -> dict[str, Any]:
    schema, grammar = parameter.openapi(), parameter.grammar
    if grammar.media_type is not None:
        content = {grammar.media_type: {"schema": schema, "example": grammar.example}}
        return _parameter("query", name, description, content=content)
    # An empty parameter means "not given", except where the grammar judges the empty text itself.
    refuses_empty = parameter.required or not parameter.empty_is_absent
    return _parameter("query", name, description, schema=schema if refuses_empty else _or_empty(schema))


def _of_contract(contract: Contract) -> Iterator[dict[str, Any]]:
    for name, field in contract.fields.items():
        if field.metadata.get("internal"):
            continue
        described = _of_query(contract, name, contract.glossary.get(name, ""))
        yield described | {"required": True} if field.required else described
    for alias, name in contract.aliases.items():
        yield _of_query(contract, name, f"Older name of `{name}`, which wins.", alias) | {"deprecated": True}


def _of_query(contract: Contract, name: str, description: str, alias: str | None = None) -> dict[str, Any]:
    field = _field(contract, name)
    schema: dict[str, Any] = field.openapi()
    if hasattr(field, "media_type"):
        content = {field.media_type: {"schema": schema, "example": field.example}}
        return _parameter("query", alias or name, description, content=content)
    # An empty parameter means "not given", except where the field judges the empty text itself.
    refuses_empty = field.required or getattr(field, "refuses_empty", False)
    accepted = schema if refuses_empty else _or_empty(schema)
    return _parameter("query", alias or name, description, schema=accepted)


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], ""]}
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"maxLength": 0}]}
    if schema.get("type") == "string" and _accepts_empty(schema):
        return schema
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}]}


def _accepts_empty(schema: dict[str, Any]) -> bool:
    is_bound = "format" in schema or schema.get("minLength", 0) > 0
    return not is_bound and re.search(schema.get("pattern", ""), "") is not None


def _field(contract: Contract, name: str) -> Any:
    """Return a field; ours describe themselves, which marshmallow's type does not know."""
    return contract.fields[name]


def _parameter(location: str, name: str, description: str, **values: Any) -> dict[str, Any]:
    return {"in": location, "name": name, "description": description, **values}
