"""Checks 1 to 3: PostgreSQL, the schema in it, and what the schema must hold."""

import socket
from typing import TYPE_CHECKING, TypeVar

from datastorage.platform.clock import monotonic_seconds
from datastorage.validation.check import Broken
from datastorage.validation.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from datastorage.platform.db.database import Database
    from datastorage.settings import DatabaseSettings

OLDEST_SERVER = 15
MONTHS_AHEAD = 3
REQUIRED_TABLES = (
    "resource_references",
    "action_histories",
    "resource_action_traces",
    "audit_events",
    "notification_audit",
    "remediation_workflow_catalog",
)
MIGRATE = "alembic upgrade head"
START_POSTGRESQL = (
    "start one: docker run -d -p 5432:5432 -e POSTGRES_USER=datastorage -e POSTGRES_PASSWORD=... "
    "-e POSTGRES_DB=action_history postgres:18-alpine, or datastorage dev, which brings its own"
)
_CONNECT_SECONDS = 3.0

T = TypeVar("T")


def postgresql(subject: Subject, _seconds: float) -> str:
    """Log in, and return which server answered, where, how fast, and to whom."""
    from sqlalchemy import func, select

    settings = _database_settings(subject)
    _require_listener(settings)
    import datastorage.platform.db.database  # noqa: F401 - takes longer than the server to answer

    began = monotonic_seconds()

    def ask(connection: "Connection") -> tuple[str, str]:
        version, user = connection.execute(
            select(func.current_setting("server_version"), func.current_user())
        ).one()
        return str(version), str(user)

    version, user = _read(subject, ask)
    milliseconds = (monotonic_seconds() - began) * 1000
    place = f"{settings.host}:{settings.port}"
    if int(version.partition(".")[0]) < OLDEST_SERVER:
        raise Broken(f"PostgreSQL {version} at {place} is too old", f"upgrade it to {OLDEST_SERVER} or later")
    return f"PostgreSQL {version} at {place} answers in {milliseconds:.0f} ms, logged in as {user}"


def _database_settings(subject: Subject) -> "DatabaseSettings":
    from datastorage.settings import SettingsError

    try:
        return subject.settings.database
    except SettingsError as error:
        raise Broken(
            f"PostgreSQL cannot be looked for: {error}", "correct the configuration, see docs/settings.md"
        ) from error


def _require_listener(settings: "DatabaseSettings") -> None:
    """Part a wrong address from a wrong login: the driver's errors carry no code that tells them apart."""
    if settings.host.startswith("/"):
        return  # a Unix socket
    try:
        socket.create_connection((settings.host, settings.port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        place = f"{settings.host}:{settings.port} ({error.strerror or error})"
        raise Broken(
            f"nothing listens at {place}", f"correct database.host and database.port, or {START_POSTGRESQL}"
        ) from error


def _read(subject: Subject, work: "Callable[[Connection], T]") -> T:
    from datastorage.errors import DatabaseError

    database = _database(subject)
    try:
        return database.read(work)
    except DatabaseError as error:
        cause = error.server_message or str(error.__cause__).partition("\n")[0]
        raise Broken(
            f"PostgreSQL refuses: {cause}",
            "correct database.user, database.name, database.ssl_mode or the password in database.secretsFile",
        ) from error
    finally:
        database.close()


def _database(subject: Subject) -> "Database":
    from datastorage.platform.db.database import Database, application_name
    from datastorage.platform.metrics import Metrics

    return Database(
        subject.settings.database, share=1, metrics=Metrics(), application_name=application_name()
    )


def schema(subject: Subject, _seconds: float) -> str:
    """Compare the revision of the schema with the one this code was written for."""
    from sqlalchemy import String, column, func, select, table

    from datastorage.tables import SCHEMA_REVISION

    def ask(connection: "Connection") -> str | None:
        names = ("resource_action_traces", "alembic_version")
        present = connection.execute(select(*(func.to_regclass(name, type_=String) for name in names))).one()
        if None in present:
            return None
        revisions = table("alembic_version", column("version_num", String))
        return connection.execute(select(revisions.c.version_num)).scalar_one_or_none()

    revision = _read(subject, ask)
    if revision is None:
        raise Broken("there is no schema: resource_action_traces is missing", MIGRATE)
    if revision < SCHEMA_REVISION:
        raise Broken(f"the schema is at revision {revision}, this code needs {SCHEMA_REVISION}", MIGRATE)
    newer = "" if revision == SCHEMA_REVISION else f", newer than {SCHEMA_REVISION} of this code"
    return f"resource_action_traces exists, the schema is at revision {revision}{newer}"


def tables(subject: Subject, _seconds: float) -> str:
    """Look for every table, and for the partitions of this month and the next three."""
    from sqlalchemy import inspect

    from datastorage.partitions.plan import PARTITIONED_TABLES, Month
    from datastorage.partitions.store import PartitionStore
    from datastorage.platform.clock import utc_now

    present = _read(subject, lambda connection: inspect(connection).get_table_names())
    missing = [name for name in REQUIRED_TABLES if name not in present]
    if missing:
        raise Broken(f"missing tables: {', '.join(missing)}", MIGRATE)
    wanted = [Month.of(utc_now())]
    while len(wanted) <= MONTHS_AHEAD:
        wanted.append(wanted[-1].next())
    database = _database(subject)
    try:
        found = {
            (each.table, each.month) for each in PartitionStore(database).list_partitions() if each.attached
        }
    finally:
        database.close()
    absent = [
        f"{t.name} {month}" for t in PARTITIONED_TABLES for month in wanted if (t.name, month) not in found
    ]
    if absent:
        raise Broken(f"months without a partition: {', '.join(absent)}", "datastorage partitions ensure")
    return f"all {len(REQUIRED_TABLES)} tables exist, with partitions from {wanted[0]} to {wanted[-1]}"
