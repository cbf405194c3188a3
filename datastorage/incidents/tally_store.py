"""Incidents counted in PostgreSQL: one public method is one transaction with one statement."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Row

from datastorage.incidents import tally_queries
from datastorage.incidents.rates import Tally
from datastorage.incidents.tallies import DayCount, LegacyRateRequest, RateRequest
from datastorage.incidents.tally_queries import Counts
from datastorage.platform.db.database import Database

T = TypeVar("T")
Key = tuple[str | None, ...]


class TallyStore:
    """Counts incidents. Every method raises a classified ``DatabaseError`` when it cannot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_workflow(self, wanted: LegacyRateRequest) -> Tally:
        """Return the outcomes of one workflow."""
        return self._read(tally_queries.workflow_outcomes(wanted), lambda row: Tally(*row))[0]

    def count_by_namespace(self, window: timedelta | None) -> list[tuple[str, Tally]]:
        """Return the outcomes of each namespace, most first."""
        statement = tally_queries.outcomes_by_namespace(window)
        return self._read(statement, lambda row: (row[0], Tally(*row[1:])))

    def count_by_severity(self, window: timedelta | None) -> dict[str, int]:
        """Return the number of incidents of each severity that occurs."""
        statement = tally_queries.counts_by_severity(window)
        return dict(self._read(statement, lambda row: (row[0], row[1])))

    def count_by_day(self, since: datetime) -> list[DayCount]:
        """Return the number of incidents of each day that has any, oldest first."""
        return self._read(tally_queries.counts_by_day(since), lambda row: DayCount(*row))

    def tally_by_workflow(self, wanted: RateRequest) -> dict[Key, Tally]:
        """Return a tally for each pair of workflow id and version."""
        statement = tally_queries.tally_by_workflow(wanted)
        return dict(self._read(statement, lambda row: (tuple(row[:2]), Tally(*row[2:]))))

    def tally_by_incident_type(self, wanted: RateRequest) -> dict[Key, Tally]:
        """Return a tally for each type of incident."""
        statement = tally_queries.tally_by_incident_type(wanted)
        return dict(self._read(statement, lambda row: (tuple(row[:1]), Tally(*row[1:]))))

    def tally(self, wanted: RateRequest) -> Tally:
        """Return the tally of everything wanted."""
        return self._read(tally_queries.tally(wanted), lambda row: Tally(*row))[0]

    def _read(self, statement: Counts, make: Callable[[Row[*tuple[Any, ...]]], T]) -> list[T]:
        return self._database.read(lambda connection: [make(row) for row in connection.execute(statement)])
