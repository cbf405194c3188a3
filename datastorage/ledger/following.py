"""Reading on along the ledger: from one leaf to the next, with the texts of events and statements (5.4).

What a filter leaves out is leaves, not numbers: ``next`` follows the last leaf that was looked at, so a
reader resumes anywhere and misses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, literal, select

from datastorage.audit import evidence
from datastorage.ledger.appending import tag_of
from datastorage.ledger.leaf import Kind, correlation_tag
from datastorage.ledger.reader import archived_months, tree_size
from datastorage.ledger.refusals import BeyondEnd, FeedGone
from datastorage.ledger.tables import ledger_entries, ledger_feed, ledger_statements
from datastorage.platform.db.conditions import Condition, need_values
from datastorage.platform.db.database import Database
from datastorage.platform.db.stretches import UNITS, Bound, bounded, stretch_of

PIECE_LEAVES: Final = 500
"""Leaves that are read at once."""
MOST_LOOKED: Final = 10_000
"""Leaves that one page looks at."""

Key = tuple[UUID, date]
Leaf = Row[int, UUID, date, int]


@dataclass(frozen=True, slots=True)
class FeedFilter:
    """Which events a reader wants: those that meet all conditions; every leaf without any."""

    conditions: tuple[Condition, ...] = ()

    @property
    def needs_values(self) -> bool:
        """Whether statements have to be planned with the values."""
        return need_values(self.conditions)

    def of_leaves(self) -> list[ColumnElement[bool]]:
        """Return what leaves alone can tell: their kind, the tag and the date of their event."""
        entries = ledger_entries.c
        found: list[ColumnElement[bool]] = [entries.kind == int(Kind.EVENT)] if self.conditions else []
        for condition in self.conditions:
            if condition.column.key == "correlation_id":
                found.append(entries.correlation_tag == tag_of(correlation_tag(condition.value)))
            elif condition.column.key == "event_date":
                day = literal(condition.value, entries.event_date.type)
                found.append(condition.operator.compare(entries.event_date, day))
        return found


@dataclass(frozen=True, slots=True)
class Item:
    """One leaf as readers see it.

    Attributes:
        leaf_index: its place.
        name: what it is, ``event``, ``statement`` or ``missing``: its row is gone.
        text: of the event or statement, of a missing one what is known of it; JSON.
    """

    leaf_index: int
    name: str
    text: str

    @property
    def line(self) -> str:
        """The item as JSON."""
        if self.name == "missing":
            return f'{{"leaf_index":{self.leaf_index},"event":null,{self.text[1:]}'
        return f'{{"leaf_index":{self.leaf_index},"{self.name}":{self.text}}}'

    @property
    def message(self) -> str:
        """The item as an event of a ``text/event-stream``."""
        kind = "" if self.name == "event" else f"event: {self.name}\n"
        return f"id: {self.leaf_index}\n{kind}data: {self.text}\n\n"


@dataclass(frozen=True)
class Piece:
    """Some items, and the leaf behind the last one that was looked at."""

    items: Sequence[Item]
    next: int

    @cached_property
    def messages(self) -> bytes:
        """All items as events of a stream: made once for all that follow."""
        return "".join(item.message for item in self.items).encode()

    @cached_property
    def event_count(self) -> int:
        """How many events it shows."""
        return sum(item.name == "event" for item in self.items)

    def first(self, limit: int) -> "Piece":
        """Return no more than so many items."""
        if len(self.items) <= limit:
            return self
        items = self.items[:limit]
        return Piece(items, items[-1].leaf_index + 1)


class Following:
    """Reads the ledger in pieces. Every method raises a classified ``DatabaseError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self) -> int:
        """Return how many leaves there are."""
        return self._database.read(tree_size)

    def place(self, start: int | None) -> tuple[int, int]:
        """Return where a reader begins, and how many leaves there are.

        Args:
            start: the leaf; ``None`` for the lowest that is not archived.

        Raises:
            BeyondEnd: it lies above the end.
            FeedGone: it is archived.
        """

        def work(connection: Connection) -> tuple[int, int]:
            first: int = connection.execute(select(ledger_feed.c.first_index)).scalar_one()
            return first, tree_size(connection)

        first, size = self._database.read(work)
        place = first if start is None else start
        if place > size:
            raise BeyondEnd(size)
        if place < first:
            raise FeedGone(first)
        return place, size

    def read(self, place: int, end: int, wanted: FeedFilter, bound: Bound) -> Piece:
        """Return what there is from ``place``, below ``end`` and within the bound; one item in any case."""
        return self._database.read(
            lambda connection: _read(connection, (place, end), wanted, bound),
            custom_plan=wanted.needs_values,
        )


