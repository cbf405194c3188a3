"""Stretches of a list that end after so many rows or bytes, whatever comes first.

A thousand rows of a megabyte each are an answer that neither PostgreSQL nor this process may build. How long
the text of a row is shows only when it is written, so the statement itself stops writing: each row becomes as
many lines as its text has units, plus one, and there is a LIMIT on lines. The text is in the last line of its
row; the first of several shows that the row exists. What is sent that way exceeds the bound by a unit per row
and by one row at most; ``stretch_of`` then cuts to the byte.
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
    or_,
    select,
    true,
)

UNIT_BYTES: Final = 16 * 1024
UNITS: Final = "page_units"
"""Name of the parameter that bounds the lines."""

# No parameters: of these each filter of one shape has the same.
_ZERO: Final[ColumnElement[int]] = literal_column("0", Integer)
_ONE: Final[ColumnElement[int]] = literal_column("1", Integer)
_UNIT_BYTES: Final[ColumnElement[int]] = literal_column(str(UNIT_BYTES), Integer)


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

    SELECT CASE WHEN unit IS NULL OR unit = last THEN text END, … FROM (
        SELECT …, unit FROM (SELECT … AS text, … OFFSET 0) AS written
        LEFT JOIN LATERAL (SELECT generate_series(0, last) AS unit WHERE octet_length(text) >= 16384) ON true
        LIMIT units + 1
    ) AS lines WHERE unit IS NULL OR unit = last OR unit = 0

    with least(octet_length(text) / 16384, units - 1) for ``last``. The OFFSET keeps PostgreSQL from writing
    each text twice. A row takes ``units`` lines at most: so when the first alone is too large, the next one
    still shows that it exists. A row of one line costs 0.3 us, with lines for each row and their numbers 1.3.

    Args:
        rows: selects the column ``text``, in order; further columns are kept.
        units: value of the parameter ``page_units``.
    """
    most = bindparam(UNITS, units, BigInteger)
    written = rows.offset(_ZERO).subquery("written")
    series = select(func.generate_series(_ZERO, _last_unit(written.c.text, most)).label("unit"))
    is_large = func.octet_length(written.c.text) >= _UNIT_BYTES
    large = series.where(is_large).correlate(written).lateral("units")
    joined = written.outerjoin(large, true())
    lines = select(*written.c, large.c.unit).select_from(joined).limit(most + _ONE).subquery("lines")
    text, unit = lines.c.text, lines.c.unit
    is_last = or_(unit.is_(None), unit == _last_unit(text, most))
    further = [each for each in lines.c if each.name not in {"text", "unit"}]
    return select(case((is_last, text)).label("text"), *further).where(or_(is_last, unit == _ZERO))


def _last_unit(text: ColumnElement[str], most: ColumnElement[int]) -> ColumnElement[int]:
    return func.least(func.octet_length(text, type_=Integer()) // _UNIT_BYTES, most - _ONE)


def stretch_of(texts: Sequence[str | None], bound: Bound) -> Stretch:
    """Return the rows within ``bound``, the first one in any case.

    Args:
        texts: what a ``bounded`` statement found, with one row more than the bound has if there is one;
            ``None`` for the first line of a row whose text comes next, or not at all.
        bound: rows and bytes.
    """
    kept: list[str] = []
    room = bound.max_bytes
    complete = [text for text in texts if text is not None]
    for text in complete[: bound.rows]:
        room -= len(text) if text.isascii() else len(text.encode("utf-8"))
        if kept and room < 0:
            break
        kept.append(text)
    has_more = len(complete) > len(kept) or (bool(texts) and texts[-1] is None)
    return Stretch(kept, has_more, is_cut=has_more and len(kept) < bound.rows)
