"""What the service's role may do is what its statements need; what the owner does is recorded."""

import psycopg
import pytest
from sqlalchemy import URL, Connection, insert, text

from datastorage.embedded.stack import APP_ROLE, OWNER_ROLE
from datastorage.tables import audit_events, metadata
from tests.support.event_rows import an_event_row
from tests.support.schema import (
    ALEMBIC_INI,
    RoleUrls,
    downgrade,
    engine_for,
    refused,
    upgrade,
)

FORBIDDEN = "42501"
SUPERUSER_SQL = ALEMBIC_INI.parent / "alembic" / "superuser.sql"
UPDATABLE = """
    SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0
      AND NOT a.attisdropped AND has_column_privilege(:role, c.oid, a.attnum, 'UPDATE')
"""
PRIVILEGES = """
    SELECT c.relname::text, p.privilege FROM pg_class c,
      unnest(ARRAY['SELECT', 'INSERT', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p (privilege)
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
      AND has_table_privilege(:role, c.oid, p.privilege)
"""
RECORDED = "SELECT command, object, changed_by, statement FROM datastorage_record.schema_changes"


@pytest.fixture
def hardened(empty_urls: RoleUrls) -> RoleUrls:
    """A database whose superuser has run the script."""
    upgrade(empty_urls.owner)
    run_as_superuser(empty_urls)
    return empty_urls


@pytest.fixture
def migrated_by_superuser(empty_urls: RoleUrls) -> RoleUrls:
    upgrade(empty_urls.superuser)
    return empty_urls


@pytest.fixture
def single_role(empty_urls: RoleUrls) -> URL:
    """A database whose tables were given to the role that serves, which then also migrates."""
    upgrade(empty_urls.owner, "0006")
    execute(empty_urls.superuser, f"REASSIGN OWNED BY {OWNER_ROLE} TO {APP_ROLE}")
    give_other_databases_back(empty_urls)
    upgrade(empty_urls.app)
    return empty_urls.app


def give_other_databases_back(urls: RoleUrls) -> None:
    """Undo what REASSIGN did to the databases of other tests: it means all of the server."""
    owned = "SELECT datname FROM pg_database WHERE datdba = CAST(:role AS regrole)"
    names = {str(name) for (name,) in rows(urls.superuser, owned, role=APP_ROLE)}
    others = names - {urls.owner.database}
    execute(urls.superuser, *(f'ALTER DATABASE "{name}" OWNER TO {OWNER_ROLE}' for name in others))


def run_as_superuser(urls: RoleUrls) -> None:
    url = urls.superuser.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SUPERUSER_SQL.read_bytes())


def execute(url: URL, *statements: str) -> None:
    with engine_for(url) as engine, engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def rows(url: URL, query: str, **parameters: str) -> set[tuple[object, ...]]:
    with engine_for(url) as engine, engine.connect() as connection:
        return {tuple(row) for row in connection.execute(text(query), parameters)}


def test_service_may_update_the_columns_that_its_statements_set_and_no_others(urls: RoleUrls) -> None:
    needed = {
        (table.name, column) for table in metadata.tables.values() for column in table.info.get("updated", ())
    }

    assert rows(urls.owner, UPDATABLE, role=APP_ROLE) == needed


def test_service_reads_and_inserts_and_nothing_else(urls: RoleUrls) -> None:
    needed = {
        (name, privilege)
        for name, table in metadata.tables.items()
        for privilege in ("SELECT", "INSERT", "DELETE")
        if table.info.get(
            {"INSERT": "inserted", "DELETE": "deleted"}.get(privilege, ""), privilege != "DELETE"
        )
    }
    named = {("alembic_version", "SELECT"), ("resource_action_traces_default", "SELECT")}

    assert rows(urls.owner, PRIVILEGES, role=APP_ROLE) == needed | named


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE resource_action_traces SET signal_severity = 'low'",
        "UPDATE remediation_workflow_catalog SET owner = 'me'",
        "UPDATE action_histories SET max_actions = 1",
        "DELETE FROM action_histories",
        "TRUNCATE resource_references CASCADE",
        "CREATE TABLE mine (id int)",
        "SELECT 1 FROM incident_summary_view",
    ],
)
def test_service_is_refused_what_it_never_does(app: Connection, statement: str) -> None:
    with refused(app, FORBIDDEN):
        app.execute(text(statement))


