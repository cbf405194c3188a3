"""The fields of workflow bodies: text is kept exactly as sent, and no content of it means absent.

The contract of these endpoints has sentences of its own. Numbers arrive as the decimals that were written.
"""

from collections.abc import Sequence
from typing import Any

from marshmallow import ValidationError

from datastorage.platform.web import json
from datastorage.platform.web.characters import IDENTIFIER, NUL, Characters
from datastorage.platform.web.fields import JSON_OBJECT, Judged, refuse

INT32_MAX = 2**31 - 1


class Exact(Judged):
    """A string.

    Args:
        characters: which it may have; those of an identifier unless it says so.
        maximum: longest length in code points, unbounded when absent.
        exactly: the only length allowed.
        blank: whether blank text is a value; by default only where the field is optional.
        not_wildcard: whether ``*`` is refused.
    """

    def __init__(
        self,
        *,
        characters: Characters = IDENTIFIER,
        maximum: int | None = None,
        exactly: int | None = None,
        blank: bool | None = None,
        not_wildcard: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.characters = characters
        self.maximum = maximum
        self.exactly = exactly
        self.blank = not self.required if blank is None else blank
        self.not_wildcard = not_wildcard

    def judge(self, value: Any) -> str:
        """Refuse other types, blank text where it says nothing, wrong lengths and other characters."""
        if not isinstance(value, str):
            raise refuse("must be a string")
        if not self.blank and not value.strip():
            raise refuse("must not be blank", "whitespace_only" if value else "required")
        self._check_length(len(value))
        self.characters.require(value)
        if self.not_wildcard and value == "*":
            raise refuse("must not be *")
        return value

    def _check_length(self, length: int) -> None:
        if self.exactly is not None and length != self.exactly:
            raise refuse(f"must have exactly {self.exactly} characters", "length_exceeded")
        if self.maximum is not None and length > self.maximum:
            raise refuse(f"must be at most {self.maximum} characters (got {length})", "length_exceeded")

    def openapi(self) -> dict[str, Any]:
        """Lengths, and what the text must not be."""
        pattern = self.characters.pattern if self.blank else self.characters.not_blank
        schema: dict[str, Any] = {"type": "string", "pattern": pattern}
        if self.exactly is not None:
            schema |= {"minLength": self.exactly, "maxLength": self.exactly}
        if self.maximum is not None:
            schema["maxLength"] = self.maximum
        if self.not_wildcard:
            schema["not"] = {"const": "*"}
        return schema


class Listed(Judged):
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
