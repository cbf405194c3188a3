"""Incidents counted in PostgreSQL: one public method is one transaction with one statement."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Row

from datastorage.incidents.aggregates import queries
from datastorage.incidents.aggregates.model import DayCount, LegacyRateRequest, RateRequest
from datastorage.incidents.aggregates.queries import Counts
from datastorage.incidents.aggregates.rates import OutcomeCounts
from datastorage.platform.db.database import Database

T = TypeVar("T")
Key = tuple[str | None, ...]


class AggregateStore:
    """Counts incidents. Every method raises a classified ``DatabaseError`` when it cannot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_workflow(self, wanted: LegacyRateRequest) -> OutcomeCounts:
        """Return the outcomes of one workflow."""
        return self._read(queries.workflow_outcomes(wanted), lambda row: OutcomeCounts(*row))[0]

    def count_by_namespace(self, window: timedelta | None) -> list[tuple[str, OutcomeCounts]]:
        """Return the outcomes of each namespace, most first."""
        statement = queries.outcomes_by_namespace(window)
        return self._read(statement, lambda row: (row[0], OutcomeCounts(*row[1:])))

    def count_by_severity(self, window: timedelta | None) -> dict[str, int]:
        """Return the number of incidents of each severity that occurs."""
        statement = queries.counts_by_severity(window)
        return dict(self._read(statement, lambda row: (row[0], row[1])))

    def count_by_day(self, since: datetime) -> list[DayCount]:
        """Return the number of incidents of each day that has any, oldest first."""
        return self._read(queries.counts_by_day(since), lambda row: DayCount(*row))

    def count_by_workflow(self, wanted: RateRequest) -> dict[Key, OutcomeCounts]:
        """Return the outcomes of each pair of workflow id and version."""
        statement = queries.outcomes_by_workflow(wanted)
        return dict(self._read(statement, lambda row: (tuple(row[:2]), OutcomeCounts(*row[2:]))))

    def count_by_incident_type(self, wanted: RateRequest) -> dict[Key, OutcomeCounts]:
        """Return the outcomes of each type of incident."""
        statement = queries.outcomes_by_incident_type(wanted)
        return dict(self._read(statement, lambda row: (tuple(row[:1]), OutcomeCounts(*row[1:]))))

    def count(self, wanted: RateRequest) -> OutcomeCounts:
        """Return the outcomes of everything wanted."""
        return self._read(queries.outcomes(wanted), lambda row: OutcomeCounts(*row))[0]

    def _read(self, statement: Counts, make: Callable[[Row[*tuple[Any, ...]]], T]) -> list[T]:
        return self._database.read(lambda connection: [make(row) for row in connection.execute(statement)])
