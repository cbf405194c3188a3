"""Records on their way into the queue and back: every member under its name on the wire.

What comes back may have been written by another version or another service, so its types are judged.
"""

from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec

from datastorage.platform.records import Member, members_of
from datastorage.platform.web.json import encode_exactly

T = TypeVar("T")


class InvalidPayload(ValueError):
    """The payload is no record that could ever be stored."""


class Payload(Generic[T]):
    """The payload of one kind of record.

    Args:
        record: its class; a member that is not optional and has no default has to be there.
    """

    def __init__(self, record: type[T]) -> None:
        self._members = tuple(each for each in members_of(record) if each.is_queued)
        self._judge = msgspec.defstruct(
            f"{record.__name__}Payload", list(map(_field, self._members)), kw_only=True
        )

    def encode(self, record: T) -> dict[str, Any]:
        """Return every value of the record; what is absent is left out."""
        values = ((member, getattr(record, member.name)) for member in self._members)
        return {
            member.wire: msgspec.Raw(value.encode("utf-8")) if member.is_document else value
            for member, value in values
            if value is not None
        }

    def decode(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the values, for a ``Normaliser``; age and limits are not judged again.

        Raises:
            InvalidPayload: a member is missing or has a type that no column takes.
        """
        try:
            found = msgspec.convert(payload, self._judge)
            return {each.wire: _value(each, getattr(found, each.wire)) for each in self._members}
        except (ValueError, OverflowError) as error:
            raise InvalidPayload(str(error)) from error


def _field(member: Member) -> tuple[str, Any] | tuple[str, Any, None]:
    kind = dict[str, Any] if member.is_document else member.type
    if member.is_optional or member.default is not None:
        return member.wire, kind | None, None
    return member.wire, kind


def _value(member: Member, value: Any) -> Any:
    """Return times in UTC, and documents as JSON text in which every number is the one acknowledged."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    if member.is_document and value is not None:
        return encode_exactly(value).decode("utf-8")
    return value
