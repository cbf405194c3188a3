"""The field of a document, JSON of any form: judged when its size is known, and kept as text."""

from typing import Any, Final

from marshmallow import ValidationError

from datastorage.platform.web import json
from datastorage.platform.web.characters import NUL
from datastorage.platform.web.fields import JSON_OBJECT, Judged, refuse
from datastorage.platform.web.sizes import exceeds, is_far_too_large

TOO_LARGE: Final = object()
"""Stands for a document that was not decoded, because it is too large whatever is in it."""


class JsonObject(Judged):
    """A JSON object, kept as compact JSON text: nothing between the client and jsonb rounds a number.

    It is bounded by ``maximum_bytes``, numbers in plain form, and ``maximum_depth``; the object counts 1.
    """

    def __init__(self, *, maximum_bytes: int, maximum_depth: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.maximum_bytes = maximum_bytes
        self.maximum_depth = maximum_depth

    def judge(self, value: Any) -> str:
        """Refuse other types, too much, too deep, and NUL anywhere."""
        if value is TOO_LARGE:
            raise self._too_large()
        if not isinstance(value, dict):
            raise refuse("must be a JSON object", "invalid_event_data")
        encoded = json.encode_within(value, self.maximum_depth)
        if encoded is None:
            message = f"exceeds the maximum nesting depth of {self.maximum_depth}"
            raise refuse(message, "invalid_event_data")
        if exceeds([encoded], self.maximum_bytes):
            raise self._too_large()
        text = encoded.decode("utf-8")
        # The escape may also be the text of a doubled backslash: look closer only when it shows up.
        if "\\u0000" in text and json.contains_nul(value):
            raise ValidationError(NUL)
        return text

    def _too_large(self) -> ValidationError:
        return refuse(f"exceeds the maximum size of {self.maximum_bytes} bytes", "too_large")

    def opened(self, sent: bytes, resource: str) -> Any:
        """Return the value of the JSON that was sent, or ``TOO_LARGE``.

        Raises:
            InvalidInput: it has a number out of range.
        """
        return TOO_LARGE if is_far_too_large(sent, self.maximum_bytes) else json.decode(sent, resource)

    def openapi(self) -> dict[str, Any]:
        """Any object whose names and strings have no U+0000."""
        return JSON_OBJECT
