"""Classifies what the driver raised; no other module looks at SQLSTATEs.

PostgreSQL's diagnostics decide, never the text of a message. (A refused connection has only its message:
see ``refused_connections``.) ``reason`` is the code that ``datastorage_db_errors_total`` counts, and that
is kept with a write in the queue.
"""

from enum import StrEnum

import psycopg
import sqlalchemy.exc
from psycopg.errors import Diagnostic
from sqlalchemy import Table

from datastorage.errors import (
    DatabaseError,
    Deadlock,
    PartitionFailure,
    QueryTimeout,
    RowRefused,
    TransactionConflict,
    Unavailable,
)
from datastorage.platform.db import refused_connections
from datastorage.platform.db.columns import metadata

READ_RETRY_AFTER_SECONDS = 2
CONFLICT_RETRY_AFTER_SECONDS = 1

_Class = tuple[str, type[DatabaseError]]

_BY_SQLSTATE: dict[str, _Class] = {
    "57014": ("timeout", QueryTimeout),  # query_canceled
    "53100": ("disk_full", Unavailable),
    "25006": ("read_only", Unavailable),  # read_only_sql_transaction
    "25P03": ("db_unreachable", Unavailable),  # idle_in_transaction_session_timeout
    "3D000": ("misconfigured", Unavailable),  # invalid_catalog_name
    "42501": ("misconfigured", Unavailable),  # insufficient_privilege
    "42P01": ("schema_mismatch", DatabaseError),  # undefined_table
    "42703": ("schema_mismatch", DatabaseError),  # undefined_column
    "40P01": ("contention", Deadlock),
    "40001": ("contention", TransactionConflict),
    "55P03": ("lock_timeout", TransactionConflict),  # lock_not_available
    "XX001": ("storage_error", PartitionFailure),  # data_corrupted
    "XX002": ("storage_error", PartitionFailure),  # index_corrupted
    "58030": ("storage_error", PartitionFailure),  # io_error
    "58P01": ("storage_error", PartitionFailure),  # undefined_file
    "0A000": ("partition_failed", PartitionFailure),  # feature_not_supported
    "P0001": ("partition_failed", PartitionFailure),  # raise_exception
    "23502": ("database_constraint", RowRefused),  # not_null_violation
    "23503": ("foreign_key", RowRefused),
    "23505": ("unique", RowRefused),
    "23514": ("database_constraint", RowRefused),  # check_violation
}

_WHERE_MATTERS = frozenset({"42P01", "42703", "42501"})
"""About the whole schema when our own statement fails with them, about one month when its trigger does."""

_NAMED_BY_PARTITIONS = frozenset({"23502", "23503", "23514"})
"""Violations reported under the name that the table gave its constraint; partitions name unique indexes."""

_BY_CLASS: dict[str, _Class] = {
    "08": ("db_unreachable", Unavailable),  # connection exception
    "57": ("db_unreachable", Unavailable),  # operator intervention: the server shuts down, or starts up
    "53": ("db_overloaded", Unavailable),  # insufficient resources
    "28": ("misconfigured", Unavailable),  # invalid authorization
    "22": ("database_constraint", RowRefused),  # data exception
    "54": ("database_constraint", RowRefused),  # program limit exceeded, such as the size of an index row
}

_DETAILS: dict[type[DatabaseError], tuple[str, int | None]] = {
    Unavailable: ("database unavailable - please retry", READ_RETRY_AFTER_SECONDS),
    QueryTimeout: ("the statement exceeded its time limit - narrow the request or retry", None),
    Deadlock: ("chosen as deadlock victim - please retry", CONFLICT_RETRY_AFTER_SECONDS),
    TransactionConflict: ("concurrent change - please retry", CONFLICT_RETRY_AFTER_SECONDS),
}


class Ending(StrEnum):
    """Why a connection must not be used again; what was opened before that is no better."""

    READ_ONLY = "read_only"  # the server is no longer the primary
    SHUTDOWN = "shutdown"
    LOST = "lost"
    PLAN = "plan"  # a table was altered, and statements that were prepared before are refused


_ENDINGS = {"25006": Ending.READ_ONLY} | dict.fromkeys(("57P01", "57P02", "57P03"), Ending.SHUTDOWN)


