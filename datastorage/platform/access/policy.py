"""``auth.policy_file``: the issuers that may vouch for callers, roles, and who has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from datastorage.platform.access.identity import Identity, Kind
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.roles import (
    BUILT_IN,
    Roles,
    Strict,
    permissions_field,
    role_permissions,
    text,
)
from datastorage.platform.access.watched import WatchedFile

EVERYBODY: Final = "*"
MAX_ISSUERS: Final = 20
MAX_BINDINGS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who signs tokens that count, and how their claims become an identity.

    Attributes:
        issuer: the claim ``iss``, exactly.
        audience: the claim ``aud`` has to contain it.
        jwks_url: where the keys are.
        username_claim: dotted path of the name.
        groups_claim: dotted path of the groups; none where it is missing.
        prefix: put before names and groups, so that two issuers never mean the same caller.
        kind: person or service.
        ca_file: vouches for the server of the keys, the system's certificates without it.
    """

    issuer: str
    audience: str
    jwks_url: str
    username_claim: str = "sub"
    groups_claim: str = "groups"
    prefix: str = ""
    kind: Kind = Kind.PERSON
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The file as it counts.

    Attributes:
        issuers: by the claim ``iss``.
        roles: built in and defined here.
        by_user: the permissions of each user that a binding names.
        by_group: the permissions of each group, ``*`` for everybody.
    """

    issuers: Mapping[str, Issuer]
    roles: Roles
    by_user: Mapping[str, frozenset[Permission]]
    by_group: Mapping[str, frozenset[Permission]]

    def permissions_of(self, identity: Identity) -> frozenset[Permission]:
        """Return what the bindings allow a caller."""
        groups = (self.by_group.get(group, _NOTHING) for group in (EVERYBODY, *identity.groups))
        return self.by_user.get(identity.name, _NOTHING).union(*groups)


_NOTHING: Final[frozenset[Permission]] = frozenset()
PolicyFile = WatchedFile[Policy]


class _IssuerSchema(Strict):
    issuer = text(required=True)
    audience = text(required=True)
    jwks_url = fields.Url(schemes={"https"}, require_tld=False, required=True)
    username_claim = text()
    groups_claim = text()
    prefix = fields.String(validate=validate.Length(0, 64))
    kind = fields.Enum(Kind, by_value=True, validate=validate.OneOf((Kind.PERSON, Kind.SERVICE)))
    ca_file = text()

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Issuer:
        return Issuer(**data)


class _BindingSchema(Strict):
    role = text(required=True)
    users = fields.List(text())
    groups = fields.List(text())

    @validates_schema
    def binds_somebody(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data.get("users") and not data.get("groups"):
            raise ValidationError("names neither users nor groups")


class PolicySchema(Strict):
    """Makes a ``Policy`` of the file, or says everything that is wrong with it."""

    issuers = fields.List(
        fields.Nested(_IssuerSchema), load_default=[], validate=validate.Length(max=MAX_ISSUERS)
    )
    roles = fields.Dict(text(), permissions_field(), load_default={})
    bindings = fields.List(
        fields.Nested(_BindingSchema), load_default=[], validate=validate.Length(max=MAX_BINDINGS)
    )

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Policy:
        """Return the policy."""
        if redefined := sorted(BUILT_IN.keys() & data["roles"]):
            raise ValidationError({"roles": [f"{', '.join(redefined)} cannot be defined anew"]})
        defined = {name: frozenset(granted) for name, granted in data["roles"].items()}
        roles = {**BUILT_IN, **defined}
        by_user, by_group = _bound(data["bindings"], roles)
        return Policy(_by_claim(data["issuers"]), roles, by_user, by_group)


def _by_claim(issuers: Sequence[Issuer]) -> Mapping[str, Issuer]:
    named = {issuer.issuer: issuer for issuer in issuers}
    if len(named) != len(issuers):
        raise ValidationError({"issuers": ["one issuer is there twice"]})
    if len({issuer.prefix for issuer in issuers}) != len(issuers):
        raise ValidationError({"issuers": ["several issuers need different prefixes"]})
    return named


def _bound(
    bindings: Sequence[Mapping[str, Any]], roles: Roles
) -> tuple[dict[str, frozenset[Permission]], dict[str, frozenset[Permission]]]:
    by_user: dict[str, frozenset[Permission]] = {}
    by_group: dict[str, frozenset[Permission]] = {}
    for place, binding in enumerate(bindings):
        try:
            granted = role_permissions(binding["role"], roles)
        except ValidationError as error:
            raise ValidationError({"bindings": {place: {"role": error.messages}}}) from None
        for found, names in ((by_user, binding.get("users", ())), (by_group, binding.get("groups", ()))):
            found.update({name: found.get(name, _NOTHING) | granted for name in names})
    return by_user, by_group
