"""Fields of incident bodies: text is kept exactly as sent, and no content of it means absent."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError

from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.web import fields, json
from datastorage.platform.web.characters import IDENTIFIER, NUL, Characters

IS_REQUIRED = Fault("is required", "required")
MAX_AHEAD = timedelta(minutes=5)
FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)
MAX_DEPTH = 200
"""Deeper than any object of Kubernetes; every parser on the way recurses less than it may."""


class Judged(fields.Judged):
    """A field in the sentences of incidents; ``null`` means absent."""

    absent = IS_REQUIRED


class Exact(Judged):
    """A string of ``minimum`` to ``maximum`` code points; an identifier unless it says so."""

    def __init__(
        self,
        *,
        maximum: int,
        minimum: int = 1,
        characters: Characters = IDENTIFIER,
        required: bool = False,
    ) -> None:
        super().__init__(required=required)
        self.minimum, self.maximum = minimum, maximum
        self.characters = characters

    def judge(self, value: Any) -> str:
        """Refuse other types, other lengths, and other characters."""
        if not isinstance(value, str):
            raise fields.refuse("must be a string")
        if not self.minimum <= len(value) <= self.maximum:
            message = f"must have {self.minimum} to {self.maximum} characters (got {len(value)})"
            raise fields.refuse(message, "length_exceeded" if value else "invalid")
        self.characters.require(value)
        return value

    def openapi(self) -> dict[str, Any]:
        """The length."""
        length = {"minLength": self.minimum, "maxLength": self.maximum}
        return {"type": "string", "pattern": self.characters.pattern} | length


class Listed(Judged):
    """One of a closed list."""

    def __init__(self, choices: Sequence[str], *, required: bool = False) -> None:
        super().__init__(required=required)
        self.choices = tuple(choices)

    def judge(self, value: Any) -> str:
        """Refuse what is not in the list."""
        if value not in self.choices:
            raise fields.refuse(f"must be one of: {', '.join(self.choices)}")
        return str(value)

    def openapi(self) -> dict[str, Any]:
        """The list itself."""
        return {"type": "string", "enum": list(self.choices)}


class Fraction(Judged, fields.Fraction):
    """A number from 0 to 1."""


class ActionInstant(fields.Instant):
    """When the action happened: from the year 2000 to a few minutes ahead, so that it has a month."""

    absent = IS_REQUIRED
    clock: Clock

    def judge(self, value: Any) -> datetime:
        """Refuse what is too old for any partition, and the future."""
        at = super().judge(value)
        if at < FIRST_INSTANT:
            raise fields.refuse("must not be before 2000-01-01T00:00:00Z", "timestamp_too_old")
        if at > self.clock() + MAX_AHEAD:
            raise fields.refuse("must be at most 5 minutes in the future", "timestamp_future")
        return at


class Document(Judged):
    """A JSON object, kept as compact JSON text."""

    container: type = dict
    described = "an object"

    def judge(self, value: Any) -> str:
        """Refuse other types, too deep nesting, and NUL anywhere."""
        if not isinstance(value, self.container):
            raise fields.refuse(f"must be {self.described}")
        encoded = json.encode_within(value, MAX_DEPTH)
        if encoded is None:
            raise fields.refuse(f"exceeds the maximum nesting depth of {MAX_DEPTH}")
        text = encoded.decode("utf-8")
        # The escape may also be the text of a doubled backslash: look closer only when it shows up.
        if "\\u0000" in text and json.contains_nul(value):
            raise ValidationError(NUL)
        return text

    def openapi(self) -> dict[str, Any]:
        """Any object whose names and strings have no U+0000."""
        return fields.JSON_OBJECT


class Items(Document):
    """A JSON array, kept as compact JSON text."""

    container = list
    described = "an array"

    def openapi(self) -> dict[str, Any]:
        """Any array, likewise."""
        return {"type": "array", "items": fields.JSON_VALUE}
