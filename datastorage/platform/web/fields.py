"""marshmallow fields with our sentences: what was wrong, and the reason counted in metrics.

Every field judges its value in one place, so that the first fault of a field is the only one.
For optional fields ``null`` and blank text mean "absent".
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from ipaddress import ip_address
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from marshmallow import Schema, ValidationError, fields, missing

from datastorage.errors import Fault
from datastorage.platform.web.characters import IDENTIFIER, Characters
from datastorage.platform.web.literals import parse_date, parse_instant, parse_uuid

REQUIRED = Fault("required field missing", "required")

# In the dialect of ``characters``.
BLANK = {"pattern": r"^\s*$"}
JSON_OBJECT = {"$ref": "#/components/schemas/JsonObject"}
JSON_VALUE = {"$ref": "#/components/schemas/JsonValue"}


def refuse(message: str, reason: str = "invalid") -> ValidationError:
    """Return the exception that carries one fault through marshmallow."""
    return ValidationError(Fault(message, reason))


class Judged(fields.Field[Any]):
    """A field whose missing and null values follow our rules; ``judge`` sees only real values."""

    absent: ClassVar[Fault] = REQUIRED
    """What is wrong with a required field that is missing or null."""

    def __init__(self, *, required: bool = False, **kwargs: Any) -> None:
        super().__init__(
            required=required,
            allow_none=True,
            load_default=missing if required else None,
            error_messages={"required": self.absent},
            **kwargs,
        )

    def deserialize(self, value: Any, *_context: Any, **_partial: Any) -> Any:
        """Return the judged value, ``None`` for an absent optional one.

        Raises:
            ValidationError: with one ``Fault``.
        """
        if value is missing or value is None:
            if self.required:
                raise ValidationError(self.absent)
            return None
        return self.judge(value)

    def judge(self, value: Any) -> Any:
        """Return the value to keep, or raise ``ValidationError``."""
        raise NotImplementedError  # not abstract: a field with a ``deserialize`` of its own needs none

    def openapi(self) -> dict[str, Any]:
        """Return the JSON Schema of the values other than ``null`` that this field accepts."""
        return {}


class Text(Judged):
    """A string of at most ``maximum`` code points, kept exactly as sent; an identifier unless it says so."""

    def __init__(self, *, maximum: int, characters: Characters = IDENTIFIER, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maximum = maximum
        self.characters = characters

    def judge(self, value: Any) -> str | None:
        """Refuse other types, over-long and, when required, blank text, and other characters."""
        if not isinstance(value, str):
            raise refuse("must be a string")
        if not value or value.isspace():
            if self.required:
                raise refuse("must not be empty", "whitespace_only" if value else "required")
            return None
        if len(value) > self.maximum:
            raise refuse(f"must be at most {self.maximum} characters (got {len(value)})", "length_exceeded")
        # No rule refuses what can be printed. Calling it for each text would be a tenth of judging an event.
        if not value.isprintable():
            self.characters.require(value)
        return value

    def openapi(self) -> dict[str, Any]:
        """Blank text is refused only where text is required, and means absent elsewhere."""
        text = {"type": "string", "maxLength": self.maximum}
        if self.required:
            return text | {"pattern": self.characters.not_blank}
        return text | {"anyOf": [{"pattern": self.characters.pattern}, BLANK]}


class Choice(Text):
    """One of a closed list, compared exactly; the list is part of the sentence."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = tuple(choices)

    def judge(self, value: Any) -> str | None:
        """Refuse what is not in the list."""
        text = super().judge(value)
        if text is not None and text not in self.choices:
            raise self.not_in_list(text)
        return text

    def not_in_list(self, text: str) -> ValidationError:
        """Return the fault of a value that is not one of the choices."""
        return refuse(f"must be one of: {', '.join(self.choices)} (got '{text}')")

    def openapi(self) -> dict[str, Any]:
        """The list itself."""
        return {"type": "string", "enum": list(self.choices)}


