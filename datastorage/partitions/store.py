"""Partitions in PostgreSQL: what the catalogue says, and the one function that creates a month.

Creating always goes through ``ensure_month_partition()``, whatever the role may do: it belongs to the
owner of the tables, takes the advisory lock and gives up soon when a table is busy.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from sqlalchemy import Connection, String, func, select
from sqlalchemy import table as named_table
from sqlalchemy import text as sql  # noqa: TID251 - the catalogue has no Table objects

from datastorage.errors import DatabaseError
from datastorage.partitions.plan import PARTITIONED_TABLES, Month
from datastorage.platform.db.database import Database

# Attached partitions, and tables beside the parent that are named like one: the detached months. Bounds
# are constants, so pg_get_expr needs no relation; given one, it would wait for a lock on it.
_CANDIDATES = sql("""
    SELECT c.relname AS name,
           i.inhrelid IS NOT NULL AS attached,
           pg_get_expr(c.relpartbound, 0) AS bounds,
           c.reltuples::bigint AS approximate_rows
    FROM pg_class parent
    JOIN pg_class c ON c.relnamespace = parent.relnamespace AND c.relkind IN ('r', 'p', 'f')
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = parent.oid AND NOT i.inhdetachpending
    WHERE parent.oid = to_regclass(:parent) AND c.oid <> parent.oid
      AND (i.inhrelid IS NOT NULL OR starts_with(c.relname, :parent))
    ORDER BY c.relname
""")


class Outcome(StrEnum):
    """The result for a month that should exist."""

    CREATED = "created"
    EXISTS = "exists"
    DETACHED = "detached"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition as the catalogue knows it.

    Attributes:
        month: by its name; ``None`` for a partition that is not one of a month.
        bounds: as PostgreSQL writes them; ``None`` while detached.
        approximate_rows: the planner's estimate; ``None`` until the table was analysed.
    """

    table: str
    name: str
    month: Month | None
    attached: bool
    bounds: str | None
    approximate_rows: int | None


@dataclass(frozen=True, slots=True)
class EnsuredMonth:
    """The result for one month of one table; ``error`` says why it failed."""

    table: str
    month: Month
    outcome: Outcome
    error: DatabaseError | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the month can take rows."""
        return self.outcome in {Outcome.CREATED, Outcome.EXISTS}

    @property
    def reason(self) -> str | None:
        """The code of the fault, for a month that failed."""
        return self.error.reason if self.error else None

    def __str__(self) -> str:
        return f"{self.outcome} ({self.reason})" if self.error else str(self.outcome)


class PartitionStore:
    """The monthly partitions of every table that has them.

    Every method raises a ``DatabaseError`` when the catalogue, or the rows to be counted, cannot be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_partitions(self) -> list[Partition]:
        """Return attached and detached partitions, by table and name."""
        return self._database.read(_find_partitions)

    def detached_months(self, table: str) -> set[Month]:
        """Return the months of ``table`` whose partition exists and is not attached."""
        found = self.list_partitions()
        return {p.month for p in found if p.table == table and p.month is not None and not p.attached}

    def ensure(self, months: Iterable[Month]) -> list[EnsuredMonth]:
        """Create the missing partitions and return the result for each table and month.

        Each month is a transaction of its own, so that one that cannot be created neither holds back
        the others nor keeps a lock while they wait.
        """
        existing = {(p.table, p.month): p for p in self.list_partitions()}
        return [
            self._ensure(table.name, month, existing.get((table.name, month)))
            for table, month in product(PARTITIONED_TABLES, months)
        ]

    def _ensure(self, table: str, month: Month, found: Partition | None) -> EnsuredMonth:
        if found is not None:
            return EnsuredMonth(table, month, Outcome.EXISTS if found.attached else Outcome.DETACHED)
        ensure = select(func.ensure_month_partition(table, month.first_day, type_=String))
        try:
            outcome = self._database.write(lambda connection: connection.execute(ensure).scalar_one())
        except DatabaseError as error:
            return EnsuredMonth(table, month, Outcome.FAILED, error)
        return EnsuredMonth(table, month, Outcome(outcome))

    def count_outside_months(self) -> dict[str, int]:
        """Return how many rows lie in a default partition, by the name of the table that has one."""
        counts = {
            each.name: select(func.count()).select_from(named_table(each.default_partition))
            for each in PARTITIONED_TABLES
            if each.default_partition is not None
        }
        return self._database.read(lambda c: {name: c.scalar(count) or 0 for name, count in counts.items()})


def _find_partitions(connection: Connection) -> list[Partition]:
    return [
        Partition(
            table=table.name,
            name=row.name,
            month=table.month_of(row.name),
            attached=row.attached,
            bounds=row.bounds,
            approximate_rows=row.approximate_rows if row.approximate_rows >= 0 else None,
        )
        for table in PARTITIONED_TABLES
        for row in connection.execute(_CANDIDATES, {"parent": table.name})
        if row.attached or table.month_of(row.name)
    ]
