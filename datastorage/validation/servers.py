"""Checks 1 to 3: PostgreSQL, the schema in it, and what the schema must hold."""

import socket
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from sqlalchemy import Connection, String, column, func, inspect, select, table

from datastorage.errors import DatabaseError, DatabaseUnsuitable
from datastorage.partitions.plan import PARTITIONED_TABLES, months_needed
from datastorage.partitions.store import Partition, PartitionStore
from datastorage.platform.clock import monotonic_seconds, utc_now
from datastorage.platform.db.database import Database, application_name
from datastorage.platform.metrics import Metrics
from datastorage.settings import DatabaseSettings, Settings, SettingsError
from datastorage.tables import SCHEMA_REVISION
from datastorage.validation.protection import find_protection, judge
from datastorage.validation.subject import Broken, Subject

OLDEST_SERVER = 15
MONTHS_AHEAD = 3
REQUIRED_TABLES = (
    "resource_references",
    "action_histories",
    "resource_action_traces",
    "audit_events",
    "audit_event_ids",
    "audit_unsealed",
    "ledger_entries",
    "ledger_tiles",
    "ledger_checkpoints",
    "ledger_feed",
    "ledger_statements",
    "notification_audit",
    "remediation_workflow_catalog",
)
MIGRATE = "alembic upgrade head"
START_POSTGRESQL = (
    "start one: docker run -d -p 5432:5432 -e POSTGRES_USER=datastorage -e POSTGRES_PASSWORD=... "
    "-e POSTGRES_DB=action_history postgres:18-alpine, or datastorage dev, which brings its own"
)
MAKE_SUITABLE = (
    "create the database with ENCODING 'UTF8' TEMPLATE template0; set search_path of role and database to the"
    " schema of the tables"
)
_CONNECT_SECONDS = 3.0

T = TypeVar("T")


def load_settings(subject: Subject) -> Settings:
    """Return the settings that the service would read; their passwords are never printed from now on.

    Raises:
        Broken: with every mistake in the configuration.
    """
    try:
        settings = Settings.load(subject.config_path, subject.environ)
    except SettingsError as error:
        repair = "correct the configuration, see docs/settings.md"
        raise Broken(f"the configuration cannot be used: {error}", repair) from error
    subject.secrets.update({settings.database.password, settings.redis.password} - {""})
    return settings


def _read(subject: Subject, work: Callable[[Database], T]) -> T:
    """Do ``work`` with a pool of its own."""
    settings, name = load_settings(subject).database, application_name()
    with closing(Database(settings, share=1, metrics=Metrics(), application_name=name)) as database:
        try:
            return work(database)
        except DatabaseUnsuitable as error:
            raise Broken(f"PostgreSQL cannot be used: {error.cause}", MAKE_SUITABLE) from error
        except DatabaseError as error:
            raise Broken(
                f"PostgreSQL refuses: {error.cause}",
                "correct database.user, database.name, database.ssl_mode"
                " or the password in database.secretsFile",
            ) from error


def postgresql(subject: Subject, _seconds: float) -> str:
    """Log in, and return which server answered, where, how fast, and to whom."""
    settings = load_settings(subject).database
    _require_listener(settings)
    facts = select(func.current_setting("server_version"), func.current_user())
    began = monotonic_seconds()
    version, user = _read(subject, lambda database: database.read(lambda c: c.execute(facts).one()))
    milliseconds = (monotonic_seconds() - began) * 1000
    place = settings.place
    if int(version.partition(".")[0]) < OLDEST_SERVER:
        raise Broken(f"PostgreSQL {version} at {place} is too old", f"upgrade it to {OLDEST_SERVER} or later")
    return f"PostgreSQL {version} at {place} answers in {milliseconds:.0f} ms, logged in as {user}"


def _require_listener(settings: DatabaseSettings) -> None:
    """Tell a wrong address from a wrong login: the driver's errors have no code that does."""
    if settings.host.startswith("/"):
        return None  # a Unix socket
    complaints = []
    for server in settings.servers:
        try:
            return socket.create_connection(server, timeout=_CONNECT_SECONDS).close()
        except OSError as error:
            complaints.append(error.strerror or str(error))
    place = f"{settings.place} ({', '.join(complaints)})"
    raise Broken(
        f"nothing listens at {place}", f"correct database.host and database.port, or {START_POSTGRESQL}"
    )


def schema(subject: Subject, _seconds: float) -> str:
    """Compare the revision of the schema with the one this code was written for."""
    revision = _read(subject, lambda database: database.read(_find_revision))
    if revision is None:
        raise Broken("there is no schema: resource_action_traces is missing", MIGRATE)
    if revision < SCHEMA_REVISION:
        raise Broken(f"the schema is at revision {revision}, this code needs {SCHEMA_REVISION}", MIGRATE)
    newer = "" if revision == SCHEMA_REVISION else f", newer than {SCHEMA_REVISION} of this code"
    return f"resource_action_traces exists, the schema is at revision {revision}{newer}"


def _find_revision(connection: Connection) -> str | None:
    names = ("resource_action_traces", "alembic_version")
    present = connection.execute(select(*(func.to_regclass(name, type_=String) for name in names))).one()
    if None in present:
        return None
    revisions = table("alembic_version", column("version_num", String))
    return connection.execute(select(revisions.c.version_num)).scalar_one_or_none()


def tables(subject: Subject, _seconds: float) -> str:
    """Look for every table, for the partitions of this month and the next three, and what protects them."""
    present, listed = _read(subject, _tables_and_partitions)
    missing = [name for name in REQUIRED_TABLES if name not in present]
    if missing:
        raise Broken(f"missing tables: {', '.join(missing)}", MIGRATE)
    _previous, *wanted = months_needed(utc_now(), MONTHS_AHEAD, None)
    found = {(each.table, each.month) for each in listed if each.attached}
    absent = [
        f"{t.name} {month}" for t in PARTITIONED_TABLES for month in wanted if (t.name, month) not in found
    ]
    if absent:
        raise Broken(f"months without a partition: {', '.join(absent)}", "datastorage partitions ensure")
    protection = judge(_read(subject, lambda database: database.read(find_protection)))
    months = f"partitions from {wanted[0]} to {wanted[-1]}"
    return f"all {len(REQUIRED_TABLES)} tables exist, with {months}, {protection}"


def _tables_and_partitions(database: Database) -> tuple[list[str], list[Partition]]:
    names = database.read(lambda connection: inspect(connection).get_table_names())
    return names, PartitionStore(database).list_partitions()