class Integer(Judged):
    """A JSON integer in a range; ``true`` is not 1 and ``"5"`` is not 5, but ``5.0`` is."""

    def __init__(self, *, minimum: int, maximum: int, zero_is_absent: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum = minimum
        self.maximum = maximum
        self.zero_is_absent = zero_is_absent

    def judge(self, value: Any) -> int | None:
        """Refuse other types and values out of range."""
        if isinstance(value, float | Decimal) and value == int(value):
            value = int(value)  # JSON has one type of numbers, and JSON Schema calls this an integer
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse("must be an integer")
        if self.zero_is_absent and value == 0:
            return None
        if value < self.minimum:
            raise refuse(f"must be at least {self.minimum}")
        if value > self.maximum:
            raise refuse(f"must be at most {self.maximum}")
        return value

    def openapi(self) -> dict[str, Any]:
        """Zero is inside the documented range when it means absent."""
        minimum = 0 if self.zero_is_absent else self.minimum
        return {"type": "integer", "minimum": minimum, "maximum": self.maximum}


class Fraction(Judged):
    """A JSON number from 0 to 1, as it was decoded."""

    def judge(self, value: Any) -> float | Decimal:
        """Refuse other types and values out of range."""
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise refuse("must be a number")
        if not 0 <= value <= 1:
            raise refuse("must be from 0 to 1")
        return value

    def openapi(self) -> dict[str, Any]:
        """The range."""
        return {"type": "number", "minimum": 0, "maximum": 1}


class Boolean(Judged):
    """``true`` or ``false``."""

    def judge(self, value: Any) -> bool:
        """Refuse everything else."""
        if not isinstance(value, bool):
            raise refuse("must be a boolean")
        return value

    def openapi(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


class Uuid(Judged):
    """A UUID in 8-4-4-4-12 form; the nil UUID means absent where the field is optional."""

    def judge(self, value: Any) -> UUID | None:
        """Refuse other spellings than the canonical one, in any case."""
        if isinstance(value, str) and (not value or value.isspace()) and not self.required:
            return None
        parsed = parse_uuid(value) if isinstance(value, str) else None
        if parsed is None:
            raise refuse("must be a valid UUID")
        return None if parsed.int == 0 and not self.required else parsed

    def openapi(self) -> dict[str, Any]:
        """The format ``uuid``, or blank where that means absent."""
        uuid = {"format": "uuid"}
        return {"type": "string"} | (uuid if self.required else {"anyOf": [uuid, BLANK]})


class IpAddress(Judged):
    """An IPv4 or IPv6 address."""

    def judge(self, value: Any) -> str | None:
        """Refuse what is no address; zone suffixes are refused too, PostgreSQL's inet has none."""
        if not isinstance(value, str):
            raise refuse("must be a string")
        if not value or value.isspace():
            return None
        try:
            parsed = ip_address(value)
        except ValueError as error:
            raise refuse("must be an IPv4 or IPv6 address") from error
        if getattr(parsed, "scope_id", None):
            raise refuse("must be an IPv4 or IPv6 address")
        return str(parsed)

    def openapi(self) -> dict[str, Any]:
        """Either of the two formats, or blank."""
        return {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, BLANK]}


class Instant(Judged):
    """An RFC 3339 timestamp with a zone, as UTC, cut to microseconds."""

    def judge(self, value: Any) -> datetime:
        """Refuse every other notation: a lenient parser would guess."""
        at = parse_instant(value) if isinstance(value, str) else None
        if at is None:
            raise refuse("must be an RFC 3339 timestamp with a time zone")
        return at

    def openapi(self) -> dict[str, Any]:
        """The format ``date-time``."""
        return {"type": "string", "format": "date-time"}


class DateHint(Judged):
    """A date, or a timestamp of which the UTC date counts."""

    def judge(self, value: Any) -> date | None:
        """Refuse what is neither ``YYYY-MM-DD`` nor RFC 3339."""
        if not isinstance(value, str):
            raise refuse("must be a string")
        if not value or value.isspace():
            return None
        day, at = parse_date(value), parse_instant(value)
        if day is None and at is None:
            raise refuse("must be a date (YYYY-MM-DD) or an RFC 3339 timestamp with a time zone")
        return day or (at.date() if at else None)

    def openapi(self) -> dict[str, Any]:
        """Either of the two formats, or blank."""
        return {"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}, BLANK]}


F = TypeVar("F", bound=Judged)


def field_of(schema: Schema, name: str, kind: type[F]) -> F:
    """Return one field of ``schema``, to give it what is known only when the service starts.

    Raises:
        TypeError: the field is declared as another kind.
    """
    field = schema.fields[name]
    if not isinstance(field, kind):
        raise TypeError(f"the field {name} is no {kind.__name__}")
    return field
