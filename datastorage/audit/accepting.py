"""The short way from the members of a request to an event, for requests nothing is wrong with.

marshmallow finds every fault and says it in order, which costs several times what judging the values
does. So the fields of the same schema judge first, each with the very method marshmallow would call, one
after the other and without its machinery. At the first doubt this way ends, and marshmallow begins from
the start: only it explains, and there is no second set of rules.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from marshmallow import Schema, ValidationError

from datastorage.audit.model import AuditEvent
from datastorage.platform.web.fields import Judged

Judge = Callable[[Any], Any]
Members = dict[str, Any]


class EventSchema(Protocol):
    """The steps around the fields of a schema of events."""

    def rename_aliases(self, data: Members) -> Members:
        """Use an alias where the canonical member is absent."""

    def check_total_size(self, data: Members) -> None:
        """Raise ``ValidationError`` when the documents are too large together."""

    def make_event(self, data: Members) -> AuditEvent:
        """Apply every default."""


class ShortWay:
    """Accepts what a schema would accept, with the same result, or leaves it to the schema.

    Args:
        schema: the steps before and after the fields.
        fields: the fields of the same schema; their bounds are read at every call.
    """

    def __init__(self, schema: EventSchema, fields: Mapping[str, Judged]) -> None:
        self._schema = schema
        self._judges: dict[str, Judge] = {name: field.judge for name, field in fields.items()}
        self._required = frozenset(name for name, field in fields.items() if field.required)
        self._absent: Members = dict.fromkeys(fields.keys() - self._required)

    def accept(self, data: Members) -> AuditEvent | None:
        """Return the event, or ``None`` when there may be something to explain."""
        try:
            return self._schema.make_event(self._judged(self._schema.rename_aliases(data)))
        except ValidationError:
            return None

    def _judged(self, members: Members) -> Members:
        judged = self._absent.copy()
        for name, value in members.items():
            judge = self._judges.get(name)
            if judge is not None and value is not None:
                judged[name] = judge(value)
        if not self._required <= judged.keys():
            raise ValidationError("a required field is missing")
        self._schema.check_total_size(judged)
        return judged


def judged_fields(schema: Schema) -> dict[str, Judged]:
    """Return the fields that ``schema`` loads, in order.

    Raises:
        TypeError: a field is no ``Judged`` one; marshmallow would treat it otherwise.
    """
    fields: dict[str, Judged] = {}
    for name, field in schema.load_fields.items():
        if not isinstance(field, Judged) or field.data_key is not None or field.load_default:
            raise TypeError(f"the field {name} cannot be judged on its own")
        fields[name] = field
    return fields
