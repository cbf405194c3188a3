"""``auth.tokens_file``: who has which token; the file keeps their hashes alone."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from marshmallow import ValidationError, fields, post_load, validate

from datastorage.platform.access.identity import Kind
from datastorage.platform.access.permissions import Permission
from datastorage.platform.access.roles import Roles, Strict, role_permissions, text
from datastorage.platform.access.watched import WatchedFile

MAX_TOKENS: Final = 1000
TOKEN_PREFIX: Final = "dst_"  # noqa: S105 - what every token begins with
NAME_PATTERN: Final = r"[A-Za-z0-9@._:/-]{1,255}"


@dataclass(frozen=True, slots=True)
class Token:
    """One entry; ``expires`` is ``None`` for a token that never does."""

    name: str
    kind: Kind
    sha256: str
    permissions: frozenset[Permission]
    expires: datetime | None


TokensFile = WatchedFile[Mapping[str, Token]]


def new_token() -> str:
    """Return a token that nobody can guess: 256 random bits, so its hash needs no salt."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


class _EntrySchema(Strict):
    name = fields.String(required=True, validate=validate.Regexp(rf"{NAME_PATTERN}\Z"))
    kind = fields.Enum(
        Kind,
        by_value=True,
        load_default=Kind.SERVICE,
        validate=validate.OneOf((Kind.SERVICE, Kind.PERSON)),
    )
    sha256 = fields.String(required=True, validate=validate.Regexp(r"[0-9a-f]{64}\Z"))
    roles = fields.List(text(), required=True, validate=validate.Length(1))
    expires = fields.Raw()


class TokensSchema(Strict):
    """Makes the entries, by hash, of the file.

    Args:
        roles: returns the roles that count now.
    """

    tokens = fields.List(fields.Nested(_EntrySchema), required=True, validate=validate.Length(max=MAX_TOKENS))

    def __init__(self, roles: Callable[[], Roles]) -> None:
        super().__init__()
        self._roles = roles

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Mapping[str, Token]:
        """Return the entries."""
        found: dict[str, Token] = {}
        for place, entry in enumerate(data["tokens"]):
            try:
                token = self._token(entry)
            except ValidationError as error:
                raise ValidationError({"tokens": {place: error.messages}}) from None
            if token.sha256 in found:  # one name may have two: so a token is replaced without a gap
                raise ValidationError({"tokens": {place: ["is there twice"]}})
            found[token.sha256] = token
        return found

    def _token(self, entry: Mapping[str, Any]) -> Token:
        roles = self._roles()
        granted = frozenset[Permission]().union(*(role_permissions(role, roles) for role in entry["roles"]))
        return Token(entry["name"], entry["kind"], entry["sha256"], granted, _moment(entry.get("expires")))


def hash_of(token: str) -> str:
    """Return what the file keeps of a token."""
    return sha256(token.encode()).hexdigest()


def _moment(raw: object) -> datetime | None:
    """Read a moment; YAML makes a ``datetime`` of it, JSON a text."""
    if raw is None:
        return None
    try:
        moment = raw if isinstance(raw, datetime) else datetime.fromisoformat(str(raw))
    except ValueError:
        raise ValidationError({"expires": ["must be a moment like 2027-03-01T00:00:00Z"]}) from None
    # YAML drops the zone: it has turned the moment to UTC before.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
