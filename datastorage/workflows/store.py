"""``remediation_workflow_catalog`` in PostgreSQL: one public method is one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from datastorage.errors import RowRefused
from datastorage.platform.db.database import Database
from datastorage.workflows import queries, ranking
from datastorage.workflows.errors import VersionTaken
from datastorage.workflows.model import NearMiss, PageRequest, SearchRequest, StoredWorkflow
from datastorage.workflows.queries import HAS
from datastorage.workflows.ranking import Found
from datastorage.workflows.workflow import Workflow

Decide = Callable[[dict[str, Any], datetime], dict[str, Any]]
"""From what may change of a locked row and the time to the columns that get a new value."""


class WorkflowStore:
    """Registers, changes and finds workflows.

    Every method raises a classified ``DatabaseError`` when it cannot; then nothing is stored or changed.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, workflow: Workflow) -> StoredWorkflow | None:
        """Store a version as the latest of its name and return it, or ``None`` when it exists already."""
        try:
            return self._add(workflow)
        except RowRefused as error:
            if error.reason != "unique":
                raise
            # Something besides us moved the flag between two statements; the next look will see it.
            return self._add(workflow)

    def _add(self, workflow: Workflow) -> StoredWorkflow | None:
        try:
            return self._database.write(lambda connection: _insert(connection, workflow))
        except VersionTaken:
            return None

    def change(self, workflow_id: UUID, decide: Decide) -> tuple[StoredWorkflow, dict[str, Any]] | None:
        """Lock a row, let ``decide`` choose what changes, write that, and return the row and the change.

        ``decide`` may refuse by raising; then nothing is written. It may run again after a deadlock.

        Returns:
            ``None`` when there is no such row.
        """

        def work(connection: Connection) -> tuple[StoredWorkflow, dict[str, Any]] | None:
            row = connection.execute(queries.locked(workflow_id)).mappings().first()
            if row is None:
                return None
            columns = decide(dict(row), connection.execute(queries.NOW).scalar_one())
            if columns:
                connection.execute(queries.change(workflow_id, columns))
            return _stored(connection, workflow_id), columns

        return self._database.write(work)

    def find(self, workflow_id: UUID) -> StoredWorkflow | None:
        """Return one workflow or ``None``."""
        rows = self._database.query(queries.ONE, {"workflow_id": workflow_id})
        return StoredWorkflow(workflow_id, rows[0][0]) if rows else None

    def find_page(self, wanted: PageRequest) -> tuple[list[str], int]:
        """Return a page as JSON, newest first, and how many workflows match; both from one snapshot."""
        statement, values = queries.page(wanted)
        if any(condition.operator is HAS for condition in wanted.conditions):
            rows = self._database.read(
                lambda connection: statement.rows(connection, values), custom_plan=True
            )
        else:
            rows = self._database.query(statement, values)
        return [text for text, _ in rows if text is not None], rows[0][1]

    def find_versions(self, workflow_name: str) -> list[str]:
        """Return every version of a name as JSON, newest first."""
        rows = self._database.query(queries.VERSIONS, {"workflow_name": workflow_name})
        return [row[0] for row in rows]

    def find_best(self, wanted: SearchRequest) -> list[Found]:
        """Return the first results of a search, in order; each knows how many there are in all."""
        rows = self._database.query(ranking.BEST, ranking.parameters(wanted))
        return [Found._make(row) for row in rows]

    def find_near_misses(self, wanted: SearchRequest, found: Sequence[UUID]) -> list[NearMiss]:
        """Return what else is registered for the searched signal."""
        signal_type = wanted.wanted.mandatory["signal_type"]
        rows = self._database.query(queries.NEAR_MISSES, {"signal_type": signal_type, "found": list(found)})
        return [NearMiss._make(row) for row in rows]


def _insert(connection: Connection, workflow: Workflow) -> StoredWorkflow:
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
    workflow_id = connection.execute(queries.insert_latest(workflow, **columns)).scalar_one_or_none()
    if workflow_id is None:
        raise VersionTaken
    return _stored(connection, workflow_id)


def _stored(connection: Connection, workflow_id: UUID) -> StoredWorkflow:
    [(text,)] = queries.ONE.rows(connection, {"workflow_id": workflow_id})
    return StoredWorkflow(workflow_id, text)