def _read(connection: Connection, between: tuple[int, int], wanted: FeedFilter, bound: Bound) -> Piece:
    place, end = between
    entries = ledger_entries.c
    leaves = (
        select(entries.leaf_index, entries.event_id, entries.event_date, entries.kind)
        .where(entries.leaf_index >= place, entries.leaf_index < end, *wanted.of_leaves())
        .order_by(entries.leaf_index)
        .limit(PIECE_LEAVES)
    )
    found = connection.execute(leaves).all()
    rows = _of_different_ids(found)
    is_whole = len(rows) == len(found) < PIECE_LEAVES
    looked = end if is_whole else rows[-1].leaf_index + 1
    keys = [(row.event_id, row.event_date) for row in rows if row.kind == Kind.EVENT]
    texts, is_cut = _texts(connection, keys, wanted, bound)
    if is_cut:
        # The last row of which the text came is the last that counts.
        last = max(row.leaf_index for row in rows if (row.event_id, row.event_date) in texts)
        rows = [row for row in rows if row.leaf_index <= last]
        looked = last + 1
    return Piece(_items(connection, rows, texts, wanted), looked).first(bound.rows)


def _of_different_ids(rows: Sequence[Leaf]) -> Sequence[Leaf]:
    """Return the rows before an id repeats: texts come in the order of ids, and old data has some twice."""
    seen: set[UUID] = set()
    for place, row in enumerate(rows):
        if row.event_id in seen:
            return rows[:place]
        seen.add(row.event_id)
    return rows


def _texts(
    connection: Connection, keys: Sequence[Key], wanted: FeedFilter, bound: Bound
) -> tuple[dict[Key, str], bool]:
    """Return the texts of matching events by key, and whether the bound has cut them off."""
    if not keys:
        return {}, False
    statement = bounded(evidence.texts_of_keys(keys, wanted.conditions))
    asked = set(keys)
    # An id of old data may have several dates; only the leaf's counts.
    rows = [row for row in connection.execute(statement, {UNITS: bound.units}) if tuple(row)[1:] in asked]
    stretch = stretch_of([row.text for row in rows], Bound(len(rows), bound.max_bytes))
    complete = [row for row in rows if row.text is not None]
    kept = complete[: len(stretch.texts)]
    return {(row.event_id, row.event_date): row.text for row in kept}, stretch.has_more


def _items(
    connection: Connection, rows: Sequence[Leaf], texts: Mapping[Key, str], wanted: FeedFilter
) -> list[Item]:
    statements = _statements(connection, [row.leaf_index for row in rows if row.kind == Kind.STATEMENT])
    without = [
        key for row in rows if row.kind == Kind.EVENT and (key := (row.event_id, row.event_date)) not in texts
    ]
    others: set[Key] = _stored(connection, without) if without and wanted.conditions else set()
    archived = archived_months(connection) if set(without) - others else frozenset()
    found = []
    for row in rows:
        key = row.event_id, row.event_date
        if row.kind == Kind.STATEMENT:
            found.append(Item(row.leaf_index, "statement", statements[row.leaf_index]))
        elif key in texts:
            found.append(Item(row.leaf_index, "event", texts[key]))
        elif key not in others:
            tail = ',"archived":true}' if f"{row.event_date:%Y-%m}" in archived else "}"
            found.append(Item(row.leaf_index, "missing", f'{{"event_id":"{row.event_id}"{tail}'))
    return found


def _statements(connection: Connection, indices: Sequence[int]) -> dict[int, str]:
    if not indices:
        return {}
    columns = ledger_statements.c
    asked = select(columns.leaf_index, columns.statement).where(columns.leaf_index.in_(indices))
    return {row.leaf_index: row.statement for row in connection.execute(asked)}


def _stored(connection: Connection, keys: Sequence[Key]) -> set[Key]:
    """Return those of the keys that are stored: events that are there and do not match."""
    rows = connection.execute(evidence.stored_of_keys(keys))
    return {(row.event_id, row.event_date) for row in rows}
