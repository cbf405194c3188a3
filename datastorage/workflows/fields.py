"""The fields of the workflow endpoints: text kept as sent, numbers as they were written.

The contract of these endpoints has sentences of its own, and only ``null`` means "absent" here: blank
text that is optional is stored as it came.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, missing

from datastorage.platform.web import json
from datastorage.platform.web.fields import (
    JSON_OBJECT,
    NOT_BLANK,
    NUL,
    WITHOUT_NUL,
    Judged,
    refuse,
)

INT64 = 2**63
INT32 = 2**31

_INTEGER = re.compile(r"-?\d+", re.ASCII)


class Words(Judged):
    """A string, kept exactly as sent.

    Args:
        maximum: longest length in code points, unbounded when absent.
        exactly: the only length allowed.
        blank: whether blank text is a value; by default only where the field is optional.
        not_wildcard: whether ``*`` is refused.
    """

    def __init__(
        self,
        *,
        maximum: int | None = None,
        exactly: int | None = None,
        blank: bool | None = None,
        not_wildcard: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.maximum = maximum
        self.exactly = exactly
        self.blank = not self.required if blank is None else blank
        self.not_wildcard = not_wildcard

    def judge(self, value: Any) -> str:
        """Refuse other types, blank text where it says nothing, wrong lengths and NUL."""
        if not isinstance(value, str):
            raise refuse("must be a string")
        if not self.blank and not value.strip():
            raise refuse("must not be blank", "whitespace_only" if value else "required")
        self._check_length(value)
        if "\x00" in value:
            raise ValidationError(NUL)
        if self.not_wildcard and value == "*":
            raise refuse("must not be *")
        return value

    def _check_length(self, value: str) -> None:
        if self.exactly is not None and len(value) != self.exactly:
            raise refuse(f"must have exactly {self.exactly} characters", "length_exceeded")
        if self.maximum is not None and len(value) > self.maximum:
            raise refuse(f"must be at most {self.maximum} characters (got {len(value)})", "length_exceeded")

    def openapi(self) -> dict[str, Any]:
        """Lengths, and what the text must not be."""
        schema: dict[str, Any] = {"type": "string", "pattern": WITHOUT_NUL if self.blank else NOT_BLANK}
        if self.exactly is not None:
            schema |= {"minLength": self.exactly, "maxLength": self.exactly}
        if self.maximum is not None:
            schema["maxLength"] = self.maximum
        if self.not_wildcard:
            schema["not"] = {"const": "*"}
        return schema


class OneOf(Judged):
    """One of a closed list; ``also`` are values that mean something but need no mention."""

    def __init__(self, choices: Sequence[str], *, also: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = tuple(choices)
        self.also = tuple(also)

    def judge(self, value: Any) -> str:
        """Refuse what is not in the list."""
        if not isinstance(value, str):
            raise refuse("must be a string")
        if value not in self.choices and value not in self.also:
            raise refuse(f"must be one of {', '.join(self.choices)}")
        return value

    def openapi(self) -> dict[str, Any]:
        """The list itself."""
        return {"type": "string", "enum": [*self.choices, *self.also]}


class WholeNumber(Judged):
    """A JSON number with an integral value (``5`` and ``5.0``) in a range."""

    def __init__(self, *, minimum: int = 0, maximum: int = INT32 - 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.minimum, self.maximum = minimum, maximum

    def judge(self, value: Any) -> int:
        """Refuse other types, fractions and values out of range."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise refuse("must be an integer")
        if isinstance(value, Decimal) and value != value.to_integral_value():
            raise refuse("must be an integer")
        if not self.minimum <= value <= self.maximum:
            raise refuse(f"must be between {self.minimum} and {self.maximum}")
        return int(value)

    def openapi(self) -> dict[str, Any]:
        """The range."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


class Fraction(Judged):
    """A JSON number from 0 to 1, as the decimal that was written."""

    def judge(self, value: Any) -> Decimal:
        """Refuse other types and values out of range."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise refuse("must be a number")
        if not 0 <= value <= 1:
            raise refuse("must be between 0 and 1")
        return Decimal(value)

    def openapi(self) -> dict[str, Any]:
        """The range."""
        return {"type": "number", "minimum": 0, "maximum": 1}


class Document(Judged):
    """A JSON object, kept as compact JSON text."""

    def judge(self, value: Any) -> str:
        """Refuse other types, and NUL anywhere."""
        if not isinstance(value, dict):
            raise refuse("must be a JSON object")
        if json.contains_nul(value):
            raise ValidationError(NUL)
        return json.encode_exactly(value).decode("utf-8")

    def openapi(self) -> dict[str, Any]:
        """Any object."""
        return JSON_OBJECT


class PageNumber(Judged):
    """An integer in the text of a parameter; an empty one counts as absent."""

    def __init__(self, *, minimum: int, maximum: int, default: int) -> None:
        super().__init__()
        self.minimum, self.maximum, self.default = minimum, maximum, default

    def deserialize(self, value: Any, *_context: Any, **_partial: Any) -> int:
        """Return the number, or the default when there is none."""
        if value is missing or value == "":
            return self.default
        # Digits beyond any limit are out of range whatever they say; int() need not read all of them.
        if not _INTEGER.fullmatch(value) or len(value) > len(str(INT64)) + 1:
            raise refuse(f"must be an integer between {self.minimum} and {self.maximum}")
        if not self.minimum <= int(value) <= self.maximum:
            raise refuse(f"must be between {self.minimum} and {self.maximum}")
        return int(value)

    def openapi(self) -> dict[str, Any]:
        """The range."""
        return {
            "type": "integer",
            "minimum": self.minimum,
            "maximum": self.maximum,
            "default": self.default,
        }
