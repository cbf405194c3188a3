"""What answers are made of, said beside the types that are sent; ``openapi.shapes`` describes them by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from datastorage.platform.records import Members

JSON_OBJECT: Final[Mapping[str, Any]] = {"type": "object", "additionalProperties": True}
"""Any JSON object."""
OF: Final = "of"


@dataclass(frozen=True, slots=True)
class RowShape:
    """Rows of a record as PostgreSQL writes them.

    Attributes:
        name: what the API document calls it.
        description: one sentence.
        members: of the record, in the order of the row; the SQL is made of the same.
        example: one row.
    """

    name: str
    description: str
    members: Members
    example: Mapping[str, Any] = field(default_factory=dict)


Shape = type[msgspec.Struct] | type[str] | type[bytes] | RowShape


def meaning(description: str, *, of: RowShape | Mapping[str, Any] | None = None) -> msgspec.Meta:
    """Say what a member means and, where it is raw JSON or a list of such, of what shape.

    data: Annotated[list[msgspec.Raw], meaning("The events of this page.", of=STORED)]
    """
    return msgspec.Meta(description=description, extra=None if of is None else {OF: of})
