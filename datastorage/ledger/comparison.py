"""Audit of the ledger: events and statements beside their leaves, and the tree beside them (11)."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, Select, and_, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import TEXT

from datastorage.audit import evidence
from datastorage.ledger.appending import stored_leaf
from datastorage.ledger.growth import Growth
from datastorage.ledger.leaf import Kind
from datastorage.ledger.statements import ArchiveStatement, Type
from datastorage.ledger.store import newest_turn
from datastorage.ledger.tables import (
    ledger_checkpoints,
    ledger_entries,
    ledger_statements,
    ledger_tiles,
)
from datastorage.ledger.tiles import TILE_WIDTH
from datastorage.ledger.tree import leaf_hash
from datastorage.partitions.plan import Month
from datastorage.platform.db.database import Database

MOST_SHOWN: Final = 10
MONTH_TIMEOUT: Final = timedelta(hours=1)
LEAVES_AT_ONCE: Final = 64 * TILE_WIDTH


class Difference(StrEnum):
    """What is not as it was sealed."""

    EVENT_WITHOUT_LEAF = "event_without_leaf"
    LEAF_WITHOUT_EVENT = "leaf_without_event"
    DIGEST = "digest"
    DUPLICATE = "duplicate"
    STATEMENT = "statement"
    TREE = "tree"


@dataclass(slots=True)
class Differences:
    """What an audit found.

    Attributes:
        counts: by kind.
        shown: some leaf indices of each kind, ids where there is no leaf.
        before_ledger: events without leaf, as long as no backfill has stated that there are none.
    """

    counts: Counter[Difference] = field(default_factory=Counter)
    shown: dict[Difference, list[str]] = field(default_factory=dict)
    before_ledger: int = 0

    def add(self, kind: Difference, what: object) -> None:
        """Count one more."""
        self.counts[kind] += 1
        shown = self.shown.setdefault(kind, [])
        if len(shown) < MOST_SHOWN:
            shown.append(str(what))

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()


class LedgerAudit:
    """Compares what is stored with what was sealed.

    Args:
        database: where both are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def compare_month(self, month: Month, found: Differences) -> None:
        """Compare the events of a month with their leaves.

        Raises:
            DatabaseError: they cannot be read.
        """

        def work(connection: Connection) -> tuple[list[Any], bool, bool]:
            rows = connection.execute(_differences(month)).all()
            return list(rows), newest_turn(connection) is None, _is_archived(connection, month)

        rows, is_before_ledger, is_archived = self._database.read(work, timeout=MONTH_TIMEOUT)
        for kind, leaf_index, event_id in rows:
            if kind == Difference.EVENT_WITHOUT_LEAF and is_before_ledger:
                found.before_ledger += 1
            elif kind != Difference.LEAF_WITHOUT_EVENT or not is_archived:
                found.add(Difference(kind), event_id if leaf_index is None else leaf_index)

    def compare_statements(self, found: Differences) -> None:
        """Compare statements with their leaves."""
        for (leaf_index,) in self._rows(_wrong_statements()):
            found.add(Difference.STATEMENT, leaf_index)

    def size(self) -> int:
        """Return the size of the tree."""
        [(size,)] = self._rows(select(func.coalesce(func.max(ledger_checkpoints.c.tree_size), 0)))
        return int(size)

    def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        return self._database.read(lambda connection: connection.execute(statement).all())

    def compare_tree(self, size: int, found: Differences, on_step: Callable[[int], None]) -> None:
        """Hash the first ``size`` leaves, and compare tiles and root with what is kept."""
        growth = Growth(0, {})
        for first in range(0, size, LEAVES_AT_ONCE):
            end = min(first + LEAVES_AT_ONCE, size)
            rows = self._rows(_leaves(first, end))
            if [row.leaf_index for row in rows] != list(range(first, end)):
                found.add(Difference.TREE, f"a leaf between {first} and {end} is missing")
                return
            growth.forget_changes()
            growth.extend(leaf_hash(stored_leaf(row).encoded()) for row in rows)
            self._compare_tiles(growth, found, is_end=end == size)
            on_step(end - first)
        columns = ledger_checkpoints.c
        roots = select(columns.root).where(columns.tree_size == size)
        if size and [root for (root,) in self._rows(roots)] != [growth.root()]:
            found.add(Difference.TREE, f"the root of {size} leaves is another")

    def _compare_tiles(self, growth: Growth, found: Differences, *, is_end: bool) -> None:
        """Compare the tiles that the last leaves changed; partial ones may have grown since."""
        columns = ledger_tiles.c
        for tile, hashes in growth.changed_tiles():
            is_full = tile.width == TILE_WIDTH
            if not is_full and (tile.level == 0 or not is_end):
                continue
            kept = select(columns.hashes).where(columns.level == tile.level, columns.n == tile.number)
            if not any(stored.startswith(hashes) for (stored,) in self._rows(kept)):
                found.add(Difference.TREE, f"{tile.path} has other hashes")


