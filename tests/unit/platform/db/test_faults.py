import psycopg
import pytest
import sqlalchemy.exc

from datastorage.errors import (
    DatabaseError,
    Deadlock,
    PartitionFailure,
    QueryTimeout,
    RowRefused,
    TransactionConflict,
    Unavailable,
)
from datastorage.platform.db.faults import Ending, ending_of, pool_exhausted, translate

SECRET = "connection to server at db.internal failed for user secret"


def raised(sqlstate: str) -> psycopg.Error:
    return psycopg.errors.lookup(sqlstate)(SECRET)


@pytest.mark.parametrize(
    ("sqlstate", "kind", "reason"),
    [
        ("08006", Unavailable, "db_unreachable"),
        ("57P01", Unavailable, "db_unreachable"),
        ("57P02", Unavailable, "db_unreachable"),
        ("57P03", Unavailable, "db_unreachable"),
        ("53300", Unavailable, "db_overloaded"),
        ("53200", Unavailable, "db_overloaded"),
        ("53100", Unavailable, "disk_full"),
        ("25006", Unavailable, "read_only"),
        ("28P01", Unavailable, "misconfigured"),
        ("3D000", Unavailable, "misconfigured"),
        ("42501", Unavailable, "misconfigured"),
        ("57014", QueryTimeout, "timeout"),
        ("40P01", Deadlock, "contention"),
        ("40001", TransactionConflict, "contention"),
        ("55P03", TransactionConflict, "lock_timeout"),
        ("42P01", DatabaseError, "schema_mismatch"),
        ("42703", DatabaseError, "schema_mismatch"),
        ("23514", PartitionFailure, "partition_missing"),
        ("XX001", PartitionFailure, "storage_error"),
        ("23505", RowRefused, "unique"),
        ("23503", RowRefused, "foreign_key"),
        ("22003", RowRefused, "database_constraint"),
        ("54000", RowRefused, "database_constraint"),
        ("42601", DatabaseError, "unknown"),
    ],
)
def test_sqlstate_decides(sqlstate: str, kind: type[DatabaseError], reason: str) -> None:
    wrapped = sqlalchemy.exc.DBAPIError("SELECT", {}, raised(sqlstate))

    for error in (translate(raised(sqlstate)), translate(wrapped)):
        assert type(error) is kind
        assert (error.reason, error.sqlstate) == (reason, sqlstate)


@pytest.mark.parametrize("cls", [psycopg.OperationalError, psycopg.InterfaceError])
def test_server_that_never_answered_is_unreachable(cls: type[psycopg.Error]) -> None:
    error = translate(cls(SECRET))

    assert isinstance(error, Unavailable)
    assert (error.reason, error.sqlstate, error.retry_after_seconds) == ("db_unreachable", None, 2)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.ProgrammingError(SECRET),
        sqlalchemy.exc.InvalidRequestError(SECRET),
        sqlalchemy.exc.CompileError(SECRET),
    ],
)
def test_our_own_mistakes_are_not_unavailability(
    error: psycopg.Error | sqlalchemy.exc.SQLAlchemyError,
) -> None:
    fault = translate(error)

    assert type(fault) is DatabaseError
    assert fault.reason == "unknown"


def test_exhausted_pool_has_a_sentence_of_its_own() -> None:
    for fault in (pool_exhausted(), translate(sqlalchemy.exc.TimeoutError(SECRET))):
        assert isinstance(fault, Unavailable)
        assert fault.detail == "database connection pool exhausted - please retry"
        assert (fault.reason, fault.retry_after_seconds) == ("pool_timeout", 2)


@pytest.mark.parametrize("sqlstate", ["08006", "57014", "40P01", "40001", "XX001", "23505", "42601"])
def test_sentence_for_the_caller_has_no_text_of_the_driver(sqlstate: str) -> None:
    assert "secret" not in translate(raised(sqlstate)).detail


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (raised("25006"), Ending.READ_ONLY),
        (raised("57P01"), Ending.SHUTDOWN),
        (raised("57P03"), Ending.SHUTDOWN),
        (raised("08P01"), Ending.LOST),
        (psycopg.OperationalError(SECRET), Ending.LOST),
        (psycopg.InterfaceError(SECRET), Ending.LOST),
        (raised("57014"), None),
        (raised("40P01"), None),
        (raised("0A000"), None),
        (psycopg.ProgrammingError(SECRET), None),
        (sqlalchemy.exc.InvalidRequestError(SECRET), None),
    ],
)
def test_some_errors_end_the_connection(
    error: psycopg.Error | sqlalchemy.exc.SQLAlchemyError, ending: Ending | None
) -> None:
    assert ending_of(error) is ending
    if isinstance(error, psycopg.Error):
        assert ending_of(sqlalchemy.exc.DBAPIError("SELECT", {}, error)) is ending
