"""``remediation_workflow_catalog`` in PostgreSQL: one public method is one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, RowMapping

from datastorage.errors import RowRefused
from datastorage.platform.db.database import Database
from datastorage.workflows import queries, ranking
from datastorage.workflows.errors import VersionTaken
from datastorage.workflows.model import NewWorkflow, SearchRequest, Workflow, WorkflowFilter
from datastorage.workflows.ranking import Found

Decide = Callable[[dict[str, Any], datetime], dict[str, Any]]
"""From a locked row and the time to the columns that get a new value."""


class WorkflowStore:
    """Registers, changes and finds workflows.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, workflow: NewWorkflow) -> Workflow | None:
        """Store a version as the latest of its name and return it, or ``None`` when it exists already.

        Raises:
            DatabaseError: it is not stored, and the latest version is the one it was.
        """
        try:
            return self._add(workflow)
        except RowRefused as error:
            if error.reason != "unique":
                raise
            # Something besides us moved the flag between two statements; the next look will see it.
            return self._add(workflow)

    def _add(self, workflow: NewWorkflow) -> Workflow | None:
        try:
            return as_workflow(self._database.write(lambda connection: _insert(connection, workflow)))
        except VersionTaken:
            return None

    def change(self, workflow_id: UUID, decide: Decide) -> tuple[Workflow, dict[str, Any]] | None:
        """Lock a row, let ``decide`` choose what changes, write that, and return the row and the change.

        ``decide`` may refuse by raising; then nothing is written. It may run again after a deadlock.

        Returns:
            ``None`` when there is no such row.

        Raises:
            DatabaseError: nothing was changed.
        """

        def work(connection: Connection) -> tuple[RowMapping, dict[str, Any]] | None:
            row = connection.execute(queries.one(workflow_id).with_for_update()).mappings().first()
            if row is None:
                return None
            columns = decide(dict(row), connection.execute(queries.NOW).scalar_one())
            if columns:
                row = connection.execute(queries.change(workflow_id, columns)).mappings().one()
            return row, columns

        written = self._database.write(work)
        return (as_workflow(written[0]), written[1]) if written else None

    def find(self, workflow_id: UUID) -> Workflow | None:
        """Return one workflow or ``None``.

        Raises:
            DatabaseError: classified.
        """

        def work(connection: Connection) -> RowMapping | None:
            return connection.execute(queries.one(workflow_id)).mappings().first()

        row = self._database.read(work)
        return as_workflow(row) if row else None

    def find_page(self, wanted: WorkflowFilter, *, limit: int, offset: int) -> tuple[list[Workflow], int]:
        """Return a page, newest first, and how many workflows match; both from one snapshot.

        Raises:
            DatabaseError: classified.
        """

        def work(connection: Connection) -> tuple[Sequence[RowMapping], int]:
            total: int = connection.execute(queries.count(wanted)).scalar_one()
            if offset >= total:
                return [], total
            statement = queries.page(wanted, limit=limit, offset=offset)
            return connection.execute(statement).mappings().all(), total

        has_containment = bool(wanted.labels or wanted.custom_labels)
        rows, total = self._database.read(work, custom_plan=has_containment)
        return [as_workflow(row) for row in rows], total

    def find_versions(self, workflow_name: str) -> list[Workflow]:
        """Return every version of a name, newest first.

        Raises:
            DatabaseError: classified.
        """
        rows = self._rows(queries.versions(workflow_name))
        return [as_workflow(row) for row in rows]

    def find_best(self, wanted: SearchRequest) -> list[Found]:
        """Return the first results of a search, in order; each knows how many there are in all.

        Raises:
            DatabaseError: classified.
        """
        rows = self._database.query(ranking.BEST, ranking.parameters(wanted))
        return [Found._make(row) for row in rows]

    def find_near_misses(self, wanted: SearchRequest, found: Sequence[UUID]) -> list[dict[str, Any]]:
        """Return what else is registered for the searched signal.

        Raises:
            DatabaseError: classified.
        """
        return [dict(row) for row in self._rows(queries.near_misses(wanted, found))]

    def _rows(self, statement: Any) -> Sequence[RowMapping]:
        return self._database.read(lambda connection: connection.execute(statement).mappings().all())


def _insert(connection: Connection, workflow: NewWorkflow) -> RowMapping:
    """Under the lock of the name the commit order, the flag and ``created_at`` agree."""
    connection.execute(queries.lock_name(workflow.workflow_name))
    now = connection.execute(queries.NOW).scalar_one()
    demoted = connection.execute(queries.demote_latest(workflow.workflow_name)).scalar_one_or_none()
    columns = {
        "created_at": now,
        "updated_at": now,
        "disabled_at": now if workflow.status == "disabled" else None,
        "previous_version": demoted if workflow.previous_version is None else workflow.previous_version,
    }
    row = connection.execute(queries.insert_latest(workflow, **columns)).mappings().first()
    if row is None:
        raise VersionTaken
    return row


def as_workflow(row: RowMapping) -> Workflow:
    """Return the row as answers show it: rates as JSON numbers, parameters as they were sent."""
    columns = dict(row)
    for name in ("expected_success_rate", "actual_success_rate"):
        if columns[name] is not None:
            columns[name] = float(columns[name])
    if columns["parameters"] is not None:
        columns["parameters"] = msgspec.Raw(columns["parameters"].encode("utf-8"))
    return Workflow(**columns)