def test_nobody_creates_in_our_schema_through_public(empty_urls: RoleUrls) -> None:
    execute(empty_urls.owner, "GRANT CREATE ON SCHEMA public TO PUBLIC")

    upgrade(empty_urls.owner)

    with engine_for(empty_urls.app) as engine, engine.connect() as connection, refused(connection, FORBIDDEN):
        connection.execute(text("CREATE TABLE mine (id int)"))


def test_going_back_gives_the_wider_grants_again(empty_urls: RoleUrls) -> None:
    upgrade(empty_urls.owner)

    downgrade(empty_urls.owner, "0006")

    before = rows(empty_urls.owner, UPDATABLE, role=APP_ROLE)
    assert ("remediation_workflow_catalog", "owner") in before
    assert ("incident_summary_view", "SELECT") in rows(empty_urls.owner, PRIVILEGES, role=APP_ROLE)


def test_role_that_owns_the_tables_keeps_what_it_needs(single_role: URL) -> None:
    with engine_for(single_role) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE remediation_workflow_catalog SET owner = 'me'"))
        connection.execute(text("UPDATE resource_action_traces SET signal_severity = 'low'"))
        connection.execute(text("SELECT ensure_month_partition('audit_events', '2097-01-01')"))
        connection.execute(insert(audit_events), an_event_row())


CHANGES_BY_OWNER = {
    "ALTER TABLE audit_events DISABLE TRIGGER trg_audit_events_append_only": "ALTER TABLE",
    "DROP TRIGGER trg_audit_events_append_only ON audit_events": "DROP TRIGGER",
    "GRANT DELETE ON audit_events TO datastorage_app": "GRANT",
    "DROP TABLE notification_audit": "DROP TABLE",
}


@pytest.mark.parametrize("statement", CHANGES_BY_OWNER)
def test_changes_by_the_owner_are_recorded(hardened: RoleUrls, statement: str) -> None:
    execute(hardened.owner, statement)

    recorded = [row for row in rows(hardened.superuser, RECORDED) if row[3] == statement]
    assert {(row[0], row[2]) for row in recorded} == {(CHANGES_BY_OWNER[statement], OWNER_ROLE)}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM datastorage_record.schema_changes",
        "DROP SCHEMA datastorage_record CASCADE",
        "DROP EVENT TRIGGER datastorage_schema_change",
        "ALTER FUNCTION datastorage_record.record_schema_change() SECURITY INVOKER",
        "SELECT lo_create(0)",
    ],
)
def test_owner_cannot_touch_the_record(hardened: RoleUrls, statement: str) -> None:
    with engine_for(hardened.owner) as engine, engine.connect() as connection, refused(connection, FORBIDDEN):
        connection.execute(text(statement))


def test_script_of_the_superuser_may_run_again(hardened: RoleUrls) -> None:
    execute(hardened.owner, "COMMENT ON TABLE audit_events IS 'ours'")

    run_as_superuser(hardened)

    assert "COMMENT" in {row[0] for row in rows(hardened.superuser, RECORDED)}


def test_migration_of_a_superuser_needs_no_script(migrated_by_superuser: RoleUrls) -> None:
    execute(migrated_by_superuser.superuser, "ALTER TABLE audit_events DISABLE TRIGGER ALL")

    assert rows(migrated_by_superuser.superuser, RECORDED)
    with (
        engine_for(migrated_by_superuser.app) as engine,
        engine.connect() as connection,
        refused(connection, FORBIDDEN),
    ):
        connection.execute(text("SELECT lo_create(0)"))


def test_month_that_the_service_creates_is_recorded_too(hardened: RoleUrls) -> None:
    execute(hardened.app, "SELECT ensure_month_partition('audit_events', '2097-02-01')")

    recorded = {(row[0], row[1], row[2]) for row in rows(hardened.superuser, RECORDED)}
    assert ("CREATE TABLE", "public.audit_events_2097_02", APP_ROLE) in recorded
