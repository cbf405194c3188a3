"""Roles: names for sets of permissions, built in or defined by the policy file."""

from collections.abc import Mapping
from typing import Final

from marshmallow import Schema, ValidationError, fields, validate

from datastorage.platform.access.permissions import GRANTABLE, Permission

Roles = Mapping[str, frozenset[Permission]]

BUILT_IN: Final[Roles] = {
    "reader": frozenset({Permission.READ}),
    "writer": frozenset({Permission.WRITE}),
    "auditor": frozenset({Permission.READ, Permission.EXPORT}),
    "admin": frozenset({Permission.READ, Permission.EXPORT, Permission.WRITE, Permission.ADMIN}),
}


class Strict(Schema):
    """A part of a file in which an unknown key is an error: a misspelt one must not open a door."""

    error_messages = {"unknown": "is not a key of this file"}  # noqa: RUF012 - marshmallow's own way


def text(**options: object) -> fields.String:
    """Return a field for a text that is not empty."""
    return fields.String(validate=validate.Length(1, 2048), **options)  # type: ignore[arg-type]


def permissions_field() -> "fields.List[Permission]":
    """Return a field for a list of permissions."""
    return fields.List(
        fields.Enum(Permission, by_value=True, validate=validate.OneOf(GRANTABLE)),
        validate=validate.Length(1),
    )


def role_permissions(role: str, roles: Roles) -> frozenset[Permission]:
    """Return the permissions of a role.

    Raises:
        ValidationError: there is no such role.
    """
    if role not in roles:
        raise ValidationError(f"{role} is no role, there are: {', '.join(roles)}")
    return roles[role]