def ending_of(error: sqlalchemy.exc.SQLAlchemyError | psycopg.Error) -> Ending | None:
    """Return why the connection that raised ``error`` has ended, ``None`` when it can be used again."""
    driver_error = _driver_error(error)
    if driver_error is None:
        return None
    sqlstate = driver_error.sqlstate or ""
    if _is_stale_plan(driver_error):
        return Ending.PLAN
    # PostgreSQL closes the connection after a FATAL error; a pooler may call it 08P01.
    is_fatal = driver_error.diag.severity_nonlocalized in {"FATAL", "PANIC"}
    is_lost = is_fatal or sqlstate.startswith("08") or _has_no_answer(driver_error)
    return _ENDINGS.get(sqlstate) or (Ending.LOST if is_lost else None)


def translate(error: sqlalchemy.exc.SQLAlchemyError | psycopg.Error) -> DatabaseError:
    """Return our error for what SQLAlchemy or psycopg raised; the caller raises it ``from`` theirs."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return pool_exhausted()
    driver_error = _driver_error(error)
    if driver_error is None:
        return DatabaseError("database operation failed")
    reason, error_type = _classify(driver_error, driver_error.sqlstate or "")
    detail, retry_after_seconds = _DETAILS.get(error_type, ("database operation failed", None))
    return error_type(
        detail,
        reason=reason,
        sqlstate=driver_error.sqlstate,
        constraint=driver_error.diag.constraint_name,
        server_message=driver_error.diag.message_primary,
        retry_after_seconds=retry_after_seconds,
    )


def _driver_error(error: sqlalchemy.exc.SQLAlchemyError | psycopg.Error) -> psycopg.Error | None:
    raised = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    return raised if isinstance(raised, psycopg.Error) else None


def _classify(error: psycopg.Error, sqlstate: str) -> _Class:
    if _has_no_answer(error):
        return refused_connections.reason_of(error), Unavailable
    if _is_stale_plan(error):
        return "schema_mismatch", Unavailable
    found = _partition_at_fault(error.diag, sqlstate) or _BY_SQLSTATE.get(sqlstate)
    return found or _BY_CLASS.get(sqlstate[:2]) or ("unknown", DatabaseError)


def _has_no_answer(error: psycopg.Error) -> bool:
    """Tell whether there is no connection: refused, timed out, or cut in mid-statement."""
    return error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def _is_stale_plan(error: psycopg.Error) -> bool:
    """Tell whether a prepared statement was refused because its table has been altered since."""
    return error.sqlstate == "0A000" and error.diag.source_function == "RevalidateCachedQuery"


def _partition_at_fault(diagnostic: Diagnostic, sqlstate: str) -> _Class | None:
    # A violated CHECK names its constraint; "no partition found for row" has the same code and no name.
    if sqlstate == "23514" and diagnostic.constraint_name is None:
        return "partition_missing", PartitionFailure
    # Our statements reach functions that need tables through triggers of a partition only.
    is_trigger = sqlstate in _WHERE_MATTERS and diagnostic.context
    is_refused_alone = sqlstate in _NAMED_BY_PARTITIONS and _refuses_alone(diagnostic)
    return ("partition_failed", PartitionFailure) if is_trigger or is_refused_alone else None


def _refuses_alone(diagnostic: Diagnostic) -> bool:
    """Tell whether the violated constraint belongs to one partition and not to the whole table.

    Other months would take the row, so the month is at fault and not the client. A name that follows our
    convention for the whole table is ours, even if only a later migration knows it.
    """
    partition, constraint = diagnostic.table_name or "", diagnostic.constraint_name
    table = _table_of(partition)
    if table is None:
        return False
    if constraint is None:  # a column that must not be NULL is named instead
        column = table.columns.get(diagnostic.column_name or "")
        return column is not None and bool(column.nullable)
    if constraint in {str(each.name) for each in table.constraints}:
        return False
    return constraint.startswith(f"ck_{partition}_") or not constraint.startswith(f"ck_{table.name}_")


def _table_of(partition: str) -> Table | None:
    """Return the table that has a partition of this name, ``None`` for any other relation."""
    partitioned = [table for table in metadata.tables.values() if "partitioned_by" in table.info]
    return next((table for table in partitioned if partition.startswith(f"{table.name}_")), None)


def pool_exhausted() -> Unavailable:
    """Return the error of a request that found no free connection within its time."""
    return Unavailable(
        "database connection pool exhausted - please retry",
        reason="pool_timeout",
        retry_after_seconds=READ_RETRY_AFTER_SECONDS,
    )
