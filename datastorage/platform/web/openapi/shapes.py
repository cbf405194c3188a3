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

from datastorage.platform.records import Member, Shown, shown_members
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
    """Return a reference to the component of ``shape``, added on first use; text and bytes have none."""
    if not isinstance(shape, RowShape) and not issubclass(shape, msgspec.Struct):
        return {"type": "string"}
    name = shape.name if isinstance(shape, RowShape) else shape.__name__
    if name not in spec.components.schemas:
        spec.components.schema(name, {"title": name, "type": "object"} | _described(spec, shape))
    return {"$ref": f"#/components/schemas/{name}"}


def _described(spec: APISpec, shape: type[msgspec.Struct] | RowShape) -> dict[str, Any]:
    if isinstance(shape, RowShape):
        description = shape.description
        properties, optional = _members_of_row(spec, shape)
    else:
        description = (shape.__doc__ or "").partition("\n")[0]
        properties, optional = _members_of_struct(spec, shape)
    example = getattr(shape, "example", None)
    return {
        "properties": properties,
        "required": [member for member in properties if member not in optional],
        "description": description,
    } | ({"examples": [dict(example)]} if example else {})


def _members_of_row(spec: APISpec, shape: RowShape) -> tuple[dict[str, Any], set[str]]:
    """Return the properties, and the names of those that may be absent."""
    shown = shown_members(shape.members)
    properties = {each.wire: _member_of_row(spec, each) for each in shown}
    return properties, {each.wire for each in shown if each.shown is Shown.WHEN_SET}


def _member_of_row(spec: APISpec, member: Member) -> Mapping[str, Any]:
    is_any_object = member.is_document and member.type is str  # kept as JSON text
    schema = JSON_OBJECT if is_any_object else _schema(spec, inspect.type_info(member.type))
    if member.is_optional and member.shown is Shown.ALWAYS and not member.is_set_by_database:
        schema = _or_null(schema)
    return {**schema, "description": member.meaning}


def _members_of_struct(spec: APISpec, cls: type[msgspec.Struct]) -> tuple[dict[str, Any], set[str]]:
    """Return the properties, and the names of those that may be absent."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    leaves_out = cls.__struct_config__.omit_defaults
    types = {each.encode_name: each.type for each in info.fields}
    optional = {each.encode_name for each in info.fields if leaves_out and not each.required}
    types |= {name: _without_none(types[name]) for name in optional}
    return {name: _schema(spec, kind) for name, kind in types.items()}, optional


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
