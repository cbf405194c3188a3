"""Schemas of answers that show a record; read by the API document only, never by the code that answers."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from marshmallow import fields

from datastorage.platform.records import Member, Members, Shown, shown_members

_TYPES: dict[Any, type[fields.Field[Any]]] = {
    UUID: fields.UUID,
    datetime: fields.DateTime,
    date: fields.Date,
    int: fields.Integer,
    bool: fields.Boolean,
    str: fields.String,
}


def answered(members: Members) -> dict[str, fields.Field[Any]]:
    """Return the fields of an answer, for the ``Meta.include`` of its schema."""
    return {each.wire: _answered(each) for each in shown_members(members)}


def _answered(member: Member) -> fields.Field[Any]:
    kind = fields.Dict if member.is_document else _TYPES[member.type]
    may_be_null = member.is_optional and member.shown is Shown.ALWAYS and not member.is_set_by_database
    return kind(required=member.shown is not Shown.WHEN_SET, allow_none=may_be_null or None)
