"""From what the driver raised to what we say went wrong: the only reader of SQLSTATEs.

PostgreSQL's diagnostics decide, never the text of a message (a refused connection has none: see
``refused_connections``). ``reason`` is the code counted in
``datastorage_db_errors_total`` and, where a write is parked, kept beside it.
"""

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

_UNAVAILABLE_DETAIL = "database unavailable - please retry"

_BY_SQLSTATE: dict[str, tuple[str, type[DatabaseError]]] = {
    "57P01": ("db_unreachable", Unavailable),  # admin_shutdown
    "57P02": ("db_unreachable", Unavailable),  # crash_shutdown
    "57P03": ("db_unreachable", Unavailable),  # cannot_connect_now
    "57014": ("timeout", QueryTimeout),  # query_canceled
    "53100": ("disk_full", Unavailable),
    "25006": ("read_only", Unavailable),  # read_only_sql_transaction
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
"""About the whole schema when our statement fails with them, about one month when its trigger does."""

_NAMED_BY_PARTITIONS = frozenset({"23502", "23503", "23514"})
"""Violations that a partition reports under the names its table gave; its unique indexes have their own."""

_BY_CLASS: dict[str, tuple[str, type[DatabaseError]]] = {
    "08": ("db_unreachable", Unavailable),  # connection exception
    "53": ("db_overloaded", Unavailable),  # insufficient resources
    "28": ("misconfigured", Unavailable),  # invalid authorization
    "22": ("database_constraint", RowRefused),  # data exception
    "54": ("database_constraint", RowRefused),  # program limit exceeded, such as the size of an index row
}

_DETAILS: dict[type[DatabaseError], tuple[str, int | None]] = {
    Unavailable: (_UNAVAILABLE_DETAIL, READ_RETRY_AFTER_SECONDS),
    QueryTimeout: ("the statement exceeded its time limit - narrow the request or retry", None),
    Deadlock: ("chosen as deadlock victim - please retry", CONFLICT_RETRY_AFTER_SECONDS),
    TransactionConflict: ("concurrent change - please retry", CONFLICT_RETRY_AFTER_SECONDS),
}


def translate(error: sqlalchemy.exc.SQLAlchemyError | psycopg.Error) -> DatabaseError:
    """Return our error for what SQLAlchemy or psycopg raised; the caller raises it ``from`` theirs."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return pool_exhausted()
    driver_error = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    if not isinstance(driver_error, psycopg.Error):
        return DatabaseError("database operation failed")
    sqlstate = driver_error.sqlstate
    reason, error_type = _classify(driver_error, sqlstate)
    detail, retry_after_seconds = _DETAILS.get(error_type, ("database operation failed", None))
    return error_type(
        detail,
        reason=reason,
        sqlstate=sqlstate,
        constraint=driver_error.diag.constraint_name,
        server_message=driver_error.diag.message_primary,
        retry_after_seconds=retry_after_seconds,
    )


def _classify(error: psycopg.Error, sqlstate: str | None) -> tuple[str, type[DatabaseError]]:
    if sqlstate is None:
        # Without a SQLSTATE there is no connection: refused, timed out, or cut in mid-statement.
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return refused_connections.reason_of(error), Unavailable
        return "unknown", DatabaseError
    # A violated CHECK names its constraint; "no partition found for row" has the same code and no name.
    if sqlstate == "23514" and error.diag.constraint_name is None:
        return "partition_missing", PartitionFailure
    if sqlstate in _NAMED_BY_PARTITIONS and _refuses_alone(error.diag):
        return "partition_failed", PartitionFailure
    # Our statements reach functions that need tables through triggers of a partition only.
    if sqlstate in _WHERE_MATTERS and error.diag.context:
        return "partition_failed", PartitionFailure
    return _BY_SQLSTATE.get(sqlstate) or _BY_CLASS.get(sqlstate[:2]) or ("unknown", DatabaseError)


def _refuses_alone(diagnostic: Diagnostic) -> bool:
    """Tell whether somebody gave one partition a constraint that its table does not have.

    The row is as good as those that other months take, so the month is at fault and not the client.
    A name that follows our convention for the whole table is ours, also when a migration is ahead of us.
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
