"""JSON Schemas of answers, read off what is sent: the type that is encoded, or the record whose rows are.

An answer that sends a Struct is described by the types of its members, with what ``meaning`` says of them.
Rows that PostgreSQL writes as JSON are described by the members of which their SQL is made. So no member can
have one name in the document and another in the answer.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, get_type_hints

import msgspec
from apispec import APISpec
from msgspec import inspect

from datastorage.platform.records import Shown, shown_members
from datastorage.platform.web.shapes import JSON_OBJECT, OF, RowShape, Shape

_PLAIN: Final[Mapping[type[inspect.Type], Mapping[str, Any]]] = {
    inspect.AnyType: {},
    inspect.BoolType: {"type": "boolean"},
    inspect.DateTimeType: {"type": "string", "format": "date-time"},
    inspect.DateType: {"type": "string", "format": "date"},
    inspect.DecimalType: {"type": "number"},
    inspect.DictType: JSON_OBJECT,
    inspect.FloatType: {"type": "number"},
    inspect.IntType: {"type": "integer"},
    inspect.StrType: {"type": "string"},
    inspect.UUIDType: {"type": "string", "format": "uuid"},
}


def shape_of(outcome: type, body: Callable[[Any], Any] | None) -> Any:
    """Return what is sent for ``outcome``: what ``body`` returns by its annotation, else itself."""
    return outcome if body is None else get_type_hints(body).get("return")


def reference(spec: APISpec, shape: Shape) -> dict[str, Any]:
    """Return a reference to the component of ``shape``, which is added on first use."""
    name = shape.name if isinstance(shape, RowShape) else shape.__name__
    if name not in spec.components.schemas:
        described = _row(spec, shape) if isinstance(shape, RowShape) else _struct(spec, shape)
        component = {"title": name} | {part: value for part, value in described.items() if value}
        spec.components.schema(name, component)
    return {"$ref": f"#/components/schemas/{name}"}


def _row(spec: APISpec, shape: RowShape) -> dict[str, Any]:
    shown = shown_members(shape.members)
    optional = {member.wire for member in shown if member.shown is Shown.WHEN_SET}
    properties: dict[str, Any] = {}
    for member in shown:
        is_any_object = member.is_document and member.type is str  # kept as JSON text
        schema = JSON_OBJECT if is_any_object else _schema(spec, inspect.type_info(member.type))
        if member.is_optional and member.shown is Shown.ALWAYS and not member.is_set_by_database:
            schema = _or_null(schema)
        properties[member.wire] = {**schema, "description": member.meaning}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "description": shape.description,
        "examples": [dict(shape.example)] if shape.example else [],
    }


def _struct(spec: APISpec, cls: type[msgspec.Struct]) -> dict[str, Any]:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - asked of a Struct
    leaves_out = cls.__struct_config__.omit_defaults
    optional = {each.encode_name for each in info.fields if leaves_out and not each.required}
    properties = {
        each.encode_name: _schema(
            spec, _without_none(each.type) if each.encode_name in optional else each.type
        )
        for each in info.fields
    }
    example = getattr(cls, "example", None)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "description": (cls.__doc__ or "").partition("\n")[0],
        "examples": [example] if example else [],
    }


def _schema(spec: APISpec, info: inspect.Type, of: Any = JSON_OBJECT) -> Mapping[str, Any]:
    """Return the JSON Schema of a type; ``of`` describes raw JSON in it."""
    if isinstance(info, inspect.Metadata):
        inner = _schema(spec, info.type, (info.extra or {}).get(OF, of))
        return {**inner, **(info.extra_json_schema or {})}
    return _PLAIN.get(type(info)) or _composed(spec, info, of)


def _composed(spec: APISpec, info: inspect.Type, of: Any) -> Mapping[str, Any]:
    if isinstance(info, inspect.StructType):
        return reference(spec, info.cls)
    if isinstance(info, inspect.RawType):
        return reference(spec, of) if isinstance(of, RowShape) else of
    if isinstance(info, inspect.ListType):
        return {"type": "array", "items": _schema(spec, info.item_type, of)}
    if isinstance(info, inspect.UnionType):
        return _or_null(_schema(spec, _without_none(info), of))
    if isinstance(info, inspect.EnumType | inspect.LiteralType):
        values = info.values if isinstance(info, inspect.LiteralType) else info.cls
        return {"type": "string", "enum": [str(value) for value in values]}
    return {}  # any value


def _without_none(info: inspect.Type) -> inspect.Type:
    """Return the type of a member that is left out when it is ``None``."""
    if isinstance(info, inspect.Metadata):
        return inspect.Metadata(_without_none(info.type), info.extra_json_schema, info.extra)
    if isinstance(info, inspect.UnionType):
        [only] = [each for each in info.types if not isinstance(each, inspect.NoneType)]
        return only
    return info


def _or_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Allow ``null``; a nullable enumeration lists it."""
    if "type" not in schema:
        return schema
    widened = {**schema, "type": [schema["type"], "null"]}
    return {**widened, "enum": [*schema["enum"], None]} if "enum" in schema else widened
