"""Stretches of a list that end after so many rows or bytes, whatever comes first.

A thousand rows of a megabyte each are an answer that neither PostgreSQL nor this process may build. How long
the text of a row is shows only when it is written, so the statement itself stops writing: each row becomes as
many lines as its text has units, plus one, and PostgreSQL stops at the line whose number is too high ("Run
Condition" in the plan). The text is in the first line of its row. What is sent that way exceeds the bound by
a unit per row and by one row at most; ``stretch_of`` then cuts to the byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    select,
)

UNIT_BYTES: Final = 16 * 1024
UNITS: Final = "page_units"
"""Name of the parameter that bounds the lines."""

# No parameters: of these each filter of one shape has the same.
_ZERO: Final[ColumnElement[int]] = literal_column("0", Integer)
_ONE: Final[ColumnElement[int]] = literal_column("1", Integer)


@dataclass(frozen=True, slots=True)
class Bound:
    """How long a stretch may be; ``max_bytes`` are those of the texts of its rows."""

    rows: int
    max_bytes: int

    @property
    def units(self) -> int:
        """Lines that hold every stretch within the bound, and the row behind it."""
        return self.rows + 1 + self.max_bytes // UNIT_BYTES


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows as JSON texts.

    Attributes:
        texts: in the order of the list.
        has_more: whether rows follow.
        is_cut: whether they follow because of the bytes, with room for more rows.
    """

    texts: list[str]
    has_more: bool = False
    is_cut: bool = False


def bounded(rows: Select[Any], units: int = 0) -> Select[Any]:
    """Let a statement stop writing when its texts exceed a ``Bound``.

    SELECT CASE WHEN line <= units THEN text END, … FROM (
        SELECT …, row_number() OVER () AS line FROM (
            SELECT CASE WHEN unit = 0 THEN text END AS text, …, unit FROM (
                SELECT …, generate_series(0, least(octet_length(text) / 16384, units - 1)) AS unit
                FROM (SELECT … AS text, … OFFSET 0) AS written
            ) AS units OFFSET 0
        ) AS lines
    ) AS numbered WHERE line <= units + 1 AND unit = 0

    The first OFFSET keeps PostgreSQL from writing each text twice, the second from storing it with every line
    until it is numbered. A row takes ``units`` lines at most: so when the first alone is too large, the next
    one still shows that it exists, without its text.

    Args:
        rows: selects the column ``text``, in order; further columns are kept.
        units: value of the parameter ``page_units``.
    """
    most, unit_bytes = bindparam(UNITS, units, BigInteger), literal_column(str(UNIT_BYTES), Integer)
    written = rows.offset(_ZERO).subquery("written")
    further = [each.name for each in written.c if each.name != "text"]
    length = func.octet_length(written.c.text, type_=Integer()) // unit_bytes
    unit = func.generate_series(_ZERO, func.least(length, most - _ONE)).label("unit")
    of_rows = select(*written.c, unit).subquery("units")
    text = case((of_rows.c.unit == _ZERO, of_rows.c.text)).label("text")
    kept = [of_rows.c[name] for name in (*further, "unit")]
    lines = select(text, *kept).offset(_ZERO).subquery("lines")
    numbered = select(*lines.c, func.row_number().over().label("line")).subquery("numbered")
    text = case((numbered.c.line <= most, numbered.c.text)).label("text")
    found = select(text, *(numbered.c[name] for name in further))
    return found.where(numbered.c.line <= most + _ONE, numbered.c.unit == _ZERO)


def stretch_of(texts: Sequence[str | None], bound: Bound) -> Stretch:
    """Return the rows within ``bound``, the first one in any case.

    Args:
        texts: what a ``bounded`` statement found, with one row more than the bound has if there is one.
        bound: rows and bytes.
    """
    kept: list[str] = []
    room = bound.max_bytes
    for text in texts[: bound.rows]:
        if text is None:
            break
        room -= len(text) if text.isascii() else len(text.encode("utf-8"))
        if kept and room < 0:
            break
        kept.append(text)
    has_more = len(texts) > len(kept)
    return Stretch(kept, has_more, is_cut=has_more and len(kept) < bound.rows)