def _is_archived(connection: Connection, month: Month) -> bool:
    columns = ledger_statements.c
    texts: Iterator[str] = connection.scalars(select(columns.statement).where(columns.type == Type.ARCHIVE))
    name = f"{month.first_day:%Y-%m}"
    return any(msgspec.json.decode(text, type=ArchiveStatement).month == name for text in texts)


def _differences(month: Month) -> Select[Any]:
    """Select kind, leaf and event of whatever differs between the events of a month and their leaves.

    SELECT … FROM (SELECT …, digest FROM audit_events WHERE event_date …) AS events
    FULL JOIN (SELECT …, row_number() OVER (PARTITION BY event_id, event_date) FROM ledger_entries) AS leaves
    USING (event_id, event_date) WHERE …
    """
    first, end = month.first_day, month.next().first_day
    events = evidence.of_days(first, end)
    entries = ledger_entries.c
    occurrence = func.row_number().over(
        partition_by=(entries.event_id, entries.event_date), order_by=entries.leaf_index
    )
    leaves = (
        select(ledger_entries, occurrence.label("occurrence"))
        .where(entries.kind == int(Kind.EVENT), entries.event_date >= first, entries.event_date < end)
        .subquery("leaves")
    )
    same = and_(events.c.event_id == leaves.c.event_id, events.c.event_date == leaves.c.event_date)
    has_no_leaf = and_(leaves.c.leaf_index.is_(None), ~evidence.waits_as(events.c))
    has_no_event = events.c.event_id.is_(None)
    differs = or_(events.c.digest != leaves.c.digest, events.c.correlation_tag != leaves.c.correlation_tag)
    is_double = leaves.c.occurrence > 1
    kind = case(
        (has_no_leaf, literal(Difference.EVENT_WITHOUT_LEAF.value, TEXT())),
        (has_no_event, literal(Difference.LEAF_WITHOUT_EVENT.value, TEXT())),
        (differs, literal(Difference.DIGEST.value, TEXT())),
        else_=literal(Difference.DUPLICATE.value, TEXT()),
    )
    event_id = func.coalesce(events.c.event_id, leaves.c.event_id)
    both = events.join(leaves, same, full=True)
    return (
        select(kind, leaves.c.leaf_index, event_id)
        .select_from(both)
        .where(or_(has_no_leaf, has_no_event, differs, is_double))
        .order_by(leaves.c.leaf_index)
    )


def _wrong_statements() -> Select[Any]:
    """Select the leaves of statements that are not kept as they were sealed, and statements without leaf."""
    kept, entries = ledger_statements.c, ledger_entries.c
    digest = func.sha256(func.convert_to(kept.statement, literal("UTF8", TEXT())))
    leaves = select(ledger_entries).where(entries.kind == int(Kind.STATEMENT)).subquery("leaves")
    differs = or_(
        kept.leaf_index.is_(None),
        leaves.c.leaf_index.is_(None),
        leaves.c.digest != digest,
        leaves.c.event_id != kept.statement_id,
    )
    both = ledger_statements.join(leaves, kept.leaf_index == leaves.c.leaf_index, full=True)
    return select(func.coalesce(kept.leaf_index, leaves.c.leaf_index)).select_from(both).where(differs)


def _leaves(first: int, end: int) -> Select[Any]:
    index = ledger_entries.c.leaf_index
    return select(ledger_entries).where(index >= first, index < end).order_by(index)
