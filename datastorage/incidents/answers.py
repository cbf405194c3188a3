"""What the incident endpoints answer with, for the API document: derived from what is really sent."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
from marshmallow import Schema, fields

from datastorage.audit.answers import PaginationSchema
from datastorage.incidents.aggregates import model as aggregates
from datastorage.incidents.reading.projection import FULL, SUMMARY, json_schema
from datastorage.incidents.writing.model import BatchResult

_FIELDS: Mapping[type, type[fields.Field[Any]]] = {
    bool: fields.Boolean,
    int: fields.Integer,
    float: fields.Float,
    date: fields.Date,
    str: fields.String,
}


@cache
def of_struct(struct: type[msgspec.Struct]) -> type[Schema]:
    """Return the schema of a ``Struct``."""
    declared = {each.name: _field(each.type) for each in msgspec.structs.fields(struct)}
    return _schema(struct.__name__, struct.__doc__ or "", declared)


def _field(kind: Any) -> fields.Field[Any]:
    if get_origin(kind) is list:
        return fields.List(_field(get_args(kind)[0]), required=True)
    plain, *others = get_args(kind) or (kind,)
    if issubclass(plain, msgspec.Struct):
        return fields.Nested(of_struct(plain), required=True)
    made = next(_FIELDS[each] for each in plain.__mro__ if each in _FIELDS)
    return made(required=True, allow_none=bool(others))


def _of_rows(name: str, meaning: str, *, always: tuple[str, ...]) -> type[Schema]:
    """Return the schema of rows written by PostgreSQL, in which the members ``always`` are always there."""
    raw = {each: fields.Raw(required=each in always, metadata=json_schema(each)) for each in FULL}
    return _schema(name, meaning, raw)


def _schema(name: str, meaning: str, declared: Mapping[str, fields.Field[Any]]) -> type[Schema]:
    schema = Schema.from_dict(dict(declared), name=f"{name}Schema")
    schema.__doc__ = meaning
    return schema


IncidentSchema = _of_rows("Incident", "One incident in full.", always=FULL)
ListedIncidentSchema = _of_rows(
    "ListedIncident",
    "One incident as lists and exports show it: with `view=full` in full, else its summary.",
    always=SUMMARY,
)


class IncidentPageSchema(Schema):
    """One page of incidents; `data` and `incidents` are the same rows."""

    data = fields.List(fields.Nested(ListedIncidentSchema))
    incidents = fields.List(fields.Nested(ListedIncidentSchema))
    total = fields.Integer(required=True, allow_none=True)
    pagination = fields.Nested(PaginationSchema, required=True)


LegacyRateSchema = of_struct(aggregates.LegacyRate)
NamespaceCountsSchema = of_struct(aggregates.NamespaceCounts)
SeverityCountsSchema = of_struct(aggregates.SeverityCounts)
TrendSchema = of_struct(aggregates.Trend)
IncidentTypeRateSchema = of_struct(aggregates.IncidentTypeRate)
WorkflowRateSchema = of_struct(aggregates.WorkflowRate)
MultiDimensionalRateSchema = of_struct(aggregates.MultiDimensionalRate)
BatchResultSchema = of_struct(BatchResult)
