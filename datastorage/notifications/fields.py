"""Fields of delivery records, with the sentences that this endpoint has for their faults."""

from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError

from datastorage.errors import Fault
from datastorage.platform.clock import Clock
from datastorage.platform.web import fields
from datastorage.platform.web.characters import IDENTIFIER, Characters

MAX_AHEAD = timedelta(minutes=5)
IS_REQUIRED = Fault("is required", "required")
IS_BLANK = Fault("is required", "whitespace_only")


class RequiredText(fields.Text):
    """Required text; blank text counts as missing."""

    absent = IS_REQUIRED

    def __init__(self, *, maximum: int, characters: Characters = IDENTIFIER) -> None:
        super().__init__(maximum=maximum, characters=characters, required=True)

    def judge(self, value: Any) -> str | None:
        """Refuse blank text like a missing member."""
        if isinstance(value, str) and not value.strip():
            raise ValidationError(IS_BLANK if value else IS_REQUIRED)
        return super().judge(value)


class Keyword(RequiredText):
    """One of a closed list in any letter case, kept in lower case; length is judged before the list."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        super().__init__(maximum=50)
        self.choices = choices

    def judge(self, value: Any) -> str | None:
        """Refuse what is not in the list."""
        text = super().judge(value)
        if text is None or text.lower() not in self.choices:
            raise fields.refuse(f"must be one of: {', '.join(self.choices)} (got '{text}')")
        return text.lower()

    def openapi(self) -> dict[str, Any]:
        """The list in any letter case."""
        insensitive = "|".join("".join(f"[{c.upper()}{c}]" for c in choice) for choice in self.choices)
        return {"type": "string", "pattern": f"^({insensitive})$"}


class SentAt(fields.Instant):
    """When it was sent: any age, at most five minutes ahead; older clients send the year 1 for "unset"."""

    absent = IS_REQUIRED
    clock: Clock

    def judge(self, value: Any) -> datetime:
        """Refuse the unset time and the future."""
        at = super().judge(value)
        if at.year == 1:
            raise ValidationError(IS_REQUIRED)
        if at > self.clock() + MAX_AHEAD:
            raise fields.refuse("cannot be in the future", "timestamp_future")
        return at


class EscalationLevel(fields.Integer):
    """An integer with a sentence of its own for negative values."""

    def judge(self, value: Any) -> int | None:
        """Refuse a negative level."""
        if isinstance(value, int | float) and value < 0:
            raise fields.refuse("must be non-negative")
        return super().judge(value)
